//! Which plugins are on probation after a reload, and the bell that is rung when one of them fails. Never what follows from that.

use std::sync::Arc;

use plugin_engine_core::Moment;

use crate::clock::Clock;
use crate::threading::Mutex;
use crate::waiting::Condvar;

/// The plugins on probation, by the index of their cell.
#[derive(Default)]
pub(crate) struct Probations {
    state: Mutex<State>,
    rung: Condvar,
}

#[derive(Default)]
struct State {
    plugins: Vec<u32>,
    rings: u64,
    /// Whether a thread watches.
    watched: bool,
}

impl Probations {
    /// Adds a plugin. Says whether a thread has to be started that watches.
    pub(crate) fn add(&self, index: u32) -> bool {
        let mut state = self.state.lock();
        if !state.plugins.contains(&index) {
            state.plugins.push(index);
        }
        state.rings += 1;
        self.rung.notify_all();
        !std::mem::replace(&mut state.watched, true)
    }

    pub(crate) fn remove(&self, index: u32) {
        self.state.lock().plugins.retain(|one| *one != index);
    }

    pub(crate) fn forget_all(&self) {
        let mut state = self.state.lock();
        state.plugins.clear();
        state.watched = false;
    }

    pub(crate) fn all(&self) -> Vec<u32> {
        self.state.lock().plugins.clone()
    }

    /// The watching thread ends, unless a plugin was added since it looked: then it has to look at once.
    pub(crate) fn end_unless_more(&self) -> Option<Moment> {
        let mut state = self.state.lock();
        if state.plugins.is_empty() {
            state.watched = false;
            return None;
        }
        Some(Moment::ZERO)
    }

    /// Something has happened to a plugin on probation, the clock was moved, or the engine shuts down.
    pub(crate) fn ring(&self) {
        self.state.lock().rings += 1;
        self.rung.notify_all();
    }

    /// How often the bell was rung so far.
    pub(crate) fn rung(&self) -> u64 {
        self.state.lock().rings
    }

    /// Waits for the next ring after `seen`, or until a moment.
    pub(crate) fn wait(&self, seen: u64, clock: &Arc<dyn Clock>, until: Moment) {
        let mut state = self.state.lock();
        if state.rings != seen {
            return;
        }
        match clock.real_time_until(until) {
            Some(wait) => {
                self.rung.wait_for(&mut state, wait);
            }
            None => self.rung.wait(&mut state),
        }
    }
}
