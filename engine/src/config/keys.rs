//! THE TABLE OF KEYS: every key that a configuration file may have, what it takes, and what it means. Reading, the schema for
//! editors and what is shown as a default all come from here. Never how a value is read.

use super::crash_keys::AFTER_CRASHES;
use std::time::Duration;

use plugin_engine_core::{INTERVAL_MAX, INTERVAL_MIN, TIMEOUT_MAX, TIMEOUT_MIN};

use super::choices::{ReloadWay, UnmapPolicy};
use super::health_keys::{
    BREAKER, BREAKER_KEY, HUNG_INTERVALS, ON_HUNG, ON_UNHEALTHY, PANIC_LIMIT, RESTART, RESTART_KEY,
};
use super::history_keys;
use super::limit_keys::{LIMITS, LIMITS_KEY};
use super::readiness_keys::REQUIRED;

pub(crate) use super::wanted::duration_text;

/// The interval of a plugin of which nobody says one.
pub(crate) const INTERVAL: Duration = Duration::from_secs(60);
/// The timeout of an update, likewise.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
pub(crate) const CREATE_TIMEOUT: Duration = Duration::from_secs(30);
pub(crate) const DISPLAY_TIMEOUT: Duration = Duration::from_secs(2);
pub(crate) const DESTROY_TIMEOUT: Duration = Duration::from_secs(5);
pub(crate) const STATE_TIMEOUT: Duration = Duration::from_secs(5);
pub(crate) const LOAD_TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const STARTUP_BUDGET: Duration = Duration::from_secs(35);
pub(crate) const WATCH_SETTLE: Duration = Duration::from_millis(200);
pub(crate) const WATCH_GRACE: Duration = Duration::from_secs(2);
pub(crate) const WATCH_RESCAN: Duration = Duration::from_secs(5);
pub(crate) const THREADS: u64 = 512;
/// Below the number of keys for thread-local values that glibc has for a process, of which most files take one.
pub(crate) const LIBRARIES: u64 = 900;
pub(crate) const HISTORY_BYTES: u64 = 256 * 1024 * 1024;

pub(crate) const WORKERS_MAX: u64 = 256;
pub(crate) const THREADS_MAX: u64 = 65_536;
const LIBRARIES_MAX: u64 = 1_000_000;
const HISTORY_BYTES_MIN: u64 = 64 * 1024;
const HISTORY_BYTES_MAX: u64 = 1 << 40;
/// The most `[[plugin]]` entries of one file.
pub(crate) const ENTRIES_MAX: usize = 1 << 20;
/// The most items of any other list.
pub(crate) const LIST_LEN_MAX: usize = 1_024;

/// A group of keys.
pub(crate) struct Section {
    /// As it is written in a file.
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) keys: &'static [Key],
}

/// One key.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// What holds where nobody says anything; empty where nothing does.
    pub(crate) default: Default,
    pub(crate) doc: &'static str,
}

/// What holds where nobody says anything.
#[derive(Clone, Copy)]
pub(crate) enum Default {
    None,
    Flag(bool),
    Duration(Duration),
    Count(u64),
    Choice(&'static str),
}

/// What a key takes.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// The id of a plugin.
    Id,
    /// A path.
    Path,
    Flag,
    /// A text with a unit.
    Duration {
        min: Duration,
        max: Duration,
    },
    /// A whole number.
    Count {
        min: u64,
        max: u64,
    },
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// Public keys of minisign.
    PublicKeys,
    /// Numbers of users.
    Owners,
    /// Plugins that have to be there.
    Requirements,
    /// What only the plugin understands.
    Settings,
    Table(&'static Section),
    Tables(&'static Section),
}

pub(super) const fn key(
    name: &'static str,
    kind: Kind,
    default: Default,
    doc: &'static str,
) -> Key {
    Key {
        name,
        kind,
        default,
        doc,
    }
}

const fn interval(min: Duration) -> Kind {
    Kind::Duration {
        min,
        max: INTERVAL_MAX,
    }
}

const CALL_TIME: Kind = Kind::Duration {
    min: TIMEOUT_MIN,
    max: TIMEOUT_MAX,
};

const ENABLED: Key = key(
    "enabled",
    Kind::Flag,
    Default::Flag(true),
    "Whether the plugin is switched on.",
);
const PLUGIN_INTERVAL: Key = key(
    "interval",
    interval(INTERVAL_MIN),
    Default::Duration(INTERVAL),
    "The time between updates.",
);
const PLUGIN_TIMEOUT: Key = key(
    "timeout",
    CALL_TIME,
    Default::Duration(TIMEOUT),
    "How long one update may take.",
);
const JITTER: Key = key(
    "jitter",
    interval(Duration::ZERO),
    Default::Duration(Duration::ZERO),
    "The range over which the first updates of plugins are spread, each at a fixed phase of its own. What is longer than the interval counts as the interval.",
);
const RELOAD: Key = key(
    "reload",
    Kind::Choice(&ReloadWay::NAMES),
    Default::Choice(ReloadWay::NAMES[0]),
    "How a replacement takes over: try-activate creates and tries it while the instance before goes on; stop-first destroys that one before, for plugins that own something exclusive, and creates it anew if the replacement fails.",
);
const TRIAL_UPDATE: Key = key(
    "trial_update",
    Kind::Flag,
    Default::Flag(true),
    "Whether a replacement has to complete one update before it takes over.",
);
const PROBATION: Key = key(
    "probation",
    Kind::Duration {
        min: Duration::ZERO,
        max: TIMEOUT_MAX,
    },
    Default::Duration(Duration::ZERO),
    "For how long after a reload the generation before is kept: if the new one fails three times in a row, becomes unhealthy (as by as many panics as `panic_limit` says) or ends in Error, the one before takes over again, once, before anything that `on_unhealthy` says.",
);
const ALLOW_DOWNGRADE: Key = key(
    "allow_downgrade",
    Kind::Flag,
    Default::Flag(false),
    "Whether a file of a lower version may take over at a reload.",
);
const UNMAP: Key = key(
    "unmap",
    Kind::Choice(UnmapPolicy::WORDS),
    Default::Choice("never"),
    "Whether the code of the plugin's file is unmapped once it is unloaded and nothing can run it any more. Holds for a file if all of its plugins say so.",
);
const ID: Key = key(
    "id",
    Kind::Id,
    Default::None,
    "The id of the plugin; without one, the id that its file has of itself.",
);
const REQUIRES: Key = key(
    "requires",
    Kind::Requirements,
    Default::None,
    "Plugins that have to run for this one to be created and called, each with a version requirement where one is meant. They are added to those that the manifest names.",
);
const SETTINGS: Key = key(
    "settings",
    Kind::Settings,
    Default::None,
    "The plugin's own settings. In a text ${NAME} stands for an environment variable, file:PATH for what a file holds; literal: before a text takes it as it is.",
);

/// A file beside a plugin file.
pub(crate) static BESIDE: Section = Section {
    name: "the file beside a plugin",
    doc: "What is said of one plugin, in a file beside the plugin file.",
    keys: &[
        ID,
        ENABLED,
        PLUGIN_INTERVAL,
        PLUGIN_TIMEOUT,
        JITTER,
        REQUIRED,
        REQUIRES,
        RELOAD,
        TRIAL_UPDATE,
        PROBATION,
        ALLOW_DOWNGRADE,
        UNMAP,
        PANIC_LIMIT,
        ON_UNHEALTHY,
        RESTART_KEY,
        BREAKER_KEY,
        ON_HUNG,
        HUNG_INTERVALS,
        LIMITS_KEY,
        AFTER_CRASHES,
        SETTINGS,
    ],
};

/// An entry of the engine's file.
pub(crate) static PLUGIN: Section = Section {
    name: "[[plugin]]",
    doc: "What is said of one plugin.",
    keys: &[
        ID,
        key(
            "file",
            Kind::Path,
            Default::None,
            "The plugin file, relative to the plugin directory. Several entries with an id each make several plugins of one file.",
        ),
        ENABLED,
        PLUGIN_INTERVAL,
        PLUGIN_TIMEOUT,
        JITTER,
        REQUIRED,
        REQUIRES,
        RELOAD,
        TRIAL_UPDATE,
        PROBATION,
        ALLOW_DOWNGRADE,
        UNMAP,
        PANIC_LIMIT,
        ON_UNHEALTHY,
        RESTART_KEY,
        BREAKER_KEY,
        ON_HUNG,
        HUNG_INTERVALS,
        LIMITS_KEY,
        AFTER_CRASHES,
        SETTINGS,
    ],
};

/// What holds for plugins of which nothing is said.
pub(crate) static DEFAULTS: Section = Section {
    name: "[defaults]",
    doc: "What holds for every plugin of which neither a configuration nor its own manifest says anything.",
    keys: &[
        ENABLED,
        PLUGIN_INTERVAL,
        PLUGIN_TIMEOUT,
        JITTER,
        RELOAD,
        TRIAL_UPDATE,
        PROBATION,
        ALLOW_DOWNGRADE,
        UNMAP,
        PANIC_LIMIT,
        ON_UNHEALTHY,
        RESTART_KEY,
        BREAKER_KEY,
        ON_HUNG,
        HUNG_INTERVALS,
        LIMITS_KEY,
        AFTER_CRASHES,
    ],
};

/// The engine itself.
pub(crate) static ENGINE: Section = Section {
    name: "[engine]",
    doc: "The engine itself. Read once, at its start; what a program says in code comes first.",
    keys: &[
        key(
            "workers",
            Kind::Count {
                min: 1,
                max: WORKERS_MAX,
            },
            Default::None,
            "How many plugins are called at the same time when none of them is slow; one per processor if not said.",
        ),
        key(
            "threads_max",
            Kind::Count {
                min: 2,
                max: THREADS_MAX,
            },
            Default::Count(THREADS),
            "The limit of threads that call plugins, hung calls included; at least one more than the workers.",
        ),
        key(
            "create_timeout",
            CALL_TIME,
            Default::Duration(CREATE_TIMEOUT),
            "How long a create may take.",
        ),
        key(
            "display_timeout",
            CALL_TIME,
            Default::Duration(DISPLAY_TIMEOUT),
            "How long a display may take.",
        ),
        key(
            "destroy_timeout",
            CALL_TIME,
            Default::Duration(DESTROY_TIMEOUT),
            "How long a destroy may take.",
        ),
        key(
            "trial_timeout",
            CALL_TIME,
            Default::None,
            "How long the trial update of a replacement may take; as long as any of its updates if not said.",
        ),
        key(
            "state_timeout",
            CALL_TIME,
            Default::Duration(STATE_TIMEOUT),
            "How long saving the state for a replacement may take, and how long restoring it.",
        ),
        key(
            "load_timeout",
            CALL_TIME,
            Default::Duration(LOAD_TIMEOUT),
            "How long the code of a file that runs at load is waited for.",
        ),
        key(
            "startup_budget",
            CALL_TIME,
            Default::Duration(STARTUP_BUDGET),
            "How long a load of the directory waits for plugins to be created.",
        ),
        key(
            "watch_settle",
            Kind::Duration {
                min: Duration::from_millis(1),
                max: Duration::from_secs(60),
            },
            Default::Duration(WATCH_SETTLE),
            "How long a file has to stay as it is before a change of it counts, where the directory is watched.",
        ),
        key(
            "watch_grace",
            Kind::Duration {
                min: Duration::from_millis(1),
                max: Duration::from_secs(3_600),
            },
            Default::Duration(WATCH_GRACE),
            "How long a file has to be gone before its plugins are unloaded, where the directory is watched.",
        ),
        key(
            "watch_rescan",
            Kind::Duration {
                min: Duration::from_millis(10),
                max: Duration::from_secs(24 * 3_600),
            },
            Default::Duration(WATCH_RESCAN),
            "How often the directory is looked at even if nothing was noticed, where it is watched.",
        ),
        key(
            "libraries_max",
            Kind::Count {
                min: 1,
                max: LIBRARIES_MAX,
            },
            Default::Count(LIBRARIES),
            "How many different plugin files may be mapped; what was mapped stays so, unless `unmap` says otherwise.",
        ),
        key(
            "history_bytes_max",
            Kind::Count {
                min: HISTORY_BYTES_MIN,
                max: HISTORY_BYTES_MAX,
            },
            Default::Count(HISTORY_BYTES),
            "How much memory the histories of all plugins may take together, in bytes.",
        ),
        history_keys::KEPT_FOR,
        history_keys::FILE_BYTES_MAX,
        key(
            "backtraces",
            Kind::Flag,
            Default::None,
            "Whether panics are recorded with a backtrace; as RUST_BACKTRACE says if not said.",
        ),
    ],
};

/// What a plugin file must fulfil.
pub(crate) static VERIFY: Section = Section {
    name: "[verify]",
    doc: "What a plugin file must fulfil beyond being a good plugin.",
    keys: &[
        key(
            "require_signature",
            Kind::Flag,
            Default::Flag(false),
            "Whether a file without a good signature by one of the trusted keys is refused.",
        ),
        key(
            "trusted_keys",
            Kind::PublicKeys,
            Default::None,
            "Public keys as minisign prints them.",
        ),
        key(
            "lock",
            Kind::Path,
            Default::None,
            "The list of the files that may be loaded, relative to this file; it must then be there.",
        ),
        key(
            "allow_rpath",
            Kind::Flag,
            Default::Flag(false),
            "Whether a file may say where the system's loader searches for libraries (RPATH, RUNPATH).",
        ),
        key(
            "trusted_owners",
            Kind::Owners,
            Default::None,
            "The numbers of users, besides root and the engine's own, whose files are loaded.",
        ),
    ],
};

/// The engine's file.
pub(crate) static ENGINE_FILE: Section = Section {
    name: "the engine's file",
    doc: "The configuration of a plugin engine.",
    keys: &[
        key(
            "plugin",
            Kind::Tables(&PLUGIN),
            Default::None,
            "Plugins, each with an id, or a file, or both.",
        ),
        key(
            "defaults",
            Kind::Table(&DEFAULTS),
            Default::None,
            DEFAULTS.doc,
        ),
        key("engine", Kind::Table(&ENGINE), Default::None, ENGINE.doc),
        key("verify", Kind::Table(&VERIFY), Default::None, VERIFY.doc),
    ],
};

/// All sections, for the question where a key belongs that stands in the wrong one.
pub(crate) static SECTIONS: [&Section; 9] = [
    &ENGINE_FILE,
    &PLUGIN,
    &DEFAULTS,
    &ENGINE,
    &VERIFY,
    &BESIDE,
    &RESTART,
    &BREAKER,
    &LIMITS,
];

impl Section {
    pub(crate) fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_stands_twice_and_each_says_what_it_means() {
        for section in SECTIONS {
            for (at, key) in section.keys.iter().enumerate() {
                assert!(key.doc.ends_with('.'), "{}", key.name);
                assert!(
                    section.keys[..at]
                        .iter()
                        .all(|other| other.name != key.name),
                    "{}",
                    key.name
                );
            }
        }
    }

    #[test]
    fn every_default_is_in_its_range() {
        for key in SECTIONS.iter().flat_map(|section| section.keys) {
            match (key.kind, key.default) {
                (_, Default::None) | (Kind::Flag, Default::Flag(_)) => {}
                (Kind::Duration { min, max }, Default::Duration(value)) => {
                    assert!((min..=max).contains(&value), "{}", key.name);
                }
                (Kind::Count { min, max }, Default::Count(value)) => {
                    assert!((min..=max).contains(&value), "{}", key.name);
                }
                (Kind::Choice(choices), Default::Choice(choice)) => {
                    assert!(choices.contains(&choice), "{}", key.name);
                }
                _ => panic!("the default of {} is of another kind", key.name),
            }
        }
    }
}
