//! Measuring calls on the worker that makes them, and telling when a plugin has passed a limit of what it may use.

use plugin_engine_core::{CallKind, Event, Moment};

use super::call::Caller;
use crate::cell::Guarded;
use crate::config::USAGE_WINDOW;
use crate::instance::Instance;
use crate::usage::{CpuMeter, UsageLimits, Verdict};

impl Caller<'_> {
    /// Makes a call and counts the CPU time that it takes, before anybody is told of its end.
    pub(super) fn metered<T>(&self, kind: CallKind, call: impl FnOnce() -> T) -> T {
        let time = &self.executor.board.ledger.time;
        let began = time.now();
        let meter = CpuMeter::start();
        let value = call();
        let cpu = meter.and_then(CpuMeter::used);
        let wall = time.now().saturating_since(began);
        if let Some(cpu) = cpu {
            self.cell.lock().usage.add_cpu(kind, wall, cpu);
        }
        value
    }

    /// Judges what the plugin has used in the window that ends now, if one does, and tells its machine if that has changed. If a policy
    /// disposes of the plugin because of that, its instance comes back, to be destroyed.
    pub(super) fn judge_usage(&self, now: Moment) -> Option<Box<Instance>> {
        let mut guarded = self.cell.lock();
        let Guarded { usage, source, .. } = &mut *guarded;
        let verdict = usage.judge(now, || match source {
            Some(source) => source.config.limits(),
            None => UsageLimits::none(USAGE_WINDOW),
        });
        let event = match verdict {
            None => return None,
            Some(Verdict::Kept) => Event::LimitsKept,
            Some(Verdict::Passed { unhealthy, report }) => Event::LimitPassed { unhealthy, report },
        };
        let ledger = &self.executor.board.ledger;
        let applied = self.cell.apply(ledger, &mut guarded, now, event);
        let mut left = None;
        if applied.is_err() {
            // It is not Enabled any more. What follows from its use is told when it is.
            guarded.usage.verdict_not_heard();
        } else if !guarded.machine.has_instance() {
            left = guarded.instance.take();
            // It need not be looked for in the next cycle.
            let schedule = guarded.machine.schedule();
            ledger.rearm(self.cell.index, schedule.next(), schedule.interval());
        }
        drop(guarded);
        self.log_notable(applied.ok());
        left
    }
}
