//! Panics of the engine's own threads, which would otherwise be caught and told to a log that nobody reads.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static HEARD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Listens on this thread from now on. On others panics are told as ever.
pub(crate) fn listen() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let heard = crate::fiber::has_turn()
                && HEARD.with_borrow_mut(|heard| match heard {
                    Some(heard) => {
                        heard.push(info.to_string());
                        true
                    }
                    None => false,
                });
            if !heard {
                before(info);
            }
        }));
    });
    HEARD.set(Some(Vec::new()));
}

/// The first that was heard since the last look.
pub(crate) fn heard() -> Option<String> {
    HEARD.with_borrow_mut(|heard| heard.as_mut().and_then(|heard| heard.drain(..).next()))
}
