//! The keys of `limits`: what a plugin may use before it is degraded or unhealthy. A part of the table of keys.

use std::time::Duration;

use plugin_engine_core::TIMEOUT_MAX;

use super::keys::{Default, Key, Kind, Section, key};

/// Over how long limits are judged if nobody says.
pub(crate) const USAGE_WINDOW: Duration = Duration::from_secs(60);

const PERCENT: Kind = Kind::Count { min: 1, max: 100 };
const MEAN: Kind = Kind::Duration {
    min: Duration::from_micros(1),
    max: TIMEOUT_MAX,
};

/// What a plugin may use.
pub(crate) static LIMITS: Section = Section {
    name: "limits",
    doc: "What a plugin may use before it counts as degraded, or as unhealthy. Without limits nothing is judged. A limit that was passed is kept again once the plugin has stayed a fifth below it for a window.",
    keys: &[
        key(
            "window",
            Kind::Duration {
                min: Duration::from_secs(1),
                max: Duration::from_secs(24 * 3_600),
            },
            Default::Duration(USAGE_WINDOW),
            "Over how long it is judged, again and again; what was before is forgotten. Where updates are rarer than that, from one update to the next.",
        ),
        key(
            "cpu_percent",
            PERCENT,
            Default::None,
            "CPU time of its calls in percent of one processor; above it the plugin is degraded. 100 is never passed.",
        ),
        key(
            "cpu_percent_unhealthy",
            PERCENT,
            Default::None,
            "Likewise; above it the plugin is unhealthy. At least cpu_percent.",
        ),
        key(
            "update_mean",
            MEAN,
            Default::None,
            "How long its updates take on average, computing or waiting; above it the plugin is degraded.",
        ),
        key(
            "update_mean_unhealthy",
            MEAN,
            Default::None,
            "Likewise; above it the plugin is unhealthy. At least update_mean.",
        ),
    ],
};

/// The key under which they stand.
pub(super) const LIMITS_KEY: Key = key(
    "limits",
    Kind::Table(&LIMITS),
    Default::None,
    "What the plugin may use before it counts as degraded, or as unhealthy.",
);
