//! Restarts by policy: a plugin that waits for one in the state Error is offered the tick of its moment, and is created anew.

use plugin_engine_core::{
    CreateReason, Event, FaultKind, FaultReport, Moment, RejectReason, Unmet,
};

use super::batch::Verdict;
use super::call::{Caller, UpdateEnd};
use super::slot::TaskEnd;
use crate::code::Code;

impl Caller<'_> {
    /// Destroys what is left of a plugin that a policy has disposed of while no worker had it, and sets its ticker to what it waits for.
    #[cold]
    pub(super) fn clear_away(&self, now: Moment) -> UpdateEnd {
        let mut guarded = self.cell.lock();
        let left = if guarded.machine.has_instance() {
            None
        } else {
            guarded.instance.take()
        };
        let schedule = guarded.machine.schedule();
        let ledger = &self.executor.board.ledger;
        ledger.rearm(self.cell.index, schedule.next(), schedule.interval());
        drop(guarded);
        if let Some(left) = left {
            self.destroy(*left, false);
        }
        UpdateEnd::not_made(now, RejectReason::NoInstance)
    }

    /// Creates a plugin anew whose restart is due, and updates it if that is due, too.
    #[cold]
    pub(super) fn restart(&self, now: Moment, unmet: Option<&Unmet>) -> UpdateEnd {
        if self.cell.lock().waiters > 0 {
            return self.wait_for_turn(now);
        }
        if let Some(unmet) = unmet {
            // Not before what it requires is there; then it is created by itself.
            let report = Code::unmet_report("", unmet);
            self.record(now, Event::RequirementUnmet(report));
            return UpdateEnd::not_made(now, RejectReason::Unmet);
        }
        match self.create(CreateReason::Restart) {
            TaskEnd::Ended(Verdict::Completed, _) => self.update_in_general(false),
            TaskEnd::NotMade(RejectReason::Busy) => self.wait_for_turn(now),
            TaskEnd::NotMade(reason @ (RejectReason::TooManyStuck | RejectReason::NoInstance)) => {
                // It counts as a restart that failed: else it would be tried at every tick, for ever.
                let report =
                    FaultReport::new(FaultKind::Refused, format!("not restarted: {reason}"));
                self.record(now, Event::RestartRefused(report));
                UpdateEnd::not_made(now, reason)
            }
            end => self.not_created(end),
        }
    }

    /// What an update comes to for which an instance was to be created first.
    pub(super) fn not_created(&self, end: TaskEnd) -> UpdateEnd {
        let now = self.executor.board.ledger.time.now();
        match end {
            TaskEnd::Ended(verdict, _) => UpdateEnd::ended(now, verdict),
            TaskEnd::Abandoned => UpdateEnd::ended(now, Verdict::Abandoned),
            TaskEnd::NotMade(reason) => self.skip(now, reason),
            TaskEnd::Refused => UpdateEnd::ended(now, Verdict::Skipped),
        }
    }

    /// Somebody holds the plugin: the tick is offered again when that is over.
    fn wait_for_turn(&self, now: Moment) -> UpdateEnd {
        let mut guarded = self.cell.lock();
        if guarded.waiters > 0 {
            guarded.tick_waits = true;
        }
        drop(guarded);
        UpdateEnd::not_made(now, RejectReason::Busy)
    }

    fn record(&self, now: Moment, event: Event) {
        let mut guarded = self.cell.lock();
        let ledger = &self.executor.board.ledger;
        let applied = self.cell.apply(ledger, &mut guarded, now, event);
        drop(guarded);
        self.log_notable(applied.ok());
    }
}
