//! The way of a good update through its cell, and the memory that it touches.

use std::sync::Arc;

use plugin_engine_core::{CallId, Moment, WallTime};

use super::{Cell, Guarded};
use crate::instance::Instance;
use crate::ledger::Ledger;
use crate::prefetch::{self, Place};

/// How many cache lines from the beginning of a cell on a good update touches.
pub(super) const HOT_LINES: usize = 10;

/// What a good update touches beside its cell.
#[derive(Default)]
pub(super) struct Named {
    /// The entry of the history that the next update takes the place of.
    entry: Place,
    instance: Place,
    host: Place,
    /// What the plugin itself keeps of the instance.
    object: Place,
    /// The beginning of its code. With it comes where that lies, which the processor would else have to look up when it is called.
    code: Place,
}

impl Cell {
    /// Asks for the memory that a good update touches.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch::lines(std::ptr::from_ref(self).addr(), HOT_LINES);
    }

    /// Asks for what the cell names, which is looked up in the cell.
    #[inline]
    pub(crate) fn prefetch_named(&self) {
        let named = &self.named;
        for place in [
            &named.entry,
            &named.instance,
            &named.host,
            &named.object,
            &named.code,
        ] {
            place.prefetch();
        }
    }

    /// Starts an update of a plugin that is due and in good order; `None` if there is anything else to say of it, and nothing
    /// was done.
    ///
    /// Costs one addition to the engine's counter, one entry in a ring that has grown, and the stores of the snapshot: no
    /// allocation, no other lock, no system call. So does [`Cell::complete_plain_update`].
    #[inline]
    pub(crate) fn start_plain_update(
        &self,
        ledger: &Ledger,
        guarded: &mut Guarded,
        now: Moment,
    ) -> Option<CallId> {
        #[cfg(feature = "simulation")]
        if crate::simulation::is_tampered_with() {
            return None;
        }
        let wall = ledger.time.wall_at(now);
        let id = guarded.machine.start_plain_update(now, wall)?;
        self.record_plain(ledger, guarded, wall, u64::MAX);
        Some(id)
    }

    /// Completes an update that was in time and came after one that completed, too; `false` if there is anything else to say of
    /// it, and nothing was done.
    #[inline]
    pub(crate) fn complete_plain_update(
        &self,
        ledger: &Ledger,
        guarded: &mut Guarded,
        now: Moment,
        id: CallId,
    ) -> bool {
        #[cfg(feature = "simulation")]
        if crate::simulation::is_tampered_with() {
            return false;
        }
        let wall = ledger.time.wall_at(now);
        let Some(duration) = guarded.machine.complete_plain_update(now, wall, id) else {
            return false;
        };
        // A call lasts less than 584 years.
        let nanos = duration.as_secs() * 1_000_000_000 + u64::from(duration.subsec_nanos());
        guarded.usage.add_plain_update(nanos);
        self.record_plain(ledger, guarded, wall, nanos);
        if guarded.waiters > 0 {
            self.settled.notify_all();
        }
        true
    }

    /// Gives the instance back after a good update, and notes what the next one will need.
    #[inline]
    pub(crate) fn give_back(&self, guarded: &mut Guarded, instance: Box<Instance>) {
        let named = &self.named;
        named.entry.set(guarded.history.next_entry());
        named.instance.set(std::ptr::from_ref(&*instance).addr());
        named.host.set(Arc::as_ptr(instance.host()).addr());
        named.object.set(instance.object());
        named.code.set(instance.code());
        guarded.instance = Some(instance);
    }

    #[inline]
    fn record_plain(&self, ledger: &Ledger, guarded: &mut Guarded, at: WallTime, duration_ns: u64) {
        let budget = &ledger.history_budget;
        let is_start = duration_ns == u64::MAX;
        if is_start {
            // Before the number is taken: that waits until all memory that is asked for has come.
            guarded.history.make_room_for_start(budget);
        }
        // Numbered inside the lock, as in `apply`.
        let seq = ledger.number(self.index);
        guarded.seq = seq;
        guarded.recorded += 1;
        if is_start {
            guarded.history.push_start(budget, seq, at);
        } else {
            guarded
                .history
                .push_completion(budget, seq, at, duration_ns);
        }
        // No error has come or gone, so what hangs behind the plain fields is the same.
        self.published.write_plain_update(&guarded.plain());
    }
}
