//! A reference of what a plugin does: a ledger of everything that happened, from which every answer is read off.
//!
//! Where the machine keeps counters, flags and a schedule, this keeps the list of calls, the list of errors and a tick
//! that is moved by hand, one at a time. It is slow, and simple enough to be believed.

mod readings;

use plugin_engine_core::{
    CallId, CallKind, CallOutcome, Cause, Command, CreateReason, Event, Fault, FaultKind,
    FaultReport, Moment, PluginState, Schedule, Takeover, WallTime,
};

use PluginState::{Disabled, Enabled, Error, Loaded, Running, Unloaded};

const MS: u64 = 1_000_000;

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    InTime,
    Completed,
    Failed,
    Panicked,
    TimedOut { returned: bool },
}

#[derive(Debug, Clone)]
struct Call {
    id: Option<CallId>,
    kind: CallKind,
    reason: Option<CreateReason>,
    fate: Fate,
    settled: Option<WallTime>,
    orphan: bool,
}

/// Which success clears an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ground {
    State,
    Update,
    Display,
}

/// What an error is recognised by.
pub(crate) type Mark = (FaultKind, Option<CallKind>, WallTime);

pub(crate) fn mark(fault: &Fault) -> Mark {
    (fault.kind, fault.call, fault.at)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instance {
    None,
    Sound,
    Poisoned,
}

#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) state: PluginState,
    pub(crate) generation: u32,
    pub(crate) next: Option<u64>,
    interval: u64,
    phase: u64,
    calls: Vec<Call>,
    standing: Vec<(Ground, Mark)>,
    instance: Instance,
    thread_panics: u64,
    skipped: u64,
}

/// What the ledger says of an event: refused, or taken with or without an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Refused,
    Silent,
    Entry(Cause, PluginState),
}

impl Model {
    pub(crate) fn new(interval: u64, phase: u64) -> Self {
        Self {
            state: Unloaded,
            generation: 0,
            next: None,
            interval,
            phase,
            calls: Vec::new(),
            standing: Vec::new(),
            instance: Instance::None,
            thread_panics: 0,
            skipped: 0,
        }
    }

    /// The event that a command leads to first; none, where it is nothing to the machine.
    pub(crate) fn first_event(command: Command) -> Option<Event> {
        Some(match command {
            Command::Load => Event::Mapped,
            Command::Enable => Event::CreateStarted(CreateReason::SwitchedOn),
            Command::Disable => Event::SwitchedOff,
            Command::Reset => Event::CreateStarted(CreateReason::Reset),
            Command::Update => Event::UpdateStarted { on_demand: true },
            Command::Display => Event::DisplayStarted,
            Command::Unload => Event::Unloaded,
            // It changes no state and is no event.
            Command::Forget => return None,
            // What it may come to in every state.
            Command::Reload => Event::ReloadRefused {
                report: FaultReport::new(FaultKind::Load, "half a file"),
                created_anew: false,
            },
        })
    }

    /// Enters an event in the ledger.
    pub(crate) fn step(&mut self, now: u64, wall: WallTime, event: &Event) -> Answer {
        let answer = self.answer(now, wall, event);
        if let Answer::Entry(_, to) = answer {
            self.state = to;
        }
        answer
    }

    /// Tells the ledger which number the call got that was entered last.
    pub(crate) fn number(&mut self, id: CallId) {
        assert!(
            self.calls.iter().all(|call| call.id != Some(id)),
            "{id:?} was there before"
        );
        let call = self.calls.last_mut().expect("a call was entered");
        assert_eq!(
            call.id.replace(id),
            None,
            "a call was started without an entry"
        );
    }

    fn answer(&mut self, now: u64, wall: WallTime, event: &Event) -> Answer {
        let here = self.state;
        let free = self.waited_for().is_none() && self.stuck(false) == 0;
        let callable = here == Enabled && free && self.instance == Instance::Sound;
        match event {
            Event::Mapped if here == Unloaded => {
                self.generation += 1;
                self.standing.clear();
                Answer::Entry(Cause::Mapped, Loaded)
            }
            Event::LoadFailed(report) if here == Unloaded => {
                self.standing = vec![(Ground::State, (report.kind, None, wall))];
                Answer::Entry(Cause::LoadFailed, Error)
            }
            Event::RequirementUnmet(report) => self.hold_back(wall, report.kind),
            Event::UpdateStarted { on_demand } if callable => {
                if !on_demand && self.next.is_none_or(|next| now < next) {
                    return Answer::Refused;
                }
                // Of the ticks that have come, the last is this update's.
                self.skipped += self.pass(now).saturating_sub(1);
                self.enter(CallKind::Update, None);
                Answer::Entry(Cause::UpdateStarted, Running)
            }
            Event::DisplayStarted if callable => {
                self.enter(CallKind::Display, None);
                Answer::Silent
            }
            Event::CreateStarted(reason) => self.start_create(*reason),
            Event::DestroyStarted { .. } if free => {
                self.instance = Instance::None;
                self.enter(CallKind::Destroy, None);
                Answer::Silent
            }
            Event::CallEnded { id, outcome } => self.end(now, wall, *id, outcome),
            Event::Abandoned { id, .. } => match self.waited_for() {
                Some(call) if call.id == Some(*id) => {
                    let fate = Fate::TimedOut { returned: false };
                    self.settle(now, wall, fate, FaultKind::Timeout, None)
                }
                _ => Answer::Refused,
            },
            Event::TickSkipped => {
                self.skipped += self.pass(now);
                Answer::Silent
            }
            Event::CallRefused(report) if here == Enabled => {
                self.skipped += self.pass(now);
                let said = |(of, (kind, ..)): &(Ground, Mark)| {
                    *of == Ground::Update && *kind == report.kind
                };
                if self.standing.iter().any(said) {
                    return Answer::Silent;
                }
                self.stand(Ground::Update, (report.kind, Some(CallKind::Update), wall));
                Answer::Entry(Cause::CallRefused, Enabled)
            }
            Event::ThreadPanicked(_) => {
                self.thread_panics += 1;
                Answer::Entry(Cause::ThreadPanicked, here)
            }
            Event::SaveStarted if callable => {
                self.enter(CallKind::SaveState, None);
                Answer::Silent
            }
            Event::Reloaded(takeover) => self.take_over(now, takeover),
            Event::ReloadRefused { created_anew, .. } => {
                if *created_anew {
                    self.orphan_all();
                    self.instance = Instance::Sound;
                }
                Answer::Entry(Cause::ReloadRefused, here)
            }
            Event::NotPutBack(report) if here == Enabled && self.waited_for().is_none() => {
                let mark = (report.kind, Some(CallKind::Create), wall);
                self.stand(Ground::State, mark);
                self.instance = Instance::None;
                self.next = None;
                Answer::Entry(Cause::CreateFailed, Error)
            }
            Event::ReplacedNotDestroyed(_) => Answer::Entry(Cause::DestroyFailed, here),
            Event::Reconfigured { schedule, .. }
                if self.waited_for().is_none() && !matches!(here, Unloaded | Running) =>
            {
                self.tick_as(now, schedule, here == Enabled, here == Enabled);
                Answer::Entry(Cause::Reconfigured, here)
            }
            Event::SwitchedOff | Event::Unloaded | Event::FileRemoved | Event::ShutDown => {
                self.leave(event)
            }
            _ => Answer::Refused,
        }
    }

    fn hold_back(&mut self, wall: WallTime, kind: FaultKind) -> Answer {
        if !matches!(self.state, Loaded | Error | Disabled) || self.waited_for().is_some() {
            return Answer::Refused;
        }
        if self.is_held_back() {
            return Answer::Silent;
        }
        self.stand(Ground::State, (kind, None, wall));
        Answer::Entry(Cause::RequirementUnmet, Error)
    }

    /// Whether the reason of the state is something that is required.
    fn is_held_back(&self) -> bool {
        let required = FaultKind::Requirement;
        let mut standing = self.standing.iter();
        standing.any(|(of, (kind, ..))| *of == Ground::State && *kind == required)
    }

    fn start_create(&mut self, reason: CreateReason) -> Answer {
        let possible = match reason {
            CreateReason::Load => self.state == Loaded,
            CreateReason::SwitchedOn => matches!(self.state, Disabled | Error),
            CreateReason::Reset => matches!(self.state, Enabled | Disabled | Error),
            CreateReason::Anew => self.state == Enabled,
            CreateReason::RequirementMet => self.state == Error && self.is_held_back(),
            // Policies that restart or replace anything have properties of their own.
            CreateReason::Restart | CreateReason::Hung => false,
        };
        let crowded = self.stuck(false) > 0 && self.stuck(true) >= 3;
        if !possible || crowded || self.waited_for().is_some() {
            return Answer::Refused;
        }
        // Whatever is stuck is stuck beside the new instance from here on.
        self.orphan_all();
        self.enter(CallKind::Create, Some(reason));
        Answer::Silent
    }

    fn take_over(&mut self, now: u64, takeover: &Takeover) -> Answer {
        let to = match self.state {
            Enabled | Error => Enabled,
            Disabled => Disabled,
            _ => return Answer::Refused,
        };
        let crowded = self.stuck(false) > 0 && self.stuck(true) >= 3;
        if crowded || self.waited_for().is_some() {
            return Answer::Refused;
        }
        self.orphan_all();
        self.generation += 1;
        self.standing.clear();
        self.instance = if to == Enabled {
            Instance::Sound
        } else {
            Instance::None
        };
        let ran = self.state == Enabled;
        self.tick_as(now, &takeover.schedule, to == Enabled, ran);
        let cause = if takeover.rolls_back {
            Cause::RolledBack
        } else {
            Cause::Reloaded
        };
        Answer::Entry(cause, to)
    }

    /// Ticks along another schedule: from now on, unless it ticked so before.
    fn tick_as(&mut self, now: u64, schedule: &Schedule, ticks: bool, ticked: bool) {
        let mut fresh = schedule.clone();
        fresh.start(Moment::ZERO);
        let phase = fresh.next().expect("it was started").as_nanos();
        let interval = schedule.interval().as_nanos() as u64;
        let alike = (interval, phase) == (self.interval, self.phase);
        if ticks && !(alike && ticked) {
            self.next = Some(now + phase);
        }
        (self.interval, self.phase) = (interval, phase);
    }

    fn orphan_all(&mut self) {
        for call in &mut self.calls {
            call.orphan = true;
        }
    }

    fn leave(&mut self, event: &Event) -> Answer {
        let (cause, to) = match event {
            Event::SwitchedOff => (Cause::SwitchedOff, Disabled),
            Event::Unloaded => (Cause::Unloaded, Unloaded),
            Event::FileRemoved => (Cause::FileRemoved, Unloaded),
            _ => (Cause::ShutDown, Unloaded),
        };
        let leaves = matches!(self.state, Loaded | Enabled | Error)
            || (self.state == Disabled && to == Unloaded);
        if !leaves || self.waited_for().is_some() {
            return Answer::Refused;
        }
        self.instance = Instance::None;
        self.next = None;
        self.standing
            .retain(|(of, _)| to == Disabled && *of != Ground::State);
        Answer::Entry(cause, to)
    }

    fn end(&mut self, now: u64, wall: WallTime, id: CallId, outcome: &CallOutcome) -> Answer {
        let here = self.state;
        let Some(call) = self.calls.iter_mut().find(|call| call.id == Some(id)) else {
            return Answer::Refused;
        };
        match call.fate {
            Fate::InTime => match outcome {
                CallOutcome::Completed => self.complete(now, wall),
                CallOutcome::Failed {
                    report,
                    retry_after,
                    ..
                } => {
                    let retry_ms = retry_after.map(|delay| delay.as_millis() as u64);
                    self.settle(now, wall, Fate::Failed, report.kind, retry_ms)
                }
                CallOutcome::Panicked(report) => {
                    self.settle(now, wall, Fate::Panicked, report.kind, None)
                }
            },
            Fate::TimedOut { returned: false } => {
                call.fate = Fate::TimedOut { returned: true };
                let panicked = matches!(outcome, CallOutcome::Panicked(_));
                if panicked && !call.orphan && self.instance == Instance::Sound {
                    self.instance = Instance::Poisoned;
                }
                Answer::Entry(Cause::ReturnedLate, here)
            }
            _ => Answer::Refused,
        }
    }

    /// The call that is waited for completed.
    fn complete(&mut self, now: u64, wall: WallTime) -> Answer {
        let call = self.end_in_time(wall, Fate::Completed);
        let cleared = match call.kind {
            CallKind::Update => Ground::Update,
            CallKind::Display => Ground::Display,
            CallKind::Create => Ground::State,
            CallKind::Destroy | CallKind::SaveState | CallKind::RestoreState => {
                return Answer::Silent;
            }
        };
        self.standing.retain(|(of, _)| *of != cleared);
        let Some(reason) = call.reason else {
            if call.kind == CallKind::Display {
                return Answer::Silent;
            }
            self.skipped += self.pass(now);
            return Answer::Entry(Cause::UpdateCompleted, Enabled);
        };
        self.instance = Instance::Sound;
        if reason == CreateReason::Reset {
            self.standing.clear();
        }
        if reason != CreateReason::Anew {
            self.next = Some(now + self.phase);
        }
        let cause = match reason {
            CreateReason::Load => Cause::Created,
            CreateReason::SwitchedOn => Cause::SwitchedOn,
            CreateReason::Reset => Cause::Reset,
            CreateReason::Anew => Cause::CreatedAnew,
            CreateReason::RequirementMet => Cause::RequirementMet,
            CreateReason::Restart => Cause::Restarted,
            CreateReason::Hung => Cause::Replaced,
        };
        Answer::Entry(cause, Enabled)
    }

    /// The call that is waited for ended badly, or passed its deadline.
    fn settle(
        &mut self,
        now: u64,
        wall: WallTime,
        fate: Fate,
        kind: FaultKind,
        retry_ms: Option<u64>,
    ) -> Answer {
        let call = self.end_in_time(wall, fate);
        let mark = (kind, Some(call.kind), wall);
        let touched = matches!(
            call.kind,
            CallKind::Update | CallKind::Display | CallKind::SaveState
        );
        if touched && fate == Fate::Panicked {
            self.instance = Instance::Poisoned;
        }
        match call.kind {
            CallKind::Update if kind == FaultKind::Permanent => {
                self.standing.retain(|(of, _)| *of != Ground::Update);
                self.stand(Ground::State, mark);
                self.instance = Instance::None;
                self.next = None;
                Answer::Entry(Cause::FailedPermanently, Error)
            }
            CallKind::Update => {
                self.stand(Ground::Update, mark);
                let delay = retry_ms.map_or(self.interval, |ms| ms.max(1) * MS);
                self.next = Some(now + delay);
                let cause = match fate {
                    Fate::Panicked => Cause::UpdatePanicked,
                    Fate::TimedOut { .. } => Cause::UpdateTimedOut,
                    _ => Cause::UpdateFailed,
                };
                Answer::Entry(cause, Enabled)
            }
            CallKind::Display => {
                self.stand(Ground::Display, mark);
                Answer::Entry(Cause::DisplayFailed, Enabled)
            }
            CallKind::Create => {
                self.stand(Ground::State, mark);
                self.instance = Instance::None;
                self.next = None;
                Answer::Entry(Cause::CreateFailed, Error)
            }
            CallKind::Destroy => Answer::Entry(Cause::DestroyFailed, self.state),
            CallKind::SaveState | CallKind::RestoreState => {
                Answer::Entry(Cause::SaveFailed, self.state)
            }
        }
    }

    fn end_in_time(&mut self, wall: WallTime, fate: Fate) -> Call {
        let call = self.calls.iter_mut().find(|call| call.fate == Fate::InTime);
        let call = call.expect("a call is waited for");
        call.fate = fate;
        call.settled = Some(wall);
        call.clone()
    }

    fn enter(&mut self, kind: CallKind, reason: Option<CreateReason>) {
        self.calls.push(Call {
            id: None,
            kind,
            reason,
            fate: Fate::InTime,
            settled: None,
            orphan: false,
        });
    }

    fn stand(&mut self, ground: Ground, mark: Mark) {
        self.standing.retain(|(of, _)| *of != ground);
        self.standing.push((ground, mark));
    }

    /// Passes the ticks that have come, one at a time.
    fn pass(&mut self, now: u64) -> u64 {
        let mut passed = 0;
        while let Some(next) = self.next.filter(|next| *next <= now) {
            self.next = Some(next + self.interval);
            passed += 1;
        }
        passed
    }
}
