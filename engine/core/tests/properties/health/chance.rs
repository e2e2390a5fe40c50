//! What chance makes: policies, events, and sequences of what would come next with something else in between.

use std::time::Duration;

use plugin_engine_core::{
    BreakerPolicy, CallOutcome, CreateReason, Event, FaultKind, HealthPolicy, OnHung, OnUnhealthy,
    RestartPolicy,
};
use proptest::prelude::*;

use crate::{Which, outcome, report, takeover, which};

#[derive(Debug, Clone)]
pub(super) enum Action {
    /// What would come next in the life of a plugin, at the moment when it would come.
    Usual {
        outcome: CallOutcome,
        hangs: bool,
    },
    Plain(Event),
    End(Which, CallOutcome),
    Policy(HealthPolicy),
}

#[derive(Debug, Clone)]
pub(super) struct Move {
    pub(super) after_ms: u64,
    pub(super) action: Action,
}

fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn restart() -> impl Strategy<Value = RestartPolicy> {
    let max_restarts = prop_oneof![1 => Just(None), 4 => (0..4_u32).prop_map(Some)];
    let times = (
        millis(1..50),
        millis(1..300),
        millis(0..300),
        millis(1..3_000),
    );
    (times, 0..=100_u8, max_restarts).prop_map(|(times, jitter_percent, max_restarts)| {
        let (first_delay, longest_delay, healthy_period, window) = times;
        RestartPolicy {
            first_delay,
            longest_delay,
            jitter_percent,
            healthy_period,
            max_restarts,
            window,
        }
    })
}

pub(super) fn policy() -> impl Strategy<Value = HealthPolicy> {
    let panic_limit = prop_oneof![1 => Just(None), 5 => (1..4_u32).prop_map(Some)];
    let on_unhealthy = prop_oneof![
        1 => Just(OnUnhealthy::None),
        3 => Just(OnUnhealthy::Restart),
        1 => Just(OnUnhealthy::Disable),
        1 => Just(OnUnhealthy::Unload),
    ];
    let breaker = (1..4_u32, millis(0..400)).prop_map(|(failures, cool_down)| BreakerPolicy {
        failures,
        cool_down,
    });
    let on_hung = prop_oneof![
        Just(OnHung::Wait),
        (0..3_u32).prop_map(|after_intervals| OnHung::Replace { after_intervals }),
    ];
    (
        panic_limit,
        on_unhealthy,
        restart(),
        prop::option::of(breaker),
        on_hung,
        any::<u64>(),
    )
        .prop_map(
            |(panic_limit, on_unhealthy, restart, breaker, on_hung, seed)| HealthPolicy {
                panic_limit,
                on_unhealthy,
                restart,
                breaker,
                on_hung,
                seed,
            },
        )
}

fn event() -> impl Strategy<Value = Event> {
    let create = prop::sample::select(vec![
        CreateReason::Load,
        CreateReason::SwitchedOn,
        CreateReason::Reset,
        CreateReason::Anew,
        CreateReason::RequirementMet,
        CreateReason::Restart,
        CreateReason::Hung,
    ]);
    let refused = |kind| Event::ReloadRefused {
        report: report(kind),
        created_anew: false,
    };
    prop_oneof![
        2 => Just(Event::Mapped),
        1 => Just(Event::LoadFailed(report(FaultKind::Load))),
        1 => Just(Event::RequirementUnmet(report(FaultKind::Requirement))),
        4 => Just(Event::UpdateStarted { on_demand: true }),
        3 => Just(Event::DisplayStarted),
        1 => Just(Event::SaveStarted),
        6 => create.prop_map(Event::CreateStarted),
        5 => any::<bool>().prop_map(|current| Event::DestroyStarted { current }),
        2 => Just(Event::TickSkipped),
        1 => Just(Event::CallRefused(report(FaultKind::Refused))),
        1 => Just(Event::CreateRefused(report(FaultKind::Refused))),
        6 => Just(Event::ThreadPanicked(report(FaultKind::ThreadPanic))),
        1 => takeover().prop_map(|takeover| Event::Reloaded(Box::new(takeover))),
        1 => takeover().prop_map(|takeover| Event::Reconfigured {
            schedule: takeover.schedule,
            limits: takeover.limits,
        }),
        1 => prop::sample::select(vec![FaultKind::Load, FaultKind::Config]).prop_map(refused),
        1 => Just(Event::NotPutBack(report(FaultKind::Failed))),
        1 => Just(Event::ConfigurationHolds),
        2 => any::<bool>().prop_map(|unhealthy| Event::LimitPassed {
            unhealthy,
            report: report(FaultKind::Limit),
        }),
        2 => Just(Event::LimitsKept),
        2 => Just(Event::RestartRefused(report(FaultKind::Refused))),
        1 => Just(Event::SwitchedOff),
        1 => Just(Event::Unloaded),
        1 => Just(Event::ShutDown),
    ]
}

pub(super) fn moves() -> impl Strategy<Value = Vec<Move>> {
    let usual = (outcome(), prop::bool::weighted(0.1))
        .prop_map(|(outcome, hangs)| Action::Usual { outcome, hangs });
    let action = prop_oneof![
        40 => usual,
        10 => event().prop_map(Action::Plain),
        3 => (which(), outcome()).prop_map(|(which, outcome)| Action::End(which, outcome)),
        1 => policy().prop_map(Action::Policy),
    ];
    let after_ms = prop_oneof![4 => Just(0), 1 => 0..30_u64, 1 => 0..400_u64];
    let one = (after_ms, action).prop_map(|(after_ms, action)| Move { after_ms, action });
    prop::collection::vec(one, 1..200)
}
