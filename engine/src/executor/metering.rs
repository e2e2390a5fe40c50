//! Measuring calls on the worker that makes them, and telling when a plugin has passed a limit of what it may use.

use plugin_engine_core::{CallKind, Moment};

use super::call::Caller;
use crate::config::USAGE_WINDOW;
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

    /// Judges what the plugin has used in the window that ends now, if one does.
    pub(super) fn judge_usage(&self, now: Moment) {
        let mut guarded = self.cell.lock();
        let guarded_now = &mut *guarded;
        let source = &guarded_now.source;
        let verdict = guarded_now.usage.judge(now, || match source {
            Some(source) => source.config.limits(),
            None => UsageLimits::none(USAGE_WINDOW),
        });
        drop(guarded);
        if let Some(verdict) = verdict {
            self.tell(verdict);
        }
    }

    /// Tells that a limit was passed, or is kept again.
    fn tell(&self, verdict: Verdict) {
        let id = &self.cell.id;
        match verdict {
            Verdict::Passed { unhealthy, report } => self.slot.outside(|| {
                let message = &report.message;
                tracing::warn!(target: "plugin_engine::usage", plugin = %id, unhealthy, %message, "a limit was passed");
            }),
            Verdict::Kept => self.slot.outside(|| {
                tracing::info!(target: "plugin_engine::usage", plugin = %id, "the limits are kept again");
            }),
        }
    }
}
