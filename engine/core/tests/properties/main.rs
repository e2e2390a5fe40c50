//! Random sequences of events and commands, on a machine and on a ledger beside it; after every step the two agree and
//! every promise holds.

mod health;
mod model;

use std::time::Duration;

use plugin_engine_core::{
    AbandonReason, Admission, CallId, CallKind, CallLimits, CallOutcome, Command, CreateReason,
    Event, FaultKind, FaultReport, HealthPolicy, InFlight, Machine, Moment, OnUnhealthy,
    PluginState, RestartPolicy, Schedule, Takeover, WallTime, next_state,
};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use model::{Answer, Model, mark};

const MS: u64 = 1_000_000;

/// Which call an event speaks of.
#[derive(Debug, Clone)]
enum Which {
    /// The one in flight on the current instance, if there is one.
    Current,
    /// Any number up to the newest: ended, in flight or stuck.
    Earlier(prop::sample::Index),
    /// One that never was.
    Unknown,
}

#[derive(Debug, Clone)]
enum Action {
    /// What would come next in the life of a plugin; without these, chance seldom gets one past its first create.
    Usual {
        outcome: CallOutcome,
        hangs: bool,
        or_else: bool,
    },
    Plain(Event),
    End(Which, CallOutcome),
    Abandon(Which, AbandonReason),
    Command(Command),
}

/// An action, how long after the one before it, and what the wall clock reads then.
#[derive(Debug, Clone)]
struct Move {
    after_ms: u64,
    wall: WallTime,
    action: Action,
}

fn report(kind: FaultKind) -> FaultReport {
    FaultReport::new(kind, "something happened")
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![
        8 => Just(Which::Current),
        3 => any::<prop::sample::Index>().prop_map(Which::Earlier),
        1 => Just(Which::Unknown),
    ]
}

fn outcome() -> impl Strategy<Value = CallOutcome> {
    let failed = |recoverable, retry_after| CallOutcome::Failed {
        report: report(if recoverable {
            FaultKind::Failed
        } else {
            FaultKind::Permanent
        }),
        recoverable,
        retry_after,
    };
    prop_oneof![
        6 => Just(CallOutcome::Completed),
        2 => Just(failed(true, None)),
        1 => (0..300_u64).prop_map(move |ms| failed(true, Some(Duration::from_millis(ms)))),
        1 => Just(failed(false, None)),
        2 => Just(CallOutcome::Panicked(report(FaultKind::Panic))),
    ]
}

fn create_reason() -> impl Strategy<Value = CreateReason> {
    prop::sample::select(vec![
        CreateReason::Load,
        CreateReason::SwitchedOn,
        CreateReason::Reset,
        CreateReason::Anew,
        CreateReason::RequirementMet,
    ])
}

fn plain_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Mapped),
        3 => Just(Event::LoadFailed(report(FaultKind::Load))),
        3 => Just(Event::RequirementUnmet(report(FaultKind::Requirement))),
        12 => any::<bool>().prop_map(|on_demand| Event::UpdateStarted { on_demand }),
        4 => Just(Event::DisplayStarted),
        10 => create_reason().prop_map(Event::CreateStarted),
        2 => Just(Event::DestroyStarted { current: true }),
        3 => Just(Event::TickSkipped),
        2 => Just(Event::CallRefused(report(FaultKind::Refused))),
        1 => Just(Event::CallRefused(report(FaultKind::Requirement))),
        1 => Just(Event::ThreadPanicked(report(FaultKind::ThreadPanic))),
        3 => takeover().prop_map(|takeover| Event::Reloaded(Box::new(takeover))),
        1 => takeover().prop_map(|Takeover { schedule, limits, .. }| Event::Reconfigured {
            schedule,
            limits,
        }),
        // That an instance was created anew only who has stopped one can say, and that is not chance.
        1 => Just(Event::ReloadRefused {
            report: report(FaultKind::Load),
            created_anew: false,
        }),
        1 => Just(Event::ReplacedNotDestroyed(report(FaultKind::Panic))),
        2 => Just(Event::SaveStarted),
        1 => Just(Event::NotPutBack(report(FaultKind::Failed))),
        1 => Just(Event::SwitchedOff),
        1 => Just(Event::Unloaded),
        1 => Just(Event::FileRemoved),
        1 => Just(Event::ShutDown),
    ]
}

/// Mostly another schedule than before, now and then the same.
fn takeover() -> impl Strategy<Value = Takeover> {
    let interval = prop::sample::select(vec![10_u64, 50, 100]);
    (interval, any::<bool>()).prop_map(|(interval_ms, rolls_back)| Takeover {
        schedule: Schedule::new(Duration::from_millis(interval_ms), Duration::ZERO),
        limits: limits(),
        rolls_back,
        note: None,
    })
}

fn limits() -> CallLimits {
    let limit = Duration::from_millis(20);
    CallLimits {
        create: limit,
        update: limit,
        display: limit,
        destroy: limit,
        state: limit,
    }
}

fn action() -> impl Strategy<Value = Action> {
    let why = prop::sample::select(vec![AbandonReason::Deadline, AbandonReason::ShutDown]);
    let usual = (outcome(), prop::bool::weighted(0.15), any::<bool>());
    let usual = usual.prop_map(|(outcome, hangs, or_else)| Action::Usual {
        outcome,
        hangs,
        or_else,
    });
    prop_oneof![
        24 => usual,
        8 => plain_event().prop_map(Action::Plain),
        5 => (which(), outcome()).prop_map(|(which, outcome)| Action::End(which, outcome)),
        2 => (which(), why).prop_map(|(which, why)| Action::Abandon(which, why)),
        2 => prop::sample::select(Command::ALL.to_vec()).prop_map(Action::Command),
    ]
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let after_ms = prop_oneof![Just(0), 0..30_u64, 0..400_u64];
    let one = (after_ms, any::<u64>(), action()).prop_map(|(after_ms, wall, action)| Move {
        after_ms,
        // The wall clock jumps about as it likes.
        wall: WallTime::from_unix_nanos(wall / 8),
        action,
    });
    prop::collection::vec(one, 1..80)
}

/// A machine that nothing follows in by itself.
fn patient(schedule: Schedule) -> Machine {
    let mut machine = Machine::new(schedule, limits());
    machine.set_health_policy(HealthPolicy {
        panic_limit: None,
        on_unhealthy: OnUnhealthy::None,
        restart: RestartPolicy {
            max_restarts: Some(0),
            ..RestartPolicy::default()
        },
        ..HealthPolicy::default()
    });
    machine
}

/// A machine and the ledger beside it.
struct Pair {
    machine: Machine,
    model: Model,
    now: u64,
}

impl Pair {
    fn new(interval_ms: u64, phase_ms: u64) -> Self {
        let interval = Duration::from_millis(interval_ms);
        let phase = Duration::from_millis(phase_ms);
        Self {
            machine: patient(Schedule::new(interval, phase)),
            model: Model::new(interval_ms * MS, phase_ms * MS),
            now: 0,
        }
    }

    fn id(&self, which: &Which) -> CallId {
        let newest = self.machine.counts().calls;
        match which {
            Which::Current => self
                .machine
                .in_flight()
                .map_or(CallId(newest), |call| call.id),
            Which::Earlier(index) => CallId(index.index(newest as usize + 1) as u64),
            Which::Unknown => CallId(newest + 1),
        }
    }

    fn play(&mut self, step: &Move) {
        self.now += step.after_ms * MS;
        let event = match &step.action {
            Action::Usual {
                outcome,
                hangs,
                or_else,
            } => self.usual(outcome, *hangs, *or_else),
            Action::Plain(event) => event.clone(),
            Action::End(which, outcome) => Event::CallEnded {
                id: self.id(which),
                outcome: outcome.clone(),
            },
            Action::Abandon(which, why) => Event::Abandoned {
                id: self.id(which),
                why: *why,
            },
            Action::Command(command) => {
                let Some(event) = Model::first_event(*command) else {
                    return;
                };
                self.check_admission(step.wall, *command, &event);
                event
            }
        };
        self.apply(step.wall, &event);
        self.check_promises();
    }

    fn usual(&self, outcome: &CallOutcome, hangs: bool, or_else: bool) -> Event {
        let machine = &self.machine;
        let stuck = machine.in_flight().is_some_and(|call| call.abandoned);
        match (machine.in_flight(), machine.state()) {
            (Some(&InFlight { id, abandoned, .. }), _) if !abandoned => {
                if hangs {
                    let why = AbandonReason::Deadline;
                    Event::Abandoned { id, why }
                } else {
                    let outcome = outcome.clone();
                    Event::CallEnded { id, outcome }
                }
            }
            (_, PluginState::Unloaded) => Event::Mapped,
            (_, PluginState::Loaded) => Event::CreateStarted(CreateReason::Load),
            (_, PluginState::Error) if or_else => {
                Event::CreateStarted(CreateReason::RequirementMet)
            }
            (_, PluginState::Error) => Event::CreateStarted(CreateReason::Reset),
            (_, PluginState::Disabled) => Event::CreateStarted(CreateReason::SwitchedOn),
            (_, PluginState::Enabled | PluginState::Running) if stuck && or_else => {
                Event::TickSkipped
            }
            (_, PluginState::Enabled | PluginState::Running) => {
                if stuck || machine.is_poisoned() || !machine.has_instance() {
                    Event::CreateStarted(CreateReason::Anew)
                } else if or_else {
                    Event::DisplayStarted
                } else {
                    Event::UpdateStarted { on_demand: false }
                }
            }
        }
    }

    /// What is admitted is not illegal, what is denied is, and who is told that it is so already is told the truth.
    fn check_admission(&self, wall: WallTime, command: Command, event: &Event) {
        let answer = self.model.clone().step(self.now, wall, event);
        let state = self.model.state;
        let waited_for = self.machine.in_flight().filter(|call| !call.abandoned);
        match self.machine.admit(command) {
            Ok(Admission::Accepted) => {
                assert!(waited_for.is_none(), "{command} is admitted during a call");
                let refusal = self.machine.clone().apply(self.at(), wall, event.clone());
                let text = format!("{refusal:?}");
                assert!(
                    !text.contains("Illegal") && !text.contains("Busy"),
                    "{command}: {text}"
                );
            }
            Ok(Admission::WhenCallEnds) => {
                assert!(waited_for.is_some(), "{command} waits for nothing")
            }
            Ok(Admission::AlreadySo) => {
                let leaving = waited_for.is_some_and(|call| call.call == CallKind::Create);
                assert!(
                    !leaving || state == PluginState::Enabled,
                    "{command} in {state}"
                );
            }
            Ok(Admission::Denied) => panic!("{command} is denied without a reason"),
            Err(denied) => {
                assert_eq!(denied.state, state);
                assert_eq!(answer, Answer::Refused, "{command} is denied in {state}");
            }
        }
    }

    fn at(&self) -> Moment {
        Moment::from_nanos(self.now)
    }

    fn apply(&mut self, wall: WallTime, event: &Event) {
        let before = self.machine.clone();
        let untouched = self.model.clone();
        let at = self.at();
        let step = self.machine.apply(at, wall, event.clone());
        let answer = self.model.step(self.now, wall, event);
        let (was, is) = (before.state(), self.machine.state());
        let step = match step {
            Ok(step) => step,
            Err(reason) => {
                assert_eq!(answer, Answer::Refused, "{event:?} was refused: {reason}");
                assert_eq!(format!("{before:?}"), format!("{:?}", self.machine));
                self.model = untouched;
                return;
            }
        };
        if let Some(id) = step.call {
            self.model.number(id);
        }
        match &step.record {
            None => {
                assert_eq!(answer, Answer::Silent, "{event:?}");
                assert_eq!(is, was, "{event:?} changed the state without an entry");
            }
            Some(entry) => {
                assert_eq!(answer, Answer::Entry(entry.cause, entry.to), "{event:?}");
                assert_eq!((entry.from, entry.to), (was, is));
                assert_eq!(next_state(was, entry.cause), Some(is));
            }
        }
        self.check_nothing_goes_back(&before);
    }

    fn check_nothing_goes_back(&self, before: &Machine) {
        let (old, new) = (before.counts(), self.machine.counts());
        assert!(new.calls >= old.calls && new.updates >= old.updates);
        assert!(new.successes >= old.successes && new.failures >= old.failures);
        assert!(new.timeouts >= old.timeouts && new.panics >= old.panics);
        assert!(new.late >= old.late && new.skipped >= old.skipped);
        assert!(self.machine.generation() >= before.generation());
    }

    fn check_promises(&self) {
        let Self { machine, model, .. } = self;
        let state = machine.state();
        assert_eq!(state, model.state);
        assert_eq!(machine.generation(), model.generation);
        assert_eq!(machine.has_instance(), model.has_instance());
        assert_eq!(machine.orphans(), model.orphans());
        assert_eq!(*machine.times(), model.times());

        let in_flight = machine.in_flight();
        let shown = in_flight.map(|call| (call.id, call.call, call.abandoned));
        assert_eq!(shown, model.in_flight());
        let waited_for = in_flight.filter(|call| !call.abandoned);
        let updating = waited_for.is_some_and(|call| call.call == CallKind::Update);
        assert_eq!(state == PluginState::Running, updating);

        assert_eq!(machine.error().map(|error| mark(error)), model.error());
        assert!(state != PluginState::Error || machine.error().is_some());

        let next = machine.schedule().next();
        assert_eq!(next.map(Moment::as_nanos), model.next);
        let on = matches!(state, PluginState::Enabled | PluginState::Running);
        assert!(on || next.is_none(), "due in {state}");

        let counts = machine.counts();
        assert_eq!(*counts, model.counts());
        let ended = counts.successes + counts.failures + counts.timeouts + model.panics_of_calls();
        assert_eq!(counts.calls, ended + u64::from(waited_for.is_some()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 800,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "proptest-regressions/properties.txt",
        ))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_to_a_plugin_its_machine_does_what_the_ledger_says(
        interval_ms in 1..60_u64,
        phase in 0.0..1.0_f64,
        moves in moves(),
    ) {
        let phase_ms = (interval_ms as f64 * phase) as u64;
        let mut pair = Pair::new(interval_ms, phase_ms);
        for step in &moves {
            pair.play(step);
        }
    }
}
