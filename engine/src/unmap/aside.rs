//! Code of a plugin file that runs on a thread of its own which ends with it, watched by a deadline.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use crate::joining::Thread;

/// How often is looked whether a thread that has done its work has ended.
const LOOK_EVERY: Duration = Duration::from_micros(100);

/// Something that runs aside.
pub(super) struct Aside<T> {
    thread: Thread,
    result: Receiver<T>,
    came: Option<T>,
}

/// Starts it.
pub(super) fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<Aside<T>> {
    let (tell, result) = sync_channel(1);
    let handle = crate::threading::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // Whoever started it may wait no longer.
            let _ = tell.send(work());
        })?;
    Ok(Aside {
        thread: Thread::new(handle),
        result,
        came: None,
    })
}

/// How something that runs aside stands.
pub(super) enum Wait<T> {
    /// It has returned, and its thread has ended, with the destructors of its thread-local values.
    Ended(T),
    /// A panic ended it.
    Panicked,
    /// It has not ended.
    NotYet,
}

impl<T> Aside<T> {
    /// Waits for its end, no longer than `limit`.
    pub(super) fn wait(&mut self, limit: Duration) -> Wait<T> {
        let until = Instant::now().checked_add(limit);
        let mut panicked = false;
        if self.came.is_none() {
            match self.result.recv_timeout(limit) {
                Ok(result) => self.came = Some(result),
                Err(RecvTimeoutError::Disconnected) => panicked = true,
                Err(RecvTimeoutError::Timeout) => return Wait::NotYet,
            }
        }
        while !self.thread.has_ended() {
            if until.is_some_and(|until| Instant::now() >= until) {
                return Wait::NotYet;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        match self.came.take() {
            Some(result) => Wait::Ended(result),
            None if panicked => Wait::Panicked,
            None => Wait::NotYet,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_has_not_returned_is_waited_for_no_longer_than_the_limit_and_can_be_waited_for_again() {
        let (let_go, gate) = channel::<()>();
        let mut aside = start("test", move || gate.recv().is_ok()).unwrap();
        assert!(matches!(aside.wait(Duration::from_millis(1)), Wait::NotYet));
        let_go.send(()).unwrap();
        assert!(matches!(aside.wait(LONG), Wait::Ended(true)));
    }

    #[test]
    fn a_panic_is_told_as_one() {
        let mut aside = start("test", || panic!("as asked")).unwrap();
        assert!(matches!(aside.wait(LONG), Wait::<()>::Panicked));
    }
}
