//! Tells the embedder's subscriber of transitions, outside of every lock.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use plugin_engine_core::{Cause, Transition};

thread_local! {
    /// How many [`HeldLog`]s this thread has, and what was not said because of them.
    static HELD: RefCell<(usize, Vec<Transition>)> = const { RefCell::new((0, Vec::new())) };
}

#[cfg(feature = "simulation")]
pub(crate) fn swap_local(other: &mut (usize, Vec<Transition>)) {
    HELD.with_borrow_mut(|held| std::mem::swap(held, other));
}

/// Keeps back what this thread would log, until the last of these is dropped.
pub(crate) struct HeldLog(PhantomData<*const ()>);

/// Keeps back what this thread would log while something is held or owed that a listener might wait for.
pub(crate) fn hold_log() -> HeldLog {
    HELD.with_borrow_mut(|(holds, _)| *holds += 1);
    HeldLog(PhantomData)
}

impl Drop for HeldLog {
    fn drop(&mut self) {
        let said = HELD.with_borrow_mut(|(holds, said)| {
            *holds -= 1;
            if *holds == 0 {
                std::mem::take(said)
            } else {
                Vec::new()
            }
        });
        for transition in &said {
            say(transition);
        }
    }
}

/// Tells the embedder's subscriber of a transition, under a target of its own, so that who shows transitions in another way
/// can leave these lines out and keep the others. Never called inside a lock: what listens may ask the engine.
pub(crate) fn log(transition: &Transition) {
    let kept = HELD.with_borrow_mut(|(holds, said)| {
        if *holds > 0 {
            said.push(transition.clone());
        }
        *holds > 0
    });
    if !kept {
        say(transition);
    }
}

fn say(transition: &Transition) {
    unharmed(|| tell(transition));
}

/// Does something that runs the embedder's subscriber. A panic of that has been told by the process's hook, and goes no further: it must
/// neither take a worker away from those that wait for it, nor come up where something else panics.
pub(crate) fn unharmed(tell: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(tell)) {
        // Its drop may panic, too.
        std::mem::forget(payload);
    }
}

fn tell(transition: &Transition) {
    let Transition {
        id,
        from,
        to,
        cause,
        ..
    } = transition;
    let Some(error) = &transition.error else {
        tracing::info!(target: "plugin_engine::transitions", plugin = %id, %from, %to, %cause, "transition");
        return;
    };
    let error = error.as_ref();
    // Said loudly the first time; a plugin that goes on failing says so in its snapshot and its history.
    if error.consecutive <= 1 || *cause == Cause::FailedPermanently {
        tracing::warn!(target: "plugin_engine::transitions", plugin = %id, %from, %to, %cause, %error, "transition");
    } else {
        tracing::debug!(target: "plugin_engine::transitions", plugin = %id, %from, %to, %cause, %error, "transition");
    }
}
