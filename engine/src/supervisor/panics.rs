//! What is known of a panic of a supervised task: its message, where it came up, and the stack of that place.
//!
//! The stack is gone once a panic is caught, so it is looked at in the process's panic hook. That belongs to the embedder: it is put in
//! front of the one that is there, once in the life of the process, looks at panics of supervised tasks only, and hands on every one.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

use plugin_engine_core::{MESSAGE_LEN_MAX, bounded, escape_control};

use super::task;
use crate::backtrace;

thread_local! {
    /// What the hook has seen of the last panic of this thread.
    static SEEN: RefCell<Option<Seen>> = const { RefCell::new(None) };
}

struct Seen {
    location: String,
    stack: String,
}

/// A panic that was caught.
#[derive(Debug)]
pub(super) struct PanicReport {
    pub(super) message: String,
    /// Where it came up; `None` where the program has put another hook in place of the engine's.
    pub(super) location: Option<String>,
    /// Module and offset of each frame.
    pub(super) stack: Option<String>,
}

/// Puts the hook in place, if it is not.
pub(super) fn watch() {
    static INSTALLED: Once = Once::new();
    // Whoever panics must not touch the hook.
    if std::thread::panicking() {
        return;
    }
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if task::is_supervised() {
                note(info);
            }
            before(info);
        }));
    });
}

fn note(info: &PanicHookInfo<'_>) {
    let seen = Seen {
        location: info.location().map(ToString::to_string).unwrap_or_default(),
        stack: backtrace::capture(),
    };
    // Neither may fail in here: a panic of the hook ends the process.
    let _ = SEEN.try_with(|slot| {
        if let Ok(mut slot) = slot.try_borrow_mut() {
            *slot = Some(seen);
        }
    });
}

/// Does something, with a panic as a report.
pub(super) fn caught<R>(act: impl FnOnce() -> R) -> Result<R, PanicReport> {
    let _ = SEEN.take();
    catch_unwind(AssertUnwindSafe(act)).map_err(|payload| {
        let seen = SEEN.take();
        let message = message(&*payload);
        dropped(payload);
        let (location, stack) = seen.map(|seen| (seen.location, seen.stack)).unzip();
        PanicReport {
            message,
            location,
            stack,
        }
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("a panic whose message is no text");
    escape_control(bounded(text, MESSAGE_LEN_MAX)).to_string()
}

/// Drops something of others, which may panic once more.
pub(super) fn dropped<T>(what: T) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(what))) {
        // Its drop may panic, too, and so on.
        std::mem::forget(again);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_looked_at_only_where_a_task_runs() {
        watch();
        let panics = || catch_unwind(|| panic!("on purpose")).is_err();
        assert!(panics());
        assert!(SEEN.take().is_none(), "nobody supervises this thread");
        assert!(task::as_current(u64::MAX, panics));
        let seen = SEEN.take().expect("it was looked at");
        assert!(seen.location.contains("panics.rs:"), "{}", seen.location);
        assert!(seen.stack.lines().count() > 1);
    }

    #[test]
    fn a_payload_that_panics_when_it_is_dropped_does_no_harm() {
        struct Nested;
        impl Drop for Nested {
            fn drop(&mut self) {
                std::panic::panic_any(Nested);
            }
        }
        let report = caught(|| std::panic::panic_any(Nested)).unwrap_err();
        assert_eq!(report.message, "a panic whose message is no text");
    }
}
