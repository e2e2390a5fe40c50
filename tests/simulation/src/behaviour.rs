//! Plugins as data: how each call of each build turns out, and what is in their files.

use std::time::Duration;

use plugin_engine_core::CallKind;

use crate::chance::Chance;
use crate::library::BUILDS_MAX;
use crate::policy::Policy;
use crate::requires::Requires;

/// What kind of plugin a build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Character {
    /// Does everything as it should, and quickly.
    Good,
    /// Takes its time, and completes.
    Slow,
    /// Fails now and then, in a way that trying again may help against.
    Flaky,
    /// Fails all the time, likewise.
    Failing,
    /// Fails for good sooner or later.
    Doomed,
    /// Panics now and then.
    Panicky,
    /// Does not return now and then.
    Hanging,
    /// Everything, now and then.
    Mad,
    /// Cannot be created.
    Stillborn,
}

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// It does what it should.
    Completes,
    /// It returns an error that may be gone at the next try, which may be after this time.
    Fails(Option<Duration>),
    /// It returns an error for good.
    FailsForGood,
    /// It panics.
    Panics,
}

/// How a call turns out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    /// How it ends.
    pub ends: Ends,
    /// How long it takes.
    pub lasts: Duration,
    /// Whether it returns early when it is told that nobody waits any more.
    pub heeds_cancel: bool,
}

/// What is in the file of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// A build that can be loaded.
    Build(Build),
    /// Half of one, or another kind of file.
    Bad,
    /// What is no good either, and says that it is this plugin's.
    Unfit(usize),
    /// One whose constructors do not return.
    Hangs,
}

/// A build of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Build {
    /// What tells its bytes from others.
    pub number: u64,
    /// The minor version.
    pub version: u64,
    /// What kind of plugin it is.
    pub character: Character,
    /// Whether its instances hand over their state.
    pub has_state: bool,
    /// What it requires by itself.
    pub requires: Requires,
}

impl Build {
    /// The plugin that it is of.
    pub(crate) fn plugin(&self) -> usize {
        usize::try_from(self.number / BUILDS_MAX).unwrap_or(usize::MAX)
    }
}

const US: Duration = Duration::from_micros(1);

impl Character {
    pub(crate) fn draw(chance: &mut Chance) -> Self {
        chance.weighted(&[
            (30, Self::Good),
            (8, Self::Slow),
            (10, Self::Flaky),
            (6, Self::Failing),
            (5, Self::Doomed),
            (10, Self::Panicky),
            (12, Self::Hanging),
            (8, Self::Mad),
            (4, Self::Stillborn),
        ])
    }

    /// How the call with this number of a build turns out.
    pub(crate) fn turn(self, chance: &mut Chance, call: CallKind, policy: &Policy) -> Turn {
        let quick = if chance.percent(50) {
            Duration::ZERO
        } else {
            chance.time(US, US * 300)
        };
        let lasts = match self {
            Self::Slow if call == CallKind::Update => {
                chance.time(US * 500, policy.timeout.mul_f64(0.9))
            }
            Self::Hanging | Self::Mad if chance.percent(15) => {
                let limit = match call {
                    CallKind::Update => policy.timeout,
                    _ => crate::run::OTHER_TIMEOUT,
                };
                let (low, high) = chance.one_of(&[(0.9, 1.1), (1.1, 3.0), (3.0, 40.0)]);
                chance.time(limit.mul_f64(low), limit.mul_f64(high))
            }
            _ => quick,
        };
        Turn {
            ends: self.ends(chance, call),
            lasts,
            heeds_cancel: chance.percent(30),
        }
    }

    fn ends(self, chance: &mut Chance, call: CallKind) -> Ends {
        use Ends::{Completes, Fails, FailsForGood, Panics};
        let after = chance.one_of(&[
            None,
            None,
            Some(US * 1_500),
            Some(Duration::from_millis(700)),
            Some(Duration::from_secs(20)),
        ]);
        match (self, call) {
            (Self::Stillborn, CallKind::Create) => chance.weighted(&[
                (6, Fails(None)),
                (2, FailsForGood),
                (2, Panics),
                (1, Completes),
            ]),
            (Self::Good | Self::Slow | Self::Stillborn | Self::Hanging, _) => Completes,
            (Self::Flaky, CallKind::Create) => chance.weighted(&[(8, Completes), (2, Fails(None))]),
            (Self::Flaky, _) => chance.weighted(&[(6, Completes), (4, Fails(after))]),
            (Self::Failing, CallKind::Create) => Completes,
            (Self::Failing, _) => Fails(after),
            (Self::Doomed, CallKind::Update) => {
                chance.weighted(&[(9, Completes), (1, FailsForGood)])
            }
            (Self::Doomed, _) => Completes,
            (Self::Panicky, CallKind::Create) => chance.weighted(&[(8, Completes), (1, Panics)]),
            (Self::Panicky, _) => chance.weighted(&[(6, Completes), (4, Panics)]),
            (Self::Mad, _) => chance.weighted(&[
                (10, Completes),
                (3, Fails(after)),
                (1, FailsForGood),
                (3, Panics),
            ]),
        }
    }
}
