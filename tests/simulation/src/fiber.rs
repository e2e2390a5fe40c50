//! Simulated threads: functions with a stack of their own that take turns on one thread.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use plugin_engine::simulation::ThreadLocals;

/// What a simulated thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// For its turn.
    Turn,
    /// Until somebody was told something after this many tellings.
    Stirred(u64),
    /// Until somebody was told something after this many tellings, or until this time.
    StirredOr(u64, Duration),
    /// Until this time.
    Until(Duration),
}

/// Room for the frames of an engine that is not optimised. Only what is used of it is memory.
const STACK_BYTES: usize = 512 * 1024;
/// How many stacks are kept for the next ones.
const STACKS_KEPT: usize = 64;

thread_local! {
    static STACKS: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
    /// How the thread that has the turn gives it back; null while none has it.
    static YIELDER: Cell<*const Yielder<(), Wait>> = const { Cell::new(std::ptr::null()) };
}

/// A simulated thread.
pub(crate) struct Fiber {
    pub(crate) name: Rc<str>,
    pub(crate) wait: Wait,
    coroutine: Coroutine<(), Wait, (), DefaultStack>,
    locals: ThreadLocals,
    yielder: Rc<Cell<*const Yielder<(), Wait>>>,
}

/// How a turn ended.
pub(crate) enum Turned {
    /// It waits.
    Waits(Fiber),
    /// It has come to its end.
    Ended,
}

impl Fiber {
    pub(crate) fn new(name: &str, body: Box<dyn FnOnce()>) -> Self {
        let stack = STACKS.with_borrow_mut(Vec::pop).unwrap_or_else(|| {
            DefaultStack::new(STACK_BYTES).expect("address space for another stack")
        });
        let yielder = Rc::new(Cell::new(std::ptr::null()));
        let told = Rc::clone(&yielder);
        let coroutine = Coroutine::with_stack(stack, move |yielder: &Yielder<(), Wait>, ()| {
            told.set(std::ptr::from_ref(yielder));
            YIELDER.set(std::ptr::from_ref(yielder));
            // What panicked is known from the hook, and must not come up in whoever gave the turn.
            let _: Result<(), Box<dyn Any + Send>> = catch_unwind(AssertUnwindSafe(body));
        });
        Self {
            name: name.into(),
            wait: Wait::Turn,
            coroutine,
            locals: ThreadLocals::default(),
            yielder,
        }
    }

    /// Gives it the turn.
    pub(crate) fn turn(mut self) -> Turned {
        YIELDER.set(self.yielder.get());
        self.locals.swap();
        let turned = self.coroutine.resume(());
        self.locals.swap();
        YIELDER.set(std::ptr::null());
        match turned {
            CoroutineResult::Yield(wait) => {
                self.wait = wait;
                Turned::Waits(self)
            }
            CoroutineResult::Return(()) => {
                let stack = self.coroutine.into_stack();
                STACKS.with_borrow_mut(|stacks| {
                    if stacks.len() < STACKS_KEPT {
                        stacks.push(stack);
                    }
                });
                Turned::Ended
            }
        }
    }

    /// Leaves it where it is for good, with all it holds: there is no way out of it through the functions of a plugin.
    pub(crate) fn leave(self) {
        std::mem::forget(self);
    }
}

/// Whether a simulated thread has the turn.
pub(crate) fn has_turn() -> bool {
    !YIELDER.get().is_null()
}

/// Gives the turn back until `wait` is over.
pub(crate) fn wait(wait: Wait) {
    // SAFETY: it is set when a fiber is given the turn, to what lives on that fiber's stack until it ends, and null otherwise.
    if let Some(yielder) = unsafe { YIELDER.get().as_ref() } {
        yielder.suspend(wait);
    }
}
