//! Which plugins there are: those that are watched closely and never touched, those that chaos is done to, and those that end the process.

use crate::moment::{Micros, SECOND};
use crate::random::Random;

const MS: Micros = 1_000;

/// A plugin whose file, configuration and state nobody touches, so that all that happens to it follows from the promises alone.
pub(crate) struct Sentinel {
    pub(crate) id: &'static str,
    /// The crate that its file is of.
    pub(crate) of: &'static str,
    pub(crate) interval: Micros,
    pub(crate) timeout: Micros,
    /// Whether it always succeeds at once, and so may never be late.
    pub(crate) is_control: bool,
    /// What a failure asks for in place of the interval.
    pub(crate) retry_after: Option<Micros>,
    /// Further lines of its configuration.
    config: &'static str,
}

const fn control(id: &'static str, interval: Micros) -> Sentinel {
    Sentinel {
        id,
        of: "noop",
        interval,
        timeout: 900 * MS,
        is_control: true,
        retry_after: None,
        config: "",
    }
}

const fn sick(
    id: &'static str,
    of: &'static str,
    interval: Micros,
    timeout: Micros,
    config: &'static str,
) -> Sentinel {
    Sentinel {
        id,
        of,
        interval,
        timeout,
        is_control: false,
        retry_after: None,
        config,
    }
}

pub(crate) const SENTINELS: [Sentinel; 12] = [
    control("control-1", 100 * MS),
    control("control-2", 100 * MS),
    control("control-3", 100 * MS),
    control("control-4", SECOND),
    control("control-5", SECOND),
    Sentinel {
        of: "scripted",
        config: "settings = { do = \"work\" }\n",
        ..control("control-in-c", 100 * MS)
    },
    sick(
        "late-within",
        "hangs-awhile",
        500 * MS,
        100 * MS,
        "settings = { ms = 250 }\n",
    ),
    sick(
        "late-beyond",
        "hangs-awhile",
        SECOND,
        200 * MS,
        "settings = { ms = 2500 }\n",
    ),
    sick(
        "fails-often",
        "fails",
        300 * MS,
        500 * MS,
        "settings = { every = 2 }\n",
    ),
    Sentinel {
        retry_after: Some(150 * MS),
        ..sick(
            "fails-and-asks",
            "fails",
            3 * SECOND,
            500 * MS,
            "settings = { every = 2, retry_after_ms = 150 }\n",
        )
    },
    sick(
        "panics-on",
        "panics",
        250 * MS,
        500 * MS,
        "panic_limit = 2\non_unhealthy = \"none\"\nrestart = { healthy_period = \"3s\" }\nsettings = { every = 4 }\n",
    ),
    sick(
        "panics-restarted",
        "panics",
        250 * MS,
        500 * MS,
        "panic_limit = 2\nrestart = { delay = \"100ms\", delay_max = \"400ms\", healthy_period = \"2s\", max_restarts = 60, window = \"1m\" }\nsettings = { every = 5 }\n",
    ),
];

/// The sentinel that is reset from time to time, which ends an episode.
pub(crate) const RESET_SENTINEL: &str = "panics-restarted";

/// The sentinel of this id.
pub(crate) fn sentinel(id: &str) -> Option<&'static Sentinel> {
    SENTINELS.iter().find(|one| one.id == id)
}

/// The name of the plugin file that the sentinels of a crate share, which no other plugin uses.
pub(crate) fn sentinel_file(of: &str) -> String {
    format!("sentinel-{of}.so")
}

/// Plugins in C and C++, which the compilers of the system make; where there are none, nothing of these is there.
pub(crate) const FOREIGN: [&str; 5] = [
    "free-space",
    "log-matches",
    "misbuilt",
    "scripted",
    "throws",
];

/// The crates that chaos is done to, and [`FOREIGN`]. `exhausts-memory` is not among them: without a limit of its own it would take the machine's.
pub(crate) const NOISE: [&str; 50] = [
    "aborts-in-loader",
    "brings-a-library",
    "clock",
    "computes",
    "constructor-mark",
    "counter",
    "current-thread",
    "directory-size",
    "drop-panics",
    "duplicates",
    "fails",
    "fails-in-create",
    "fails-permanently",
    "feed",
    "floods",
    "free-space",
    "gated",
    "hangs",
    "hangs-awhile",
    "keeps-a-thread",
    "keeps-state",
    "lingers",
    "load-log",
    "log-matches",
    "long-text",
    "misbuilt",
    "non-text-payload",
    "noop",
    "own-runtime",
    "panics",
    "panics-in-create",
    "panics-in-destroy",
    "panics-in-display",
    "panics-in-schema",
    "probe",
    "publishes",
    "quotes-settings",
    "requires-noop",
    "same-id",
    "schema-is-none",
    "script",
    "scripted",
    "settings",
    "slow-create",
    "slow-destroy",
    "stays-mapped",
    "system",
    "thread-locals",
    "thread-panics",
    "throws",
];

/// Three builds of one plugin, which take each other's place.
pub(crate) const VERSIONS: [&str; 3] = ["versioned-0-9", "versioned-1-1", "versioned-1-1-rebuilt"];

/// A plugin that ends the process.
pub(crate) struct Crasher {
    pub(crate) id: &'static str,
    pub(crate) of: &'static str,
    pub(crate) config: &'static str,
    /// Whether it does so on a thread of its own, so that nobody can be blamed.
    pub(crate) is_unseen: bool,
}

pub(crate) const CRASHERS: [Crasher; 9] = [
    crasher("crash-segfault", "segfaults", "", false),
    crasher("crash-abort", "aborts", "", false),
    crasher(
        "crash-create",
        "aborts",
        "settings = { in_call = \"create\" }\n",
        false,
    ),
    crasher(
        "crash-in-c",
        "scripted",
        "settings = { do = \"crash\" }\n",
        false,
    ),
    crasher("crash-exit", "exits", "", false),
    crasher(
        "crash-exit-at-once",
        "exits",
        "settings = { at_once = true }\n",
        false,
    ),
    crasher("crash-stack", "overflows-stack", "", false),
    crasher("crash-twice", "panics-twice", "", false),
    crasher(
        "crash-own-thread",
        "aborts",
        "settings = { on_own_thread = true }\n",
        true,
    ),
];

const fn crasher(
    id: &'static str,
    of: &'static str,
    config: &'static str,
    is_unseen: bool,
) -> Crasher {
    Crasher {
        id,
        of,
        config,
        is_unseen,
    }
}

/// What of the engine itself is bounded tightly here, so that bounds are reached.
pub(crate) const THREADS_MAX: usize = 64;

/// A good configuration of the engine: the sentinels as ever, and what is said of some of the others drawn anew.
pub(crate) fn engine_config(random: &mut Random) -> String {
    let mut text = format!(
        "[engine]\nworkers = 2\nthreads_max = {THREADS_MAX}\ncreate_timeout = \"2s\"\ndisplay_timeout = \"500ms\"\n\
         destroy_timeout = \"1s\"\nload_timeout = \"5s\"\nstartup_budget = \"8s\"\nhistory_bytes_max = 33554432\n"
    );
    for one in &SENTINELS {
        text.push_str(&format!(
            "\n[[plugin]]\nid = \"{}\"\nfile = \"{}\"\ninterval = \"{}ms\"\ntimeout = \"{}ms\"\n{}",
            one.id,
            sentinel_file(one.of),
            one.interval / MS,
            one.timeout / MS,
            one.config
        ));
    }
    for n in 0..random.within(6, 16) {
        let of = random.pick(&NOISE);
        if matches!(*of, "floods" | "constructor-mark") {
            continue;
        }
        text.push_str(&format!(
            "\n[[plugin]]\nid = \"many-{n}\"\nfile = \"{of}.so\"\n"
        ));
        text.push_str(&plugin_config(random));
    }
    text
}

/// Some good lines of configuration of a plugin, without its settings.
pub(crate) fn plugin_config(random: &mut Random) -> String {
    let mut text = format!(
        "interval = \"{}ms\"\ntimeout = \"{}ms\"\n",
        random.within(40, 2_000),
        random.within(20, 600)
    );
    let choices = [
        "on_hung = \"replace\"\nhung_intervals = 2\n",
        "on_unhealthy = \"disable\"\n",
        "on_unhealthy = \"unload\"\n",
        "on_unhealthy = \"none\"\n",
        "unmap = \"when-safe\"\n",
        "breaker = { failures = 2, cool_down = \"2s\" }\n",
        "jitter = \"30ms\"\n",
        "enabled = false\n",
        "panic_limit = 1\n",
        "after_crashes = 1\n",
        "requires = [\"noop\"]\n",
        "allow_downgrade = true\n",
        "required = true\n",
        "restart = { delay = \"100ms\", delay_max = \"1s\", healthy_period = \"3s\" }\n",
        "limits = { window = \"2s\", cpu_percent = 5, update_mean = \"10ms\" }\n",
    ];
    let reloads = [
        "reload = \"stop-first\"\n",
        "probation = \"4s\"\n",
        "trial_update = false\n",
    ];
    let mut keys: Vec<&str> = Vec::new();
    for _ in 0..random.within(0, 4) {
        let line = *random.pick(&choices);
        let key = line.split(' ').next().unwrap_or_default();
        if !keys.contains(&key) {
            keys.push(key);
            text.push_str(line);
        }
    }
    if random.chance(30) {
        text.push_str(random.pick::<&str>(&reloads));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_foreign_is_among_what_chaos_is_done_to() {
        assert!(FOREIGN.iter().all(|name| NOISE.contains(name)));
    }

    #[test]
    fn every_sentinel_is_in_every_configuration_and_has_a_file_of_its_own() {
        let mut random = Random::new(1);
        for _ in 0..20 {
            let text = engine_config(&mut random);
            for one in &SENTINELS {
                assert_eq!(
                    text.matches(&format!("id = \"{}\"", one.id)).count(),
                    1,
                    "{text}"
                );
                assert!(text.contains(&sentinel_file(one.of)));
            }
        }
    }
}
