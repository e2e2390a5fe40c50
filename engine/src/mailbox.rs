//! One thing that is handed to a thread which waits for it, and does something else while it waits. Knows nothing of what is handed over.

use std::time::Duration;

use crate::threading::Mutex;
use crate::waiting::Condvar;

/// Holds one thing at a time.
pub(crate) struct Mailbox<T> {
    state: Mutex<State<T>>,
    came: Condvar,
}

struct State<T> {
    what: Option<T>,
    closed: bool,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                what: None,
                closed: false,
            }),
            came: Condvar::new(),
        }
    }
}

impl<T> Mailbox<T> {
    /// Puts something in. Gives it back if there is something in it, or nobody will look any more.
    pub(crate) fn put(&self, what: T) -> Result<(), T> {
        let mut state = self.state.lock();
        if state.closed || state.what.is_some() {
            return Err(what);
        }
        state.what = Some(what);
        drop(state);
        self.came.notify_all();
        Ok(())
    }

    /// Waits until there is something in it. `false` when there will not be. `idle` is called before it waits, and says for how long at most;
    /// it is called again after that.
    pub(crate) fn wait(&self, mut idle: impl FnMut() -> Option<Duration>) -> bool {
        let mut state = self.state.lock();
        while state.what.is_none() && !state.closed {
            match idle() {
                Some(most) => {
                    self.came.wait_for(&mut state, most);
                }
                None => self.came.wait(&mut state),
            }
        }
        state.what.is_some()
    }

    /// Takes out what is in it.
    pub(crate) fn take(&self) -> Option<T> {
        self.state.lock().what.take()
    }

    /// Has who waits do what it does while it waits.
    pub(crate) fn ring(&self) {
        // Under the lock, so that it is not between having looked and waiting.
        drop(self.state.lock());
        self.came.notify_all();
    }

    /// Nothing is put in any more. What is in it is taken out as ever.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.came.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_before_it_was_closed_is_taken_out_and_nothing_is_put_in_later() {
        let mailbox = Mailbox::default();
        assert_eq!(mailbox.put(1), Ok(()));
        assert_eq!(mailbox.put(2), Err(2), "it holds one thing");
        mailbox.close();
        assert!(mailbox.wait(|| None));
        assert_eq!(mailbox.take(), Some(1));
        assert_eq!(mailbox.put(3), Err(3));
        assert!(!mailbox.wait(|| None));
    }

    #[test]
    fn who_waits_is_idle_again_whenever_it_is_rung() {
        let mailbox = std::sync::Arc::new(Mailbox::<u8>::default());
        let (tell, told) = std::sync::mpsc::channel();
        let other = std::sync::Arc::clone(&mailbox);
        let waits = std::thread::spawn(move || {
            other.wait(|| {
                tell.send(()).unwrap();
                None
            })
        });
        told.recv().unwrap();
        mailbox.ring();
        told.recv().unwrap();
        mailbox.put(1).unwrap();
        assert!(waits.join().unwrap());
    }
}
