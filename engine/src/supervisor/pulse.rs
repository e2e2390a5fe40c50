//! What all tasks of an engine share: the clock, and what they have reported.

use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{Liveness, Moment};

use super::context::FaultHook;
use super::timer::Timer;
use crate::clock::Clock;
use crate::threading::Mutex;

/// What all tasks of an engine share.
pub(crate) struct Pulse {
    pub(super) clock: Arc<dyn Clock>,
    /// Taken last: no other lock is taken under it.
    pub(crate) liveness: Mutex<Liveness>,
    pub(super) faults: Option<FaultHook>,
    pub(super) timer: Timer,
}

impl Pulse {
    pub(super) fn new(clock: Arc<dyn Clock>, faults: Option<FaultHook>) -> Self {
        Self {
            clock,
            liveness: Mutex::default(),
            faults,
            timer: Timer::default(),
        }
    }

    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// How long to wait in real time for a moment; `None` if only a move of the clock can tell.
    pub(super) fn real_time_until(&self, moment: Moment) -> Option<Duration> {
        self.clock.real_time_until(moment)
    }
}
