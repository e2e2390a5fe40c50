//! Wakes futures by the engine's clock, so that they need no timer of their runtime. A thread of its own, from the first future on.

use std::sync::{Arc, Weak};

use plugin_engine_core::Moment;

use super::context::TaskContext;
use super::error::SuperviseError;
use super::task::Task;
use super::{IfTaken, Supervisor};
use crate::clock::Clock;
use crate::threading::Mutex;
use crate::waiting::Condvar;

const NAME: &str = "plugin-timer";

/// The tasks that are to be woken.
#[derive(Default)]
pub(super) struct Timer {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// One entry for a task, the earliest: woken, its futures say what they still wait for.
    asleep: Vec<(Moment, Weak<Task>)>,
    changes: u64,
}

impl Timer {
    /// Has a task woken at a moment, if not before.
    pub(super) fn wake(&self, task: &Arc<Task>, at: Moment) {
        let mut state = self.state.lock();
        let is_this = |other: &Weak<Task>| std::ptr::eq(other.as_ptr(), Arc::as_ptr(task));
        let known = state.asleep.iter_mut().find(|(_, other)| is_this(other));
        match known {
            Some((known, _)) if *known <= at => return,
            Some((known, _)) => *known = at,
            None => state.asleep.push((at, Arc::downgrade(task))),
        }
        state.changes += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// Has the thread look.
    fn ring(&self) {
        self.state.lock().changes += 1;
        self.changed.notify_all();
    }

    /// The tasks to be woken at `now`.
    fn take_due(&self, now: Moment) -> Vec<Arc<Task>> {
        let mut state = self.state.lock();
        let mut due = Vec::new();
        state.asleep.retain(|(at, task)| {
            let is_due = *at <= now;
            due.extend(is_due.then(|| task.upgrade()).flatten());
            !is_due && task.strong_count() > 0
        });
        due
    }

    /// Waits for the next one, or until progress has to be recorded.
    fn wait(&self, clock: &Arc<dyn Clock>, seen: u64, beat: Moment) {
        let mut state = self.state.lock();
        if state.changes != seen {
            return;
        }
        let next = state.asleep.iter().map(|(at, _)| *at).min();
        let next = next.map_or(beat, |next| next.min(beat));
        match clock.real_time_until(next) {
            Some(wait) => {
                self.changed.wait_for(&mut state, wait);
            }
            None => self.changed.wait(&mut state),
        }
    }
}

/// Starts the thread.
pub(super) fn start(supervisor: &Supervisor) -> Result<(), SuperviseError> {
    let pulse = Arc::clone(&supervisor.pulse);
    let rung = Arc::downgrade(&pulse);
    let wake = move || {
        if let Some(pulse) = rung.upgrade() {
            pulse.timer.ring();
        }
    };
    let entry = supervisor.enter(NAME, IfTaken::Succeeds, wake)?;
    entry.spawn(NAME, move |context: &TaskContext| {
        while !context.is_cancelled() {
            let seen = pulse.timer.state.lock().changes;
            context.round(|| {
                for task in pulse.timer.take_due(pulse.now()) {
                    task.ring();
                }
            });
            pulse.timer.wait(&pulse.clock, seen, context.next_beat());
        }
    })
}
