//! What is said of the simulated plugins: a fixed set of configurations, each in a file beside a plugin file that is only data.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use tempfile::TempDir;

use crate::chance::Chance;
use crate::requires::Requires;
use crate::step::Step;

/// How many plugins there are to choose from, each with its own configuration.
pub(crate) const PLUGINS: usize = 48;

/// What becomes of an unhealthy plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnUnhealthy {
    None,
    Restart,
    Disable,
    Unload,
}

/// The back-off of restarts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Restart {
    /// The first delay.
    pub delay: Duration,
    /// The longest.
    pub delay_max: Duration,
    /// By how much either way.
    pub jitter_percent: u32,
    /// After which the first delay comes again.
    pub healthy_period: Duration,
    /// How many within the window.
    pub max_restarts: u32,
    /// The window.
    pub window: Duration,
}

/// What the configuration says of one plugin; what the checks take for given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// The time between updates.
    pub interval: Duration,
    /// How long an update may take.
    pub timeout: Duration,
    /// How many panics make it unhealthy.
    pub panic_limit: u32,
    /// What is done then.
    pub on_unhealthy: OnUnhealthy,
    /// How it is restarted.
    pub restart: Restart,
    /// Failures in a row and cool-down of the circuit breaker.
    pub breaker: Option<(u32, Duration)>,
    /// After how many intervals an instance is put beside one that hangs.
    pub replace_hung: Option<u32>,
    /// Whether the instance before is destroyed before a replacement is created.
    pub stop_first: bool,
    /// Whether a replacement is tried.
    pub trial_update: bool,
    /// For how long the generation before may come back.
    pub probation: Duration,
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn s(s: u64) -> Duration {
    Duration::from_secs(s)
}

impl Policy {
    fn draw(chance: &mut Chance) -> Self {
        let interval = chance.one_of(&[ms(200), s(1), s(1), s(5), s(60)]);
        let delay = chance.one_of(&[ms(100), s(1), s(1), s(3)]);
        let delay_max = chance.one_of(&[delay, delay * 4, s(30)]).max(delay);
        let max_restarts = u32::try_from(chance.below(6)).unwrap_or(0);
        let jitter_percent = chance.one_of(&[0, 20, 50]);
        // The window has to be longer than all delays together.
        let most = delay_max * max_restarts * (100 + jitter_percent) / 100;
        Self {
            interval,
            timeout: chance.one_of(&[ms(50), ms(500), s(2), s(10)]),
            panic_limit: 1 + u32::try_from(chance.below(4)).unwrap_or(0),
            on_unhealthy: chance.weighted(&[
                (2, OnUnhealthy::None),
                (4, OnUnhealthy::Restart),
                (2, OnUnhealthy::Disable),
                (2, OnUnhealthy::Unload),
            ]),
            restart: Restart {
                delay,
                delay_max,
                jitter_percent,
                healthy_period: chance.one_of(&[s(2), s(10), s(60)]),
                max_restarts,
                window: most + chance.one_of(&[s(10), s(60), s(600)]),
            },
            breaker: chance.percent(40).then(|| {
                (
                    1 + chance.below(4) as u32,
                    chance.one_of(&[ms(300), s(10), s(300)]),
                )
            }),
            replace_hung: chance.percent(30).then(|| 1 + chance.below(3) as u32),
            stop_first: chance.percent(25),
            trial_update: chance.percent(75),
            probation: chance.one_of(&[Duration::ZERO, Duration::ZERO, s(5), s(120)]),
        }
    }

    /// The file that says so, and what the plugin requires.
    pub(crate) fn text(&self, requires: &Requires) -> String {
        let on_unhealthy = match self.on_unhealthy {
            OnUnhealthy::None => "none",
            OnUnhealthy::Restart => "restart",
            OnUnhealthy::Disable => "disable",
            OnUnhealthy::Unload => "unload",
        };
        let time = |time: Duration| format!("\"{}ms\"", time.as_millis());
        let Restart {
            delay,
            delay_max,
            jitter_percent,
            healthy_period,
            max_restarts,
            window,
        } = self.restart;
        let mut text = format!(
            "{}interval = {}\ntimeout = {}\npanic_limit = {}\non_unhealthy = \"{on_unhealthy}\"\nreload = \"{}\"\ntrial_update = {}\nprobation = {}\nallow_downgrade = false\n",
            requires.line(),
            time(self.interval),
            time(self.timeout),
            self.panic_limit,
            if self.stop_first {
                "stop-first"
            } else {
                "try-activate"
            },
            self.trial_update,
            time(self.probation),
        );
        if let Some(intervals) = self.replace_hung {
            let _ = write!(
                text,
                "on_hung = \"replace\"\nhung_intervals = {intervals}\n"
            );
        }
        let _ = write!(
            text,
            "[restart]\ndelay = {}\ndelay_max = {}\njitter_percent = {jitter_percent}\nhealthy_period = {}\nmax_restarts = {max_restarts}\nwindow = {}\n",
            time(delay),
            time(delay_max),
            time(healthy_period),
            time(window),
        );
        if let Some((failures, cool_down)) = self.breaker {
            let _ = write!(
                text,
                "[breaker]\nfailures = {failures}\ncool_down = {}\n",
                time(cool_down)
            );
        }
        text
    }
}

/// The directory of the configurations, which is written once and read by all.
struct Written {
    dir: TempDir,
    policies: Vec<Policy>,
}

static WRITTEN: LazyLock<Written> = LazyLock::new(|| {
    let dir = TempDir::with_prefix("plugin-engine-simulation-").expect("a directory for 48 files");
    let policies: Vec<_> = (0..PLUGINS)
        .map(|number| Policy::draw(&mut Chance::new(7, &[number as u64])))
        .collect();
    for (number, policy) in policies.iter().enumerate() {
        let path = dir.path().join(id_of(number)).with_extension("toml");
        std::fs::write(path, policy.text(&Requires::default())).expect("room for 48 small files");
    }
    Written { dir, policies }
});

/// What holds for a plugin.
#[must_use]
pub(crate) fn policy_of(plugin: usize) -> Policy {
    WRITTEN.policies[plugin]
}

/// The id of a plugin.
#[must_use]
pub(crate) fn id_of(plugin: usize) -> String {
    format!("p{plugin:02}")
}

/// The plugin of an id.
#[must_use]
pub(crate) fn plugin_of(id: &str) -> Option<usize> {
    id.strip_prefix('p')?.parse().ok()
}

/// The file of a plugin in a directory, of which there is only the name.
#[must_use]
pub(crate) fn path_in(directory: &Path, plugin: usize) -> PathBuf {
    directory.join(format!("{}.so", id_of(plugin)))
}

/// The plugin of a file.
#[must_use]
pub(crate) fn plugin_of_path(path: &Path) -> Option<usize> {
    plugin_of(path.file_stem()?.to_str()?)
}

/// Where those are that nobody changes.
#[must_use]
pub(crate) fn directory() -> &'static Path {
    WRITTEN.dir.path()
}

/// A directory of configurations for a run, if it changes any.
pub(crate) fn own_directory(steps: &[Step]) -> Option<TempDir> {
    let is_changed = |step: &Step| matches!(step, Step::Require(..));
    steps.iter().any(is_changed).then(|| {
        let dir = TempDir::with_prefix("plugin-engine-simulation-").expect("a directory");
        for step in steps {
            if let Step::File(plugin, _) = step {
                let path = path_in(dir.path(), *plugin).with_extension("toml");
                let text = policy_of(*plugin).text(&Requires::default());
                std::fs::write(path, text).expect("room for a small file");
            }
        }
        dir
    })
}
