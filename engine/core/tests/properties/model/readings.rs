//! What can be read off the ledger: nothing here is stored, everything is counted or looked up.

use plugin_engine_core::{CallId, CallKind, Counts, Times};

use super::{Call, Fate, Ground, Instance, Mark, Model};

impl Model {
    /// The call that is waited for.
    pub(super) fn waited_for(&self) -> Option<&Call> {
        let mut calls = self.calls.iter().filter(|call| call.fate == Fate::InTime);
        let call = calls.next();
        assert!(calls.next().is_none(), "two calls at a time");
        call
    }

    /// Abandoned calls that have not returned: on the current instance, or on one before.
    pub(super) fn stuck(&self, orphan: bool) -> usize {
        let stuck = Fate::TimedOut { returned: false };
        let calls = self.calls.iter();
        calls
            .filter(|call| call.fate == stuck && call.orphan == orphan)
            .count()
    }

    pub(crate) fn orphans(&self) -> usize {
        self.stuck(true)
    }

    /// The number, the kind and whether it is abandoned, of the call on the current instance.
    pub(crate) fn in_flight(&self) -> Option<(CallId, CallKind, bool)> {
        let call = self.calls.iter().rev().find(|call| {
            let stuck = call.fate == Fate::TimedOut { returned: false } && !call.orphan;
            call.fate == Fate::InTime || stuck
        })?;
        Some((call.id?, call.kind, call.fate != Fate::InTime))
    }

    pub(crate) fn has_instance(&self) -> bool {
        self.instance != Instance::None
    }

    /// The error that stands: the reason of the state, else the newest.
    pub(crate) fn error(&self) -> Option<Mark> {
        let reason = self.standing.iter().find(|(of, _)| *of == Ground::State);
        reason.or(self.standing.last()).map(|(_, mark)| *mark)
    }

    pub(crate) fn counts(&self) -> Counts {
        let count =
            |is: fn(&Call) -> bool| self.calls.iter().filter(|call| is(call)).count() as u64;
        Counts {
            calls: count(|_| true),
            updates: count(|call| call.kind == CallKind::Update),
            successes: count(|call| call.fate == Fate::Completed),
            failures: count(|call| call.fate == Fate::Failed),
            timeouts: count(|call| matches!(call.fate, Fate::TimedOut { .. })),
            panics: count(|call| call.fate == Fate::Panicked) + self.thread_panics,
            late: count(|call| call.fate == Fate::TimedOut { returned: true }),
            skipped: self.skipped,
        }
    }

    pub(crate) fn panics_of_calls(&self) -> u64 {
        self.counts().panics - self.thread_panics
    }

    pub(crate) fn times(&self) -> Times {
        let last = |kind: CallKind, completed: bool| {
            let fits =
                |call: &&Call| call.kind == kind && (!completed || call.fate == Fate::Completed);
            let mut calls = self.calls.iter().rev().filter(fits);
            calls.find_map(|call| call.settled)
        };
        Times {
            last_update: last(CallKind::Update, false),
            last_success: last(CallKind::Update, true),
            last_display: last(CallKind::Display, false),
        }
    }
}
