//! The keys of what follows from how a plugin's calls end: a part of the table of keys.

use std::time::Duration;

use plugin_engine_core::{JITTER_PERCENT_MAX, RESTARTS_MAX, TIMEOUT_MAX};

use super::choices::{HungPolicy, UnhealthyPolicy};
use super::keys::{Default, Key, Kind, Section, key};

/// How many panics there may be.
pub(super) const PANICS: u64 = 3;
/// After how many intervals a call that does not return has another instance put beside it.
pub(super) const HUNG_AFTER: u64 = 3;
pub(super) const BREAKER_FAILURES: u64 = 3;
pub(super) const COOL_DOWN: Duration = Duration::from_secs(300);
pub(super) const DELAY: Duration = Duration::from_secs(1);
pub(super) const DELAY_MAX: Duration = Duration::from_secs(30);
pub(super) const JITTER_PERCENT: u64 = 20;
pub(super) const HEALTHY_PERIOD: Duration = Duration::from_secs(60);
pub(super) const RESTARTS: u64 = 5;
pub(super) const WINDOW: Duration = Duration::from_secs(600);

const MILLION: u64 = 1_000_000;

const fn time(min: Duration) -> Kind {
    Kind::Duration {
        min,
        max: TIMEOUT_MAX,
    }
}

const MS: Duration = Duration::from_millis(1);

pub(super) const PANIC_LIMIT: Key = key(
    "panic_limit",
    Kind::Count {
        min: 1,
        max: MILLION,
    },
    Default::Count(PANICS),
    "How many panics make the plugin unhealthy, counted since the last healthy period.",
);

pub(super) const ON_UNHEALTHY: Key = key(
    "on_unhealthy",
    Kind::Choice(UnhealthyPolicy::WORDS),
    Default::Choice("restart"),
    "What is done with the plugin when it becomes unhealthy: nothing beyond saying so, a restart with back-off, switching it off, or unloading it.",
);

pub(super) const RESTART_KEY: Key =
    key("restart", Kind::Table(&RESTART), Default::None, RESTART.doc);

pub(super) const BREAKER_KEY: Key =
    key("breaker", Kind::Table(&BREAKER), Default::None, BREAKER.doc);

pub(super) const ON_HUNG: Key = key(
    "on_hung",
    Kind::Choice(HungPolicy::WORDS),
    Default::Choice("wait"),
    "What is done when a call does not return: it is waited for, or another instance is put beside it, so that there are three at most.",
);

pub(super) const HUNG_INTERVALS: Key = key(
    "hung_intervals",
    Kind::Count { min: 1, max: 1_000 },
    Default::Count(HUNG_AFTER),
    "With on_hung = \"replace\", for how many intervals a call has to be overdue.",
);

/// How a plugin is restarted.
pub(super) static RESTART: Section = Section {
    name: "restart",
    doc: "How the plugin is restarted: when it is unhealthy and the policy says so, and when it could not be created and trying again may help.",
    keys: &[
        key(
            "delay",
            time(MS),
            Default::Duration(DELAY),
            "How long the first restart waits; each next one waits twice as long.",
        ),
        key(
            "delay_max",
            time(MS),
            Default::Duration(DELAY_MAX),
            "How long a restart waits at most.",
        ),
        key(
            "jitter_percent",
            Kind::Count {
                min: 0,
                max: JITTER_PERCENT_MAX as u64,
            },
            Default::Count(JITTER_PERCENT),
            "By how much a restart may wait longer or shorter than that, so that plugins which failed together do not come back together.",
        ),
        key(
            "healthy_period",
            time(Duration::ZERO),
            Default::Duration(HEALTHY_PERIOD),
            "For how long updates have to complete without a failure until the plugin counts as healthy again, its panics are forgotten, and the delay begins at the first.",
        ),
        key(
            "max_restarts",
            Kind::Count {
                min: 0,
                max: RESTARTS_MAX as u64,
            },
            Default::Count(RESTARTS),
            "How many restarts there may be within the window. After that the plugin stays in Error.",
        ),
        key(
            "window",
            time(MS),
            Default::Duration(WINDOW),
            "The window. It has to be longer than all the delays of the restarts that are allowed, or none would ever be one too many; where two files together make it too short, it is as long as it has to be.",
        ),
    ],
};

/// The circuit breaker.
pub(super) static BREAKER: Section = Section {
    name: "breaker",
    doc: "The circuit breaker, which is on where this table is: after some failures in a row updates are skipped for a while, then one is tried.",
    keys: &[
        key(
            "enabled",
            Kind::Flag,
            Default::None,
            "Whether there is a breaker; true where anything is said of it.",
        ),
        key(
            "failures",
            Kind::Count {
                min: 1,
                max: MILLION,
            },
            Default::Count(BREAKER_FAILURES),
            "How many updates in a row have to fail.",
        ),
        key(
            "cool_down",
            time(MS),
            Default::Duration(COOL_DOWN),
            "For how long updates are skipped then.",
        ),
    ],
};
