//! The cool-down of an open breaker: which ticks it puts off, and that each of them is counted once. When it opens is the breaker's.

use super::Machine;
use crate::Moment;

impl Machine {
    /// An update has failed: the breaker may open, or stay open. Says whether the next tick has moved.
    pub(super) fn begin_cool_down(&mut self, now: Moment) -> bool {
        let was_open = self.health.troubles().breaker.is_open();
        let Some(until) = self.health.breaker_failed(now) else {
            return false;
        };
        self.unsaid.breaker_opened |= !was_open;
        let next = self.schedule.next();
        // What the plugin itself asked for may be longer.
        if next.is_none_or(|next| until <= next) {
            self.put_off(None);
            return false;
        }
        self.put_off(next);
        self.schedule.set_next(until);
        true
    }

    /// An update starts, which is the probe if the breaker is open. Says whether the next tick has moved.
    pub(super) fn begin_probe(&mut self, now: Moment) -> bool {
        if !self.schedule.is_due(now) {
            // Made on demand, before its time: if it turns out well, the ticks go on as they would have.
            return self.end_cool_down();
        }
        self.skip_before_due();
        false
    }

    /// Skips and counts all ticks that have come.
    pub(super) fn skip_come(&mut self, now: Moment) {
        if self.schedule.is_due(now) {
            self.skip_before_due();
        }
        self.counts.skipped += self.schedule.take(now);
    }

    /// The ticks go on as if there had been no cool-down. Says whether the next one has moved.
    pub(super) fn end_cool_down(&mut self) -> bool {
        let put_off = self.take_put_off();
        if let Some(tick) = put_off {
            self.schedule.set_next(tick);
        }
        put_off.is_some()
    }

    /// Counts the ticks that were put off until the one that is due.
    fn skip_before_due(&mut self) {
        self.skip_put_off(Moment::FAR);
        self.put_off(None);
    }

    /// Counts the ticks that were put off and would have come by now. The end of the cool-down is a tick of its own.
    pub(super) fn skip_put_off(&mut self, now: Moment) {
        let (Some(tick), Some(end)) = (self.take_put_off(), self.schedule.next()) else {
            return;
        };
        let before_end = Moment::from_nanos(end.as_nanos().saturating_sub(1));
        let mut grid = self.schedule.clone();
        grid.set_next(tick);
        self.counts.skipped += grid.take(now.min(before_end));
        self.put_off(grid.next());
    }

    fn put_off(&mut self, tick: Option<Moment>) {
        if let Some(troubles) = self.health.troubled() {
            troubles.breaker.puts_off(tick);
        }
    }

    fn take_put_off(&mut self) -> Option<Moment> {
        self.health.troubled()?.breaker.take_put_off()
    }
}
