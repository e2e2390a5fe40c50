//! Bugs that are planted, to see that the checks would find them. Each is what a mistake in one part of the engine would look like from the
//! next one: an event that gets lost, a number that is used twice, a timer that is not told.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use plugin_engine::Engine;
use plugin_engine::simulation::{Pause, Question, Stage as _, Tampering};
use plugin_engine_core::{
    AbandonReason, CallKind, CallOutcome, Cause, CreateReason, Event, FaultKind, FaultReport,
    Machine, Moment, PluginState, Schedule, Step, Unmet, WallTime,
};

use crate::world::World;

macro_rules! bugs {
    ($($(#[doc = $doc:literal])+ $bug:ident breaks $promises:expr,)+) => {
        /// A bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Planted { $($(#[doc = $doc])+ $bug,)+ }

        impl Planted {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$bug),+];

            /// The promises of which one is seen to be broken by it first.
            #[must_use]
            pub const fn breaks(self) -> &'static [&'static str] {
                match self { $(Self::$bug => &$promises,)+ }
            }
        }
    };
}

bugs! {
    /// A wall clock that is set forward moves the schedule along.
    WallClockSchedules breaks ["S4", "C2", "C4", "C5", "C7", "H3", "H5"],
    /// A number is left out now and then.
    NumberLeftOut breaks ["S4"],
    /// A number is used twice now and then.
    NumberUsedTwice breaks ["S4"],
    /// A snapshot is not published when an update has failed.
    FailureNotPublished breaks ["S1"],
    /// An entry says that it leads to another state than the plugin is in.
    WrongState breaks ["table"],
    /// The error of an entry is lost on its way into the history.
    ErrorLost breaks ["S3"],
    /// A call that passes its deadline is not abandoned.
    DeadlineIgnored breaks ["C2"],
    /// An update that passes its deadline is taken for one that has failed for good.
    TimeoutIsFinal breaks ["C2"],
    /// An update that has failed is taken for one that completed.
    FailureTakenForSuccess breaks ["C6"],
    /// A success is stamped from its end, so that slow ones drift.
    SuccessesDrift breaks ["C4", "C5"],
    /// After a success the next update comes after half the time.
    SuccessesHurry breaks ["C5"],
    /// An update that has failed is made again after half the time.
    RetriedEarly breaks ["C7"],
    /// What a plugin says of the time until the next try is not heard.
    RetryAfterIgnored breaks ["C4", "C7"],
    /// Timers are not told when the next tick is another one.
    TimersNotTold breaks ["C4", "H3", "H5"],
    /// Now and then a plugin whose tick has come is dropped.
    TickLost breaks ["C4"],
    /// One instance is given to two workers.
    InstanceCalledTwice breaks ["C1"],
    /// The end of a display is lost, and its claim with it.
    EndOfDisplayLost breaks ["C6"],
    /// That an abandoned call has returned is not entered.
    LateReturnLost breaks ["C6"],
    /// The breaker opens one failure too late.
    BreakerOpensLate breaks ["H5"],
    /// The breaker is open for a quarter of the time.
    CoolDownTooShort breaks ["H5"],
    /// The breaker is open for four times as long.
    CoolDownTooLong breaks ["H5"],
    /// An unhealthy episode is not told.
    UnhealthyNotTold breaks ["H2"],
    /// An unhealthy episode is told with every failure in it.
    UnhealthyToldAgain breaks ["H2"],
    /// One panic more than the limit is let pass.
    PanicLimitOffByOne breaks ["H2"],
    /// Restarts do not back off.
    NoBackOff breaks ["H3"],
    /// Restarts are never given up.
    NeverGivesUp breaks ["H3"],
    /// A restart that is due is not made.
    RestartForgotten breaks ["H3"],
    /// What was unloaded by hand is loaded again by itself.
    Resurrected breaks ["L7"],
    /// A replacement takes over, and the history says that it was refused.
    RefusedReloadReplaces breaks ["L5"],
    /// The memory of entries is twice as large as it may be.
    HistoryTooLarge breaks ["S5"],
    /// There are four times as many workers as there should be.
    TooManyWorkers breaks ["X3"],
    /// Workers that have left never end.
    ThreadsNeverEnd breaks ["X2", "X3"],
    /// An instance that has to be given back is not.
    InstanceLeaked breaks ["balance"],
    /// A call that panics is counted twice.
    PanicCountedTwice breaks ["H2", "balance"],
    /// A shutdown takes twice as long as it may.
    ShutdownWaits breaks ["X2"],
    /// Whoever asks something is not woken when the answer is there.
    WakeUpLost breaks ["C6"],
    /// What is not there is taken for there.
    RequirementIgnored breaks ["requires"],
    /// What was held back is not created when it can be.
    HeldBackForever breaks ["requires"],
    /// One that is held back goes on saying what was the reason at first.
    FirstReasonStands breaks ["requires"],
    /// Plugins are stopped in the order in which they were started.
    StoppedAsStarted breaks ["requires"],
    /// A batch is said to be on the disk, and is not.
    BatchLost breaks ["S6"],
    /// An entry is written otherwise than it was.
    WrittenOtherwise breaks ["S6", "table"],
    /// What is to be forgotten stays on the disk.
    ForgetLost breaks ["S5"],
    /// That a person has switched a plugin off is not remembered.
    SwitchedOffForgotten breaks ["L11"],
    /// Generations are counted from the beginning after a restart.
    GenerationsBeginAnew breaks ["S6", "S1"],
    /// What could not be read at the start is not looked at when it can be.
    ReadTooLate breaks ["L11", "S6"],
    /// The mark of the numbers that are set apart is not written.
    MarkLost breaks ["S6"],
    /// A file counts as soon as it is seen, be it half written.
    SettlesAtOnce breaks ["L8"],
    /// A file that is gone counts as gone at once.
    NoGrace breaks ["L8"],
    /// A directory that is gone is taken for one that is empty.
    GoneIsEmpty breaks ["L8"],
    /// What an editor has not finished is taken for a plugin.
    TemporaryLoaded breaks ["L8"],
    /// A change is noticed, and nothing is done about it.
    ChangeLost breaks ["L8"],
    /// That a file is gone is noticed, and its plugin stays.
    RemovalLost breaks ["L8"],
    /// What was refused is refused again at every look.
    RefusedEachLook breaks ["L4"],
    /// A second file takes the id of a plugin that was unloaded.
    DuplicateTakesId breaks ["L10"],
    /// What somebody has unloaded is loaded again when its file is touched.
    UnloadedComesBack breaks ["L11"],
    /// What somebody has switched off is created again when its file comes back.
    OffComesBack breaks ["L11"],
}

impl Planted {
    /// What makes this bug, as far as that lies between the parts of the engine.
    pub(crate) fn tampering(self, world: &Rc<World>) -> Option<Rc<dyn Tampering>> {
        match self {
            Self::InstanceCalledTwice => world.doubles_calls.set(true),
            Self::InstanceLeaked => world.loses_destroys.set(true),
            Self::ThreadsNeverEnd => world.keeps_threads.set(true),
            Self::WakeUpLost => world.loses_wake_ups.set(true),
            Self::GoneIsEmpty => world.directory.looks_empty.set(true),
            Self::DuplicateTakesId => world.directory.hides_files.set(true),
            Self::BatchLost
            | Self::WrittenOtherwise
            | Self::ForgetLost
            | Self::SwitchedOffForgotten
            | Self::GenerationsBeginAnew
            | Self::ReadTooLate
            | Self::MarkLost => world.machine.planted.set(Some(self)),
            Self::WallClockSchedules
            | Self::Resurrected
            | Self::ShutdownWaits
            | Self::SettlesAtOnce
            | Self::NoGrace
            | Self::TooManyWorkers => {}
            _ => {
                return Some(Rc::new(Bug {
                    planted: self,
                    chances: Cell::new(0),
                    is_on_disk: world.machine.is_there.get(),
                }));
            }
        }
        None
    }
}

struct Bug {
    planted: Planted,
    /// How often it had a chance, so that it comes now and then.
    chances: Cell<u64>,
    /// Whether there may be another engine after this one.
    is_on_disk: bool,
}

impl Bug {
    /// Every so often.
    fn now_and_then(&self, every: u64) -> bool {
        let chances = self.chances.get() + 1;
        self.chances.set(chances);
        chances.is_multiple_of(every)
    }

    /// What is said of the outcome of a call, where it is not what it was.
    fn outcome(&self, machine: &Machine, outcome: CallOutcome) -> CallOutcome {
        let in_update = machine
            .in_flight()
            .is_some_and(|call| call.call == CallKind::Update && !call.abandoned);
        match (self.planted, outcome) {
            (
                Planted::RetriedEarly,
                CallOutcome::Failed {
                    report,
                    recoverable: true,
                    retry_after: None,
                },
            ) => CallOutcome::Failed {
                report,
                recoverable: true,
                retry_after: Some(machine.schedule().interval() / 2),
            },
            (
                Planted::RetryAfterIgnored,
                CallOutcome::Failed {
                    report,
                    recoverable,
                    ..
                },
            ) => CallOutcome::Failed {
                report,
                recoverable,
                retry_after: None,
            },
            (Planted::FailureTakenForSuccess, CallOutcome::Failed { .. }) if in_update => {
                CallOutcome::Completed
            }
            (_, outcome) => outcome,
        }
    }

    /// What is said of a plugin's health, where that is not what the configuration says.
    fn policy(&self, machine: &mut Machine) {
        let mut policy = *machine.health_policy();
        let breaker = policy.breaker.as_mut();
        match self.planted {
            Planted::BreakerOpensLate => {
                breaker
                    .into_iter()
                    .for_each(|breaker| breaker.failures += 1);
            }
            Planted::CoolDownTooShort => {
                breaker
                    .into_iter()
                    .for_each(|breaker| breaker.cool_down /= 4);
            }
            Planted::CoolDownTooLong => {
                breaker
                    .into_iter()
                    .for_each(|breaker| breaker.cool_down *= 4);
            }
            Planted::PanicLimitOffByOne => {
                policy.panic_limit = policy.panic_limit.map(|limit| limit + 1);
            }
            Planted::NoBackOff => {
                policy.restart.first_delay = Duration::from_millis(1);
                policy.restart.longest_delay = Duration::from_millis(1);
            }
            Planted::NeverGivesUp => policy.restart.max_restarts = None,
            _ => return,
        }
        machine.set_health_policy(policy);
    }
}

impl Tampering for Bug {
    fn event(&self, _plugin: u32, machine: &Machine, _now: Moment, event: Event) -> Option<Event> {
        let in_flight = machine.in_flight();
        match (self.planted, event) {
            (Planted::DeadlineIgnored, Event::Abandoned { .. })
            | (Planted::RestartForgotten, Event::CreateStarted(CreateReason::Restart))
            | (Planted::HeldBackForever, Event::CreateStarted(CreateReason::RequirementMet)) => {
                None
            }
            (Planted::FirstReasonStands, Event::RequirementUnmet(_))
                if machine.state() == PluginState::Error && machine.has_error() =>
            {
                None
            }
            (
                Planted::TimeoutIsFinal,
                Event::Abandoned {
                    id,
                    why: AbandonReason::Deadline,
                },
            ) if in_flight.is_some_and(|call| call.call == CallKind::Update) => {
                Some(Event::CallEnded {
                    id,
                    outcome: CallOutcome::Failed {
                        report: FaultReport::new(FaultKind::Permanent, "it has timed out"),
                        recoverable: false,
                        retry_after: None,
                    },
                })
            }
            (Planted::EndOfDisplayLost, Event::CallEnded { .. })
                if in_flight.is_some_and(|call| call.call == CallKind::Display) =>
            {
                None
            }
            (Planted::LateReturnLost, Event::CallEnded { .. })
                if in_flight.is_some_and(|call| call.abandoned) =>
            {
                None
            }
            (Planted::RefusedReloadReplaces, Event::Reloaded(takeover))
                if !takeover.rolls_back
                    && machine.has_instance()
                    && !machine.is_poisoned()
                    && in_flight.is_none() =>
            {
                let report = FaultReport::new(FaultKind::Load, "it is said to be refused");
                Some(Event::ReloadRefused {
                    report,
                    created_anew: false,
                })
            }
            (_, Event::CallEnded { id, outcome }) => Some(Event::CallEnded {
                id,
                outcome: self.outcome(machine, outcome),
            }),
            (_, event) => Some(event),
        }
    }

    fn step(&self, _plugin: u32, machine: &mut Machine, now: Moment, step: &mut Step) {
        let cause = step.record.as_ref().map(|record| record.cause);
        if cause == Some(Cause::Mapped) {
            self.policy(machine);
        }
        match (self.planted, &mut step.record) {
            (Planted::WrongState, Some(record))
                if record.cause == Cause::UpdateFailed && self.now_and_then(5) =>
            {
                record.to = PluginState::Error;
            }
            (Planted::ErrorLost, Some(record)) if record.cause == Cause::UpdateFailed => {
                record.error = None;
            }
            (Planted::TimersNotTold, _) if step.effects.rearm && self.now_and_then(5) => {
                step.effects.rearm = false;
            }
            (Planted::SuccessesDrift | Planted::SuccessesHurry, Some(record))
                if record.cause == Cause::UpdateCompleted =>
            {
                let interval = machine.schedule().interval();
                let phase = match self.planted {
                    Planted::SuccessesHurry => interval / 2,
                    _ => interval - Duration::from_nanos(1),
                };
                let again = Event::Reconfigured {
                    schedule: Schedule::new(interval, phase),
                    limits: *machine.limits(),
                };
                let _ = machine.apply(now, WallTime::default(), again);
                step.effects.rearm = true;
            }
            (Planted::UnhealthyNotTold, _) => step.effects.became_unhealthy = false,
            (Planted::UnhealthyToldAgain, Some(record)) => {
                let is_unhealthy = machine.health() == plugin_engine_core::Health::Unhealthy;
                step.effects.became_unhealthy |= is_unhealthy && record.error.is_some();
            }
            (Planted::PanicCountedTwice, Some(record)) if record.cause == Cause::UpdatePanicked => {
                let report = FaultReport::new(FaultKind::ThreadPanic, "the same panic");
                let _ = machine.apply(now, WallTime::default(), Event::ThreadPanicked(report));
            }
            _ => {}
        }
    }

    fn skips(&self, _plugin: u32) -> i64 {
        match self.planted {
            Planted::NumberLeftOut if self.now_and_then(50) => 1,
            Planted::NumberUsedTwice if self.now_and_then(50) => -1,
            _ => 0,
        }
    }

    fn publishes(&self, _plugin: u32, machine: &Machine) -> bool {
        let has_failed = machine.state() == PluginState::Enabled && machine.has_error();
        self.planted != Planted::FailureNotPublished || !has_failed
    }

    fn unmet(&self, unmet: Option<Unmet>) -> Option<Unmet> {
        unmet.filter(|_| self.planted != Planted::RequirementIgnored)
    }

    fn stop_order(&self, order: &mut Vec<usize>) {
        if self.planted == Planted::StoppedAsStarted {
            order.reverse();
        }
    }

    fn due(&self, due: &mut Vec<u32>) {
        if self.planted == Planted::TickLost && self.now_and_then(10) {
            due.pop();
        }
    }

    fn answer(&self, question: Question, answer: bool) -> bool {
        match (self.planted, question) {
            (Planted::ChangeLost, Question::IsChange) => answer && !self.now_and_then(3),
            // What becomes of it after a restart is a promise of its own.
            (Planted::OffComesBack, Question::IsOff) => answer && self.is_on_disk,
            (Planted::RemovalLost, Question::IsRemoval)
            | (Planted::UnloadedComesBack, Question::StaysUnloaded) => false,
            (Planted::TemporaryLoaded, Question::IsPluginName)
            | (Planted::RefusedEachLook, Question::IsTriedAgain) => true,
            _ => answer,
        }
    }

    fn entries_max(&self, entries: usize) -> usize {
        match self.planted {
            Planted::HistoryTooLarge => 2 * entries,
            _ => entries,
        }
    }
}

/// As somebody might who watches the directory, a moment after there was an answer.
pub(crate) fn load_again_later(world: &Rc<World>, engine: Engine, id: String) {
    let waits = Rc::clone(world);
    world.start_of_own("watch", move || {
        waits.pause(Pause::For(Duration::from_millis(5)));
        let _ = engine.load(&id);
    });
}
