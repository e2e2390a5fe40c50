//! What follows from an event beyond the event itself: entries that a policy makes, the reason of the health beside the snapshot, and the
//! events that tell of it.

use std::sync::Arc;

#[cfg(feature = "history-sqlite")]
use plugin_engine_core::RejectReason;
use plugin_engine_core::{Effects, Event, Health, Moment, PluginState, WallTime};

use super::{Applied, Cell, Guarded};
use crate::events::Beginning;
use crate::facts::Facts;
use crate::ledger::Ledger;

/// An unhealthy episode, as those are told who come later.
pub(crate) struct Episode {
    at: WallTime,
    /// The number of the event by which it was told.
    seq: u64,
    reason: Arc<str>,
}

impl Cell {
    /// Enters what an event has left to be said, each as an entry of its own, in the same critical section. What a policy has disposed of
    /// is let go of here; destroying the instance is the business of a worker.
    #[cold]
    pub(super) fn follow_up(
        &self,
        ledger: &Ledger,
        guarded: &mut Guarded,
        now: Moment,
        applied: &mut Applied,
    ) {
        while guarded.machine.has_more_to_say() {
            let Ok(next) = self.apply_one(ledger, guarded, now, Event::Judged) else {
                break;
            };
            applied
                .consequences
                .extend(next.notable.map(|transition| *transition));
        }
        if !guarded.machine.has_instance() {
            self.let_go(ledger, guarded, now);
        }
    }

    /// Switches off with nobody there to destroy the instance: the next cycle does.
    ///
    /// # Errors
    /// A call is waited for, or the state does not admit it; nothing changed.
    #[cfg(feature = "history-sqlite")]
    pub(crate) fn switch_off(
        &self,
        ledger: &Ledger,
        guarded: &mut Guarded,
    ) -> Result<Applied, RejectReason> {
        let now = ledger.time.now();
        let applied = self.apply(ledger, guarded, now, Event::SwitchedOff)?;
        guarded.probation = None;
        self.let_go(ledger, guarded, now);
        Ok(applied)
    }

    fn let_go(&self, ledger: &Ledger, guarded: &mut Guarded, now: Moment) {
        if let Some(loaded) = &guarded.loaded {
            // What a thread of the instance says from now on is not heard.
            loaded.host.stop_listening_at_all();
        }
        if guarded.machine.state() == PluginState::Unloaded {
            // As if a person had done it.
            guarded.remember_unloaded();
            guarded.probation = None;
            self.set_loaded(guarded, None);
        }
        if guarded.has_leftover() {
            // Nobody is about to give it back, so the next cycle is to find it.
            let interval = guarded.machine.schedule().interval();
            ledger.rearm(self.index, Some(now), interval);
        }
    }

    /// The generation is on probation no more. A policy that was held back for that is applied, which is to be logged.
    pub(crate) fn end_probation(
        &self,
        ledger: &Ledger,
        guarded: &mut Guarded,
        now: Moment,
    ) -> Applied {
        guarded.probation = None;
        guarded.machine.end_probation();
        let mut applied = Applied::nothing();
        if guarded.machine.has_more_to_say() {
            self.follow_up(ledger, guarded, now, &mut applied);
        }
        applied
    }

    /// What the snapshot says of the health beyond its plain fields, if that is not what it said before.
    pub(super) fn changed_facts(&self, guarded: &Guarded) -> Option<Facts> {
        let note = guarded.machine.health_note();
        let facts = self.published.facts();
        (facts.health_note.as_deref() != note).then(|| Facts {
            health_note: note.map(Arc::from),
            ..(*facts).clone()
        })
    }

    /// Tells of the health, inside the lock, so that two changes of one plugin are told in their order.
    #[cold]
    pub(super) fn tell_health(
        &self,
        ledger: &Ledger,
        guarded: &mut Guarded,
        at: WallTime,
        effects: Effects,
    ) {
        let machine = &guarded.machine;
        let reason = machine.health_reason().unwrap_or_default();
        if effects.health_changed && ledger.events.is_heard() {
            let health = machine.health();
            let payload = match reason {
                "" => health.to_string(),
                reason => format!("{health} {reason}"),
            };
            ledger.events.publish_health(at, &self.id, &payload);
        }
        if effects.became_unhealthy {
            // Numbered whether or not anybody listens: who comes later has to know whether that was before.
            let seq = ledger.events.publish_unhealthy(at, &self.id, reason);
            let reason = Arc::from(reason);
            guarded.episode = Some(Box::new(Episode { at, seq, reason }));
        } else if machine.health() != Health::Unhealthy {
            guarded.episode = None;
        }
    }

    /// Has a subscription begin with the unhealthy episode that has not ended.
    pub(crate) fn begin_episode(&self, subscription: &Beginning<'_>) {
        // Under the lock under which it was told, so that it is told once.
        if let Some(Episode { at, seq, reason }) = self.lock().episode.as_deref() {
            subscription.unhealthy(*at, &self.id, *seq, reason);
        }
    }
}
