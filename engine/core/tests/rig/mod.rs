//! A machine on the bench: time is a number that the test sets, and an event that must be taken is one line.

#![allow(dead_code, reason = "every test binary uses its own part of the bench")]

use std::time::Duration;

use plugin_engine_core::{
    AbandonReason, CallId, CallLimits, CallOutcome, CreateReason, Event, Fault, FaultKind,
    FaultReport, HealthPolicy, Machine, Moment, OnUnhealthy, PluginState, RejectReason,
    RestartPolicy, Schedule, Step, Takeover, WallTime,
};

/// The interval of every plugin on the bench.
pub(crate) const INTERVAL_MS: u64 = 1_000;
/// The update timeout of every plugin on the bench.
pub(crate) const TIMEOUT_MS: u64 = 300;

pub(crate) fn at(ms: u64) -> Moment {
    Moment::from_nanos(ms * 1_000_000)
}

/// The wall clock reads 2001-09-09 when the monotonic one reads zero.
pub(crate) fn wall(ms: u64) -> WallTime {
    WallTime::from_unix_nanos((1_000_000_000_000 + ms) * 1_000_000)
}

pub(crate) fn report(kind: FaultKind, message: &str) -> FaultReport {
    FaultReport::new(kind, message)
}

pub(crate) fn failed(message: &str) -> CallOutcome {
    CallOutcome::Failed {
        report: report(FaultKind::Failed, message),
        recoverable: true,
        retry_after: None,
    }
}

pub(crate) fn failed_for_good(message: &str) -> CallOutcome {
    CallOutcome::Failed {
        report: report(FaultKind::Permanent, message),
        recoverable: false,
        retry_after: None,
    }
}

pub(crate) fn panicked(message: &str) -> CallOutcome {
    CallOutcome::Panicked(report(FaultKind::Panic, message))
}

/// Something that the plugin requires is not there.
pub(crate) fn held_back(message: &str) -> Event {
    Event::RequirementUnmet(report(FaultKind::Requirement, message))
}

pub(crate) const DUE: Event = Event::UpdateStarted { on_demand: false };
pub(crate) const ON_DEMAND: Event = Event::UpdateStarted { on_demand: true };

/// What takes over with the schedule and the limits of every plugin on the bench.
pub(crate) fn takeover(rolls_back: bool) -> Takeover {
    let machine = Rig::unloaded().machine;
    Takeover {
        schedule: machine.schedule().clone(),
        limits: *machine.limits(),
        rolls_back,
        note: None,
    }
}

/// Whatever happens, nothing follows from it by itself.
pub(crate) fn patient() -> HealthPolicy {
    HealthPolicy {
        panic_limit: None,
        on_unhealthy: OnUnhealthy::None,
        restart: RestartPolicy {
            max_restarts: Some(0),
            ..RestartPolicy::default()
        },
        ..HealthPolicy::default()
    }
}

/// One plugin's machine and its clock.
pub(crate) struct Rig {
    pub(crate) machine: Machine,
    pub(crate) now_ms: u64,
    pub(crate) wall: Option<WallTime>,
    /// Whether what follows from an event is entered at once, as the engine does.
    pub(crate) follows: bool,
    /// The causes of the entries, since somebody took them.
    pub(crate) entries: Vec<&'static str>,
    /// How often the plugin was said to have become unhealthy.
    pub(crate) told: u32,
}

impl Rig {
    pub(crate) fn unloaded() -> Self {
        let limits = CallLimits {
            create: Duration::from_millis(500),
            update: Duration::from_millis(TIMEOUT_MS),
            display: Duration::from_millis(200),
            destroy: Duration::from_millis(100),
            state: Duration::from_millis(400),
        };
        let schedule = Schedule::new(Duration::from_millis(INTERVAL_MS), Duration::ZERO);
        let mut machine = Machine::new(schedule, limits);
        machine.set_health_policy(patient());
        Self {
            machine,
            now_ms: 0,
            wall: None,
            follows: false,
            entries: Vec::new(),
            told: 0,
        }
    }

    /// Loaded, under a policy that is followed.
    pub(crate) fn loaded_under(policy: HealthPolicy) -> Self {
        let mut rig = Self::loaded();
        rig.machine.set_health_policy(policy);
        rig.follows = true;
        rig.entries.clear();
        rig
    }

    /// Created at zero and due since then, under a policy that is followed.
    pub(crate) fn under(policy: HealthPolicy) -> Self {
        let mut rig = Self::loaded_under(policy);
        rig.create(CreateReason::Load);
        rig.entries.clear();
        rig
    }

    /// The causes of the entries since the last time.
    pub(crate) fn take_entries(&mut self) -> String {
        std::mem::take(&mut self.entries).join(" ")
    }

    pub(crate) fn loaded() -> Self {
        let mut rig = Self::unloaded();
        rig.take(Event::Mapped);
        rig
    }

    /// Created at zero, and due since then.
    pub(crate) fn enabled() -> Self {
        let mut rig = Self::loaded();
        rig.create(CreateReason::Load);
        rig
    }

    /// A machine in this state without a call in flight, except the update that makes the state Running.
    pub(crate) fn in_state(state: PluginState) -> Self {
        let mut rig = match state {
            PluginState::Unloaded => Self::unloaded(),
            PluginState::Loaded => Self::loaded(),
            _ => Self::enabled(),
        };
        match state {
            PluginState::Running => drop(rig.start(DUE)),
            PluginState::Error => {
                let id = rig.start(DUE);
                rig.end(id, failed_for_good("broken"));
            }
            PluginState::Disabled => drop(rig.take(Event::SwitchedOff)),
            _ => {}
        }
        assert_eq!(rig.state(), state);
        rig
    }

    pub(crate) fn at(&mut self, ms: u64) -> &mut Self {
        self.now_ms = ms;
        self
    }

    /// Applies an event that may be refused.
    pub(crate) fn offer(&mut self, event: Event) -> Result<Step, RejectReason> {
        let step = self.apply(event)?;
        let mut rounds = 0;
        while self.follows && self.machine.has_more_to_say() {
            rounds += 1;
            assert!(rounds <= 3, "more is said than there is");
            self.apply(Event::Judged)?;
        }
        Ok(step)
    }

    fn apply(&mut self, event: Event) -> Result<Step, RejectReason> {
        let wall = self.wall.unwrap_or(wall(self.now_ms));
        let step = self.machine.apply(at(self.now_ms), wall, event)?;
        let cause = step.record.as_ref().map(|record| record.cause.name());
        self.entries.extend(cause);
        self.told += u32::from(step.effects.became_unhealthy);
        Ok(step)
    }

    /// Applies an event that must be taken.
    #[track_caller]
    pub(crate) fn take(&mut self, event: Event) -> Step {
        let text = format!("{event:?}");
        match self.offer(event) {
            Ok(step) => step,
            Err(reason) => panic!("{text} was refused: {reason}"),
        }
    }

    /// Applies an event that must be refused, and sees to it that nothing changes.
    #[track_caller]
    pub(crate) fn refused(&mut self, event: Event) -> RejectReason {
        let before = format!("{:?}", self.machine);
        let text = format!("{event:?}");
        match self.offer(event) {
            Ok(step) => panic!("{text} was taken: {step:?}"),
            Err(reason) => {
                assert_eq!(before, format!("{:?}", self.machine), "{text} left a trace");
                reason
            }
        }
    }

    #[track_caller]
    pub(crate) fn start(&mut self, event: Event) -> CallId {
        self.take(event).call.expect("the event starts a call")
    }

    #[track_caller]
    pub(crate) fn end(&mut self, id: CallId, outcome: CallOutcome) -> Step {
        self.take(Event::CallEnded { id, outcome })
    }

    #[track_caller]
    pub(crate) fn time_out(&mut self, id: CallId) -> Step {
        let why = AbandonReason::Deadline;
        self.take(Event::Abandoned { id, why })
    }

    #[track_caller]
    pub(crate) fn create(&mut self, reason: CreateReason) -> Step {
        let id = self.start(Event::CreateStarted(reason));
        self.end(id, CallOutcome::Completed)
    }

    /// A due update that ends at once.
    #[track_caller]
    pub(crate) fn update(&mut self, outcome: CallOutcome) -> Step {
        let id = self.start(DUE);
        self.end(id, outcome)
    }

    /// A display that ends at once.
    #[track_caller]
    pub(crate) fn display(&mut self, outcome: CallOutcome) -> Step {
        let id = self.start(Event::DisplayStarted);
        self.end(id, outcome)
    }

    /// A due update that passes its deadline and does not return.
    #[track_caller]
    pub(crate) fn hang(&mut self) -> CallId {
        let id = self.start(DUE);
        self.now_ms += TIMEOUT_MS;
        self.time_out(id);
        id
    }

    pub(crate) fn state(&self) -> PluginState {
        self.machine.state()
    }

    pub(crate) fn next_ms(&self) -> Option<u64> {
        let next = self.machine.schedule().next()?;
        Some(next.as_nanos() / 1_000_000)
    }

    #[track_caller]
    pub(crate) fn error(&self) -> &Fault {
        self.machine.error().expect("an error stands")
    }

    pub(crate) fn message(&self) -> Option<&str> {
        self.machine.error().map(|error| &*error.message)
    }
}
