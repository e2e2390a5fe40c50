//! What the policies have counted so far, for whoever says what they will do next. Nothing here changes or decides anything.

use super::Machine;
use crate::Moment;

impl Machine {
    /// How many restarts lie within the window of the restart policy at `now`, with one that is waited for. As many again as
    /// `max_restarts` are never made: then the plugin is given up.
    #[must_use]
    pub fn restarts_in_window(&self, now: Moment) -> u32 {
        self.health.troubles().restarts.in_window(now)
    }

    /// How many panics count towards `panic_limit`: those since the last healthy period or reset.
    #[must_use]
    pub fn panics_that_count(&self) -> u32 {
        self.health.troubles().panics
    }

    /// The first update that completed since the last failure. A healthy period later, at an update that completes, the plugin
    /// counts as healthy again. `None` where there was no failure, or no success since.
    #[must_use]
    pub fn well_since(&self) -> Option<Moment> {
        self.health.troubles().well_since
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        CallLimits, CallOutcome, CreateReason, Event, FaultKind, FaultReport, Schedule, WallTime,
    };

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Moment {
        Moment::ZERO.saturating_add(Duration::from_secs(seconds))
    }

    fn call(machine: &mut Machine, second: u64, event: Event, outcome: CallOutcome) {
        let wall = WallTime::from_unix_nanos(1);
        let step = machine.apply(at(second), wall, event).unwrap();
        let id = step.call.unwrap();
        let ended = Event::CallEnded { id, outcome };
        machine.apply(at(second), wall, ended).unwrap();
        while machine.has_more_to_say() {
            machine.apply(at(second), wall, Event::Judged).unwrap();
        }
    }

    #[test]
    fn panics_and_the_restart_that_follows_from_them_are_counted_until_they_leave_the_window() {
        let limits = CallLimits {
            create: SECOND,
            update: SECOND,
            display: SECOND,
            destroy: SECOND,
            state: SECOND,
        };
        let mut machine = Machine::new(Schedule::new(SECOND, Duration::ZERO), limits);
        let wall = WallTime::from_unix_nanos(1);
        machine.apply(at(0), wall, Event::Mapped).unwrap();
        let created = Event::CreateStarted(CreateReason::Load);
        call(&mut machine, 0, created, CallOutcome::Completed);
        for second in 1..=3 {
            if second > 1 {
                let anew = Event::CreateStarted(CreateReason::Anew);
                call(&mut machine, second, anew, CallOutcome::Completed);
            }
            assert_eq!(u64::from(machine.panics_that_count()), second - 1);
            assert_eq!(machine.restarts_in_window(at(second)), 0);
            let update = Event::UpdateStarted { on_demand: true };
            let panicked = FaultReport::new(FaultKind::Panic, "no");
            call(
                &mut machine,
                second,
                update,
                CallOutcome::Panicked(panicked),
            );
        }
        assert!(machine.waits_for_restart());
        assert_eq!(machine.restarts_in_window(at(3)), 1);
        assert_eq!(machine.restarts_in_window(at(3 + 599)), 1);
        assert_eq!(machine.restarts_in_window(at(3 + 602)), 0);

        assert_eq!(machine.well_since(), None);
        let restart = Event::CreateStarted(CreateReason::Restart);
        call(&mut machine, 9, restart, CallOutcome::Completed);
        let update = Event::UpdateStarted { on_demand: true };
        call(&mut machine, 10, update, CallOutcome::Completed);
        assert_eq!(machine.well_since(), Some(at(10)));
    }
}
