//! Plugins to be explained, put together step by step as the machine would have it. For tests alone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{
    BreakerState, CallKind, CallLimits, Cause, Fault, FaultKind, FaultReport, Health, PluginId,
    PluginState, Transition, WallTime, next_state,
};

use super::input::{Counted, EngineEnd, Left, Policies, RefusedFile, WhyInput};
use super::{Why, explain};
use crate::code::Code;
use crate::config::source::Source;
use crate::config::{PluginConfig, read_beside_text};
use crate::discover::Candidate;
use crate::effective;
use crate::facts::Facts;
use crate::manifest::Manifest;
use crate::snapshot::{InFlightCall, Snapshot};

/// A time of the night in which all of this happens.
pub(super) fn time(clock: &str) -> WallTime {
    let text = match clock.split_once(' ') {
        Some((date, clock)) => format!("{date}T{clock}Z"),
        None => format!("2026-11-22T{clock}Z"),
    };
    humantime::parse_rfc3339(&text).unwrap().into()
}

pub(super) fn fault(
    kind: FaultKind,
    call: Option<CallKind>,
    at: WallTime,
    message: &str,
    consecutive: u32,
) -> Fault {
    let recoverable = !matches!(
        kind,
        FaultKind::Permanent | FaultKind::Load | FaultKind::Crash
    );
    Fault::new(
        &FaultReport::new(kind, message),
        at,
        call,
        recoverable,
        consecutive,
    )
}

fn policies(config: &str) -> Policies {
    let manifest = "manifest=1\nid=clock\nversion=1.2.0\napi=0.1.0\ncompiler=c\ntarget=t\npanic=unwind\ninterval=1m\ntimeout=10s\n";
    let manifest = Manifest::parse(manifest.as_bytes()).unwrap();
    let source = Source::new(Path::new("clock.toml"), config.to_owned());
    let config = PluginConfig {
        entry: None,
        beside: Arc::new(read_beside_text(&source).unwrap()),
        defaults: Arc::default(),
    };
    let second = Duration::from_secs(1);
    Policies {
        health: config.health().policy(&PluginId::new("clock").unwrap()),
        limits: CallLimits {
            create: 30 * second,
            update: config.timeout(&manifest).value,
            display: 2 * second,
            destroy: 5 * second,
            state: 5 * second,
        },
        interval: config.interval(&manifest).value,
        said: effective::policies(&config, Some(&manifest)),
    }
}

/// A plugin `clock`, looked at at 03:26:17.
pub(super) struct Given(pub(super) WhyInput);

impl Given {
    pub(super) fn nothing() -> Self {
        let id = PluginId::new("clock").unwrap();
        Self(WhyInput {
            asked: id.to_string(),
            now: time("03:26:17"),
            end: EngineEnd::None,
            is_known: true,
            snapshot: Snapshot::of_facts(Facts {
                file: Some(Arc::new(Candidate::of_path(Path::new(
                    "plugins.d/libclock.so",
                )))),
                ..Facts::new(id)
            }),
            counted: Counted::default(),
            left: Left::default(),
            policies: Some(policies("")),
            refused: Vec::new(),
            nearest: None,
        })
    }

    /// Loaded and created at a time.
    pub(super) fn loaded(at: &str) -> Self {
        let mut given = Self::nothing().on(at, Cause::Mapped).on(at, Cause::Created);
        given.0.snapshot.set_version(&Arc::from("1.2.0"));
        given
    }

    pub(super) fn config(mut self, text: &str) -> Self {
        self.0.policies = Some(policies(text));
        if self.0.policies.as_ref().unwrap().health.breaker.is_some() {
            self.0.snapshot.breaker = BreakerState::Closed;
        }
        self
    }

    fn entry(mut self, at: WallTime, cause: Cause, error: Option<Arc<Fault>>) -> Self {
        let snapshot = &mut self.0.snapshot;
        let from = snapshot.state;
        let to = next_state(from, cause).unwrap_or_else(|| panic!("{from} does not know {cause}"));
        if matches!(cause, Cause::Mapped | Cause::Reloaded | Cause::RolledBack) {
            snapshot.generation += 1;
        }
        snapshot.seq += 1;
        snapshot.state = to;
        if from != to {
            snapshot.since = Some(at);
        }
        if to == PluginState::Unloaded {
            snapshot.health = Health::Unknown;
            snapshot.next_update = None;
        }
        self.0.left.entries.push(Transition {
            seq: snapshot.seq,
            at,
            id: snapshot.id().clone(),
            generation: snapshot.generation,
            version: snapshot.version().map(Arc::from),
            from,
            to,
            cause,
            error,
            duration: None,
        });
        self
    }

    /// An entry without an error. What begins anew clears the error that stood.
    pub(super) fn on(mut self, at: &str, cause: Cause) -> Self {
        if matches!(
            cause,
            Cause::Reset | Cause::Reloaded | Cause::RolledBack | Cause::Unloaded | Cause::Restarted
        ) {
            self.0.snapshot.error = None;
        }
        self.entry(time(at), cause, None)
    }

    /// An entry with an error that does not stand afterwards.
    pub(super) fn said(self, at: &str, cause: Cause, kind: FaultKind, message: &str) -> Self {
        let at = time(at);
        self.entry(at, cause, Some(Arc::new(fault(kind, None, at, message, 1))))
    }

    /// An entry with an error that stands.
    pub(super) fn stands(
        mut self,
        at: &str,
        cause: Cause,
        (kind, call): (FaultKind, Option<CallKind>),
        message: &str,
    ) -> Self {
        let at = time(at);
        let error = Arc::new(fault(kind, call, at, message, 1));
        self.0.snapshot.error = Some(Arc::clone(&error));
        self.entry(at, cause, Some(error))
    }

    /// An update that completed.
    pub(super) fn update(mut self, at: &str) -> Self {
        self = self
            .on(at, Cause::UpdateStarted)
            .on(at, Cause::UpdateCompleted);
        let snapshot = &mut self.0.snapshot;
        snapshot.error = None;
        snapshot.in_a_row.updates = 0;
        snapshot.last_success = Some(time(at));
        snapshot.last_update = Some(time(at));
        snapshot.health = Health::Healthy;
        self.next_after(at)
    }

    /// An update that did not complete.
    pub(super) fn fail(mut self, at: &str, cause: Cause, message: &str) -> Self {
        let kind = match cause {
            Cause::UpdateTimedOut => FaultKind::Timeout,
            Cause::UpdatePanicked => FaultKind::Panic,
            Cause::FailedPermanently => FaultKind::Permanent,
            _ => FaultKind::Failed,
        };
        let snapshot = &mut self.0.snapshot;
        snapshot.in_a_row.updates += 1;
        snapshot.last_update = Some(time(at));
        if snapshot.health != Health::Unhealthy {
            snapshot.health = Health::Degraded;
        }
        let mut error = fault(
            kind,
            Some(CallKind::Update),
            time(at),
            message,
            snapshot.in_a_row.updates,
        );
        if kind == FaultKind::Panic {
            error.location = "src/lib.rs:12:9".into();
            self.0.counted.panics += 1;
            self.0.counted.poisoned = true;
        }
        let error = Arc::new(error);
        self.0.snapshot.error = Some(Arc::clone(&error));
        self.on(at, Cause::UpdateStarted)
            .entry(time(at), cause, Some(error))
            .next_after(at)
    }

    fn next_after(mut self, at: &str) -> Self {
        self.0.snapshot.next_update = Some(time(at).saturating_add(Duration::from_secs(60)));
        self
    }

    pub(super) fn next(mut self, at: &str) -> Self {
        self.0.snapshot.next_update = Some(time(at));
        self
    }

    pub(super) fn health(mut self, health: Health) -> Self {
        self.0.snapshot.health = health;
        self
    }

    pub(super) fn note(mut self, note: &str) -> Self {
        self.0.snapshot = self.0.snapshot.clone().noting(note);
        self
    }

    pub(super) fn call(mut self, call: CallKind, since: &str, abandoned: bool) -> Self {
        self.0.snapshot.in_flight = Some(InFlightCall {
            call,
            since: time(since),
            abandoned,
        });
        self
    }

    pub(super) fn counted(mut self, count: impl FnOnce(&mut Counted)) -> Self {
        count(&mut self.0.counted);
        self
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut WhyInput)) -> Self {
        change(&mut self.0);
        self
    }

    pub(super) fn refused(mut self, path: &str, code: Code, message: &str) -> Self {
        self.0.refused.push(RefusedFile {
            path: path.into(),
            code,
            message: message.to_owned(),
        });
        self
    }

    /// Panics until it is unhealthy, and then what the policy of restarts has done so often.
    pub(super) fn panics_until_unhealthy(self, minute: u32) -> Self {
        let mut given = self;
        for second in [10, 20, 30] {
            let at = format!("03:{minute:02}:{second}");
            if given.0.counted.poisoned {
                given = given.on(&at, Cause::CreatedAnew);
            }
            given = given.fail(&at, Cause::UpdatePanicked, "no hands");
        }
        given.health(Health::Unhealthy)
    }

    pub(super) fn unhealthy(self, at: &str) -> Self {
        self.stands(
            at,
            Cause::Unhealthy,
            (FaultKind::Panic, Some(CallKind::Update)),
            "restarted in 1s: panicked 3 times, the limit is 3; the last time: no hands",
        )
        .counted(|counted| {
            counted.waits_for_restart = true;
            counted.poisoned = false;
            counted.restarts += 1;
        })
    }

    pub(super) fn restarted(self, at: &str) -> Self {
        self.on(at, Cause::Restarted)
            .counted(|counted| counted.waits_for_restart = false)
            .next(at)
    }

    pub(super) fn why(&self) -> Why {
        explain(&self.0)
    }
}
