//! Random sequences of events under random policies, which change as it goes: what H1 to H5 promise holds after every step, and the short
//! way of a good update is the long one.

mod chance;

use std::time::Duration;

use plugin_engine_core::{
    BreakerState, CallId, CallKind, CallOutcome, Cause, CreateReason, Event, Health, HealthPolicy,
    Machine, Moment, OnUnhealthy, PluginState, Record, RejectReason, RestartPolicy, Schedule, Step,
    WallTime, next_state,
};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use chance::{Action, Move, moves, policy};

use super::{MS, Which, limits};

/// More is never left to be said after one event.
const ROUNDS_MAX: u32 = 3;
/// How many instances there are at most where those that hang are replaced.
const INSTANCES_MAX: usize = 3;

/// A machine, and what was said of it so far.
struct Watched {
    machine: Machine,
    now: u64,
    /// Whether it was said that it is unhealthy, and nothing since that it is not.
    in_episode: bool,
    /// The moments of the restarts that count, as far as all of them are known.
    restarts: Option<Vec<u64>>,
    thread_panics: u64,
}

impl Watched {
    fn new(interval_ms: u64, policy: HealthPolicy) -> Self {
        let schedule = Schedule::new(Duration::from_millis(interval_ms), Duration::ZERO);
        let mut machine = Machine::new(schedule, limits());
        machine.set_health_policy(policy);
        Self {
            machine,
            now: 0,
            in_episode: false,
            restarts: Some(Vec::new()),
            thread_panics: 0,
        }
    }

    fn at(&self) -> Moment {
        Moment::from_nanos(self.now)
    }

    fn wall(&self) -> WallTime {
        WallTime::from_unix_nanos(self.now + 1)
    }

    fn play(&mut self, step: &Move) {
        self.now += step.after_ms * MS;
        match &step.action {
            Action::Usual { outcome, hangs } => {
                let event = self.usual(outcome, *hangs);
                self.apply(event);
            }
            Action::Plain(event) => self.apply(event.clone()),
            Action::End(which, outcome) => {
                let newest = self.machine.counts().calls;
                let id = match which {
                    Which::Current => self.machine.in_flight().map(|call| call.id),
                    Which::Earlier(index) => Some(CallId(index.index(newest as usize + 1) as u64)),
                    Which::Unknown => Some(CallId(newest + 1)),
                };
                self.apply(Event::CallEnded {
                    id: id.unwrap_or(CallId(newest)),
                    outcome: outcome.clone(),
                });
            }
            Action::Policy(policy) => {
                self.machine.set_health_policy(*policy);
                // What counted by the policy before is not known here.
                self.restarts = None;
            }
        }
        self.check_state();
        self.check_short_way();
    }

    fn usual(&mut self, outcome: &CallOutcome, hangs: bool) -> Event {
        let machine = &self.machine;
        let outcome = outcome.clone();
        if let Some(call) = machine.in_flight() {
            let id = call.id;
            match (call.abandoned, hangs) {
                (false, false) => return Event::CallEnded { id, outcome },
                (false, true) => {
                    self.now += limits().of(call.call).as_nanos() as u64;
                    let why = plugin_engine_core::AbandonReason::Deadline;
                    return Event::Abandoned { id, why };
                }
                (true, false) => {}
                (true, true) => return Event::CallEnded { id, outcome },
            }
        }
        match machine.state() {
            PluginState::Unloaded => return Event::Mapped,
            PluginState::Loaded => return Event::CreateStarted(CreateReason::Load),
            PluginState::Disabled => return Event::CreateStarted(CreateReason::SwitchedOn),
            _ => {}
        }
        let Some(next) = machine.schedule().next() else {
            return Event::CreateStarted(CreateReason::Reset);
        };
        self.now = self.now.max(next.as_nanos());
        let machine = &self.machine;
        let stuck = machine.in_flight().is_some();
        if machine.waits_for_restart() {
            Event::CreateStarted(CreateReason::Restart)
        } else if machine.replacement_is_due(self.at()) {
            Event::CreateStarted(CreateReason::Hung)
        } else if stuck {
            Event::TickSkipped
        } else if machine.is_poisoned() {
            Event::CreateStarted(CreateReason::Anew)
        } else if !machine.has_instance() {
            // One that was sound is destroyed for a reset, or for another build.
            Event::CreateStarted(CreateReason::Reset)
        } else {
            Event::UpdateStarted { on_demand: false }
        }
    }

    fn apply(&mut self, event: Event) {
        let before = self.machine.clone();
        let (at, wall) = (self.at(), self.wall());
        match self.machine.apply(at, wall, event.clone()) {
            Ok(step) => self.check_step(&before, &event, &step),
            Err(_) => {
                let after = format!("{:?}", self.machine);
                assert_eq!(format!("{before:?}"), after, "{event:?} left a trace");
                return;
            }
        }
        let mut rounds = 0;
        while self.machine.has_more_to_say() {
            rounds += 1;
            assert!(
                rounds <= ROUNDS_MAX,
                "there is no end to what {event:?} says"
            );
            let before = self.machine.clone();
            let step = self.machine.apply(at, wall, Event::Judged);
            let step = step.expect("there is more to say");
            assert!(step.record.is_some(), "nothing was said");
            self.check_step(&before, &Event::Judged, &step);
        }
        assert_eq!(
            self.machine.clone().apply(at, wall, Event::Judged),
            Err(RejectReason::Illegal(self.machine.state()))
        );
    }

    fn check_step(&mut self, before: &Machine, event: &Event, step: &Step) {
        let (was, is) = (before.state(), self.machine.state());
        self.thread_panics += u64::from(matches!(event, Event::ThreadPanicked(_)));
        self.check_claims(event, step);
        if begins_anew(event) {
            self.restarts = Some(Vec::new());
        }
        match &step.record {
            None => assert_eq!(was, is, "{event:?} changed the state without an entry"),
            Some(record) => {
                assert_eq!((record.from, record.to), (was, is), "{event:?}");
                assert_eq!(next_state(was, record.cause), Some(is), "{event:?}");
                self.check_record(before, event, record);
            }
        }
        if step.effects.became_unhealthy {
            assert!(!self.in_episode, "{event:?} says it twice");
            self.in_episode = true;
        }
        let health = self.machine.health();
        assert_eq!(health == Health::Unhealthy, self.in_episode, "{event:?}");
        assert_eq!(step.effects.health_changed, health != before.health());
        let moved = before.schedule().next() != self.machine.schedule().next();
        if moved && !step.effects.rearm {
            assert_on_grid(before, &self.machine, event);
        }
    }

    fn check_record(&mut self, before: &Machine, event: &Event, record: &Record) {
        let policy = *self.machine.health_policy();
        if let Event::Judged = event {
            let expected = match record.cause {
                Cause::Unhealthy | Cause::GaveUp => OnUnhealthy::Restart,
                Cause::TurnedUnhealthy => OnUnhealthy::None,
                Cause::SwitchedOff => OnUnhealthy::Disable,
                Cause::Unloaded => OnUnhealthy::Unload,
                cause => {
                    use Cause::{BreakerClosed, BreakerOpened, Recovered};
                    assert!([BreakerClosed, BreakerOpened, Recovered].contains(&cause));
                    policy.on_unhealthy
                }
            };
            assert_eq!(policy.on_unhealthy, expected, "{}", record.cause);
            if !matches!(record.cause, Cause::BreakerClosed | Cause::Recovered) {
                let told = self.in_episode || record.cause == Cause::BreakerOpened;
                assert!(told && record.error.is_some(), "{} of what?", record.cause);
            }
        } else if ends_episode(record.cause) {
            self.in_episode = false;
        }
        if record.cause == Cause::Recovered {
            self.in_episode = false;
        }
        if record.cause == Cause::Restarted {
            assert!(before.waits_for_restart() && before.in_flight().is_some());
        }
        if record.cause == Cause::Replaced {
            assert!(self.machine.orphans() < INSTANCES_MAX);
        }
        self.check_restarts(record, &policy.restart);
        if begins_anew_with(record.cause) {
            self.restarts = Some(Vec::new());
        }
    }

    /// Never more restarts than are allowed within a window, and none given up before.
    fn check_restarts(&mut self, record: &Record, policy: &RestartPolicy) {
        use Cause::{CreateFailed, GaveUp, Unhealthy};
        let Some(restarts) = &mut self.restarts else {
            return;
        };
        let window = policy.window.as_nanos() as u64;
        let since = |at: &&u64| self.now.saturating_sub(**at) < window;
        let recent = restarts.iter().filter(since).count();
        let most = policy.max_restarts.map(|most| most as usize);
        match record.cause {
            Unhealthy | CreateFailed if self.machine.waits_for_restart() => {
                assert!(
                    most.is_none_or(|most| recent < most),
                    "{recent} of {most:?}"
                );
                let next = self.machine.schedule().next().expect("it is waited for");
                restarts.push(next.as_nanos());
                // Wherever a window begins, it holds no more than there may be.
                for begin in restarts.iter() {
                    let within = restarts
                        .iter()
                        .filter(|at| *at >= begin && *at - begin < window);
                    assert!(most.is_none_or(|most| within.count() <= most));
                }
            }
            GaveUp => assert!(
                most.is_some_and(|most| recent >= most),
                "{recent} of {most:?}"
            ),
            _ => {}
        }
    }

    /// Whatever way a call ends, its claim is gone.
    fn check_claims(&self, event: &Event, step: &Step) {
        let in_flight = self.machine.in_flight();
        match event {
            Event::CallEnded { id, .. } => {
                assert!(in_flight.is_none_or(|call| call.id != *id));
            }
            Event::Abandoned { id, .. } => {
                assert!(in_flight.is_some_and(|call| call.id == *id && call.abandoned));
            }
            _ => assert_eq!(
                step.call.is_some(),
                in_flight.is_some_and(|call| Some(call.id) == step.call)
            ),
        }
        let counts = self.machine.counts();
        let waited_for = in_flight.is_some_and(|call| !call.abandoned);
        let ended = counts.successes + counts.failures + counts.timeouts + counts.panics;
        assert_eq!(
            counts.calls,
            ended - self.thread_panics + u64::from(waited_for)
        );
    }

    fn check_state(&self) {
        let machine = &self.machine;
        let next = machine.schedule().next();
        let waits = machine.waits_for_restart();
        match machine.state() {
            PluginState::Enabled | PluginState::Running => assert!(next.is_some() && !waits),
            PluginState::Error => assert_eq!(waits, next.is_some()),
            _ => assert!(next.is_none() && !waits),
        }
        let running = machine
            .in_flight()
            .is_some_and(|call| !call.abandoned && call.call == CallKind::Update);
        assert_eq!(machine.state() == PluginState::Running, running);
        assert!(machine.state() != PluginState::Error || machine.has_error());
        match machine.breaker() {
            BreakerState::Off => assert!(machine.health_policy().breaker.is_none()),
            BreakerState::Open => assert_eq!(machine.state(), PluginState::Enabled),
            BreakerState::HalfOpen => assert_eq!(machine.state(), PluginState::Running),
            BreakerState::Closed => {}
        }
        if machine.counts().calls == 0 {
            assert_eq!(machine.health(), Health::Unknown);
        }
        let reason = machine.health_reason();
        let well = matches!(machine.health(), Health::Unknown | Health::Healthy);
        assert_eq!(reason.is_none(), well);
        self.check_ticks();
    }

    /// A tick that has come leads to what it is for: nothing is due for ever.
    fn check_ticks(&self) {
        let machine = &self.machine;
        let Some(next) = machine.schedule().next() else {
            return;
        };
        let free = machine.in_flight().is_none();
        let then = Moment::from_nanos(self.now).max(next);
        let mut later = machine.clone();
        if machine.waits_for_restart() && free {
            let restart = Event::CreateStarted(CreateReason::Restart);
            assert!(later.apply(then, self.wall(), restart).is_ok());
        } else if machine.state() == PluginState::Enabled
            && free
            && machine.has_instance()
            && !machine.is_poisoned()
        {
            let update = Event::UpdateStarted { on_demand: false };
            assert!(later.apply(then, self.wall(), update).is_ok());
        }
    }

    /// Where the short way can be taken, it does what the long one does, and nothing is left to say.
    fn check_short_way(&self) {
        let (at, wall) = (self.at(), self.wall());
        let mut short = self.machine.clone();
        let mut long = self.machine.clone();
        if let Some(id) = short.start_plain_update(at, wall) {
            let step = long.apply(at, wall, Event::UpdateStarted { on_demand: false });
            let step = step.expect("the long way is open, too");
            assert_eq!(step.call, Some(id));
            assert_eq!(step.effects, plugin_engine_core::Effects::default());
            assert_eq!(format!("{short:?}"), format!("{long:?}"));
        }
        let Some(id) = short.in_flight().map(|call| call.id) else {
            return;
        };
        if let Some(duration) = short.complete_plain_update(at, wall, id) {
            let outcome = CallOutcome::Completed;
            let step = long.apply(at, wall, Event::CallEnded { id, outcome });
            let step = step.expect("the long way is open, too");
            let record = step.record.expect("an entry");
            assert!(record.is_routine());
            assert_eq!(record.duration, Some(duration));
            assert!(!step.effects.rearm && !step.effects.health_changed);
            assert!(!long.has_more_to_say() && !short.has_more_to_say());
            assert_eq!(format!("{short:?}"), format!("{long:?}"));
        }
    }
}

/// Without a word to the timers, the next tick is some intervals later.
fn assert_on_grid(before: &Machine, after: &Machine, event: &Event) {
    let ticks = |machine: &Machine| machine.schedule().next().map(Moment::as_nanos);
    let (Some(was), Some(is)) = (ticks(before), ticks(after)) else {
        panic!("{event:?} starts or stops the ticks without a word");
    };
    let interval = after.schedule().interval().as_nanos() as u64;
    assert!(is > was && (is - was).is_multiple_of(interval), "{event:?}");
}

/// Somebody wants the plugin anew, whatever was tried before.
fn begins_anew(event: &Event) -> bool {
    use CreateReason::{Reset, SwitchedOn};
    matches!(event, Event::CreateStarted(SwitchedOn | Reset))
}

fn begins_anew_with(cause: Cause) -> bool {
    ends_episode(cause) || cause == Cause::LoadFailed
}

/// What ends an unhealthy episode at once.
fn ends_episode(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::Reset
            | Cause::SwitchedOn
            | Cause::Reloaded
            | Cause::RolledBack
            | Cause::Mapped
            | Cause::LoadFailed
            | Cause::Unloaded
            | Cause::FileRemoved
            | Cause::ShutDown
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "proptest-regressions/health.txt",
        ))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_under_whatever_policy_the_promises_of_health_hold(
        interval_ms in 1..60_u64,
        policy in policy(),
        moves in moves(),
    ) {
        let mut watched = Watched::new(interval_ms, policy);
        for step in &moves {
            watched.play(step);
        }
    }
}
