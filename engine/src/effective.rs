//! What holds for every plugin of a directory, and who said it, without running any code of a plugin. A secret is shown as the
//! reference that stands for it.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{PluginId, PluginState, Requirement};

use crate::config::keys;
use crate::config::source::{Place, Said};
use crate::config::{self, EngineConfig, EngineSays, Holds, PluginConfig, SaidBy};
use crate::discover::discover;
use crate::error::{Error, LoadError};
use crate::manifest::Manifest;
use crate::plugins::LoadOutcome;
use crate::plugins::plan::{name_unknown_ids, plan};
use crate::requirements::{Offline, check_offline};
use crate::verify::{self, Refused, Rules};

/// Who said a value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The author of the plugin, in its manifest.
    Manifest,
    /// Nobody: it is the default.
    Default,
}

impl From<&Place> for Origin {
    fn from(place: &Place) -> Self {
        Self::File {
            path: place.path().to_path_buf(),
            line: place.line(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Manifest => f.write_str("manifest"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value that holds, in the form in which a configuration file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The key; below tables with dots, as in `settings.start`.
    pub key: String,
    /// The value as TOML. A reference to a secret is shown, never what it stands for.
    pub value: String,
    /// Who said it.
    pub origin: Origin,
}

/// What holds for one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EffectivePlugin {
    /// The plugin.
    pub id: PluginId,
    /// Its file.
    pub file: PathBuf,
    /// Every key, with `id` first and the settings last. What is required is there once for everybody who says something of it, because it
    /// adds up.
    pub values: Vec<Effective>,
}

/// What holds for an engine and its plugins.
#[derive(Debug)]
#[non_exhaustive]
pub struct EffectiveConfig {
    /// The keys of `[engine]` and `[verify]`.
    pub engine: Vec<Effective>,
    /// The plugins, by the names of their files.
    pub plugins: Vec<EffectivePlugin>,
    /// What keeps files from being plugins, and entries that speak of none.
    pub refused: Vec<LoadOutcome>,
}

/// Finds out what would hold for the plugins of `plugin_dir` under the engine's file `config_file`. Reads and verifies the
/// files, and runs no code of them.
///
/// ```
/// use plugin_engine::effective::effective;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let file = dir.path().join("engine.toml");
/// std::fs::write(&file, "[engine]\nworkers = 2\n")?;
/// let shown = effective(None, Some(&file))?;
/// let workers = shown.engine.iter().find(|one| one.key == "engine.workers").unwrap();
/// assert_eq!(workers.value, "2");
/// assert_eq!(workers.origin.to_string(), format!("{}:2", file.display()));
/// # Ok(()) }
/// ```
///
/// # Errors
/// The directory or the engine's file cannot be read, or the engine's file has problems.
pub fn effective(
    plugin_dir: Option<&Path>,
    config_file: Option<&Path>,
) -> Result<EffectiveConfig, Error> {
    let config = Arc::new(match config_file {
        Some(path) => config::read_engine(path)?,
        None => EngineConfig::default(),
    });
    let mut engine = config.engine.effective();
    engine.extend(keys::VERIFY.keys.iter().filter_map(|key| {
        let said = config
            .verify_said
            .iter()
            .find(|(name, _)| *name == key.name);
        match said {
            Some((_, at)) => Some(Effective {
                key: format!("verify.{}", key.name),
                value: at.text().to_owned(),
                origin: Origin::from(at),
            }),
            None => default("verify", key),
        }
    }));
    let mut shown = EffectiveConfig {
        engine,
        plugins: Vec::new(),
        refused: Vec::new(),
    };
    let Some(dir) = plugin_dir else {
        return Ok(shown);
    };
    let candidates = discover(dir)?;
    let rules = Rules::new(&config.verify, dir);
    let mut holders: HashMap<PluginId, PathBuf> = HashMap::new();
    let mut offline = Vec::new();
    for planned in plan(dir, candidates, &config, &mut shown.refused) {
        let manifest = match verify::verify(&planned.candidate, &rules) {
            Ok(artifact) => artifact.manifest,
            Err(Refused { error: source, id }) => {
                let path = planned.candidate.path.clone();
                let ids = id
                    .iter()
                    .flat_map(|id| planned.plugins(id, &mut Vec::new()));
                offline.extend(ids.map(|(id, _)| Offline {
                    id,
                    file: path.clone(),
                    version: None,
                    state: PluginState::Error,
                    requires: Vec::new(),
                }));
                shown.refused.push(LoadOutcome::Refused {
                    file: path.clone(),
                    error: Arc::new(LoadError::Verify { path, source }),
                });
                continue;
            }
        };
        for (id, config) in planned.plugins(&manifest.id, &mut shown.refused) {
            let file = planned.candidate.path.clone();
            if let Some(holder) = holders.insert(id.clone(), file.clone()) {
                holders.insert(id.clone(), holder.clone());
                let error = LoadError::Duplicate {
                    path: file.clone(),
                    id,
                    holder,
                };
                shown.refused.push(LoadOutcome::Refused {
                    file,
                    error: Arc::new(error),
                });
                continue;
            }
            offline.push(Offline {
                id: id.clone(),
                file: file.clone(),
                version: Some(manifest.version.clone()),
                state: if config.enabled().value {
                    PluginState::Enabled
                } else {
                    PluginState::Disabled
                },
                requires: config.requires(&manifest),
            });
            let values = values(&config, &manifest);
            shown.plugins.push(EffectivePlugin { id, file, values });
        }
    }
    for (file, error) in check_offline(&offline) {
        shown.refused.push(LoadOutcome::Misconfigured {
            file: file.to_owned(),
            error: Arc::new(error),
        });
    }
    if let Some(path) = config_file {
        let known: Vec<_> = shown.plugins.iter().map(|one| one.id.clone()).collect();
        name_unknown_ids(path, &config, &known, &mut shown.refused);
    }
    Ok(shown)
}

fn values(config: &PluginConfig, manifest: &Manifest) -> Vec<Effective> {
    let time = |holds: Holds<Duration>| (quoted(&keys::duration_text(holds.value)), holds.said_by);
    let flag = |holds: Holds<bool>| (holds.value.to_string(), holds.said_by);
    let id = config.id(&manifest.id);
    let unmap = config.unmap();
    let after_crashes = config.after_crashes();
    let before = [
        ("id", (quoted(id.value.as_str()), id.said_by)),
        ("enabled", flag(config.enabled())),
        ("interval", time(config.interval(manifest))),
        ("timeout", time(config.timeout(manifest))),
        ("jitter", time(config.jitter(manifest))),
        ("required", flag(config.required())),
    ];
    let after = [
        (
            "reload",
            (
                quoted(config.reload().value.name()),
                config.reload().said_by,
            ),
        ),
        ("trial_update", flag(config.trial_update())),
        ("probation", time(config.probation())),
        ("allow_downgrade", flag(config.allow_downgrade())),
        ("unmap", (quoted(unmap.value.name()), unmap.said_by)),
    ];
    let crashes = (after_crashes.value.to_string(), after_crashes.said_by);
    let health = health(config);
    let mut requires: Vec<_> = config
        .requires(manifest)
        .into_iter()
        .map(|said| ("requires", (texts(&said.value), said.said_by)))
        .collect();
    if requires.is_empty() {
        requires.push(("requires", (texts(&[]), SaidBy::BuiltIn)));
    }
    let settings = config.settings().map(|settings| settings.shown());
    let settings = settings.into_iter().flatten().map(|shown| Effective {
        origin: Origin::from(&shown.at),
        key: shown.key,
        value: shown.written,
    });
    // In the order of the table of keys.
    before
        .into_iter()
        .chain(requires)
        .chain(after)
        .chain(health)
        .chain(config.limits_shown())
        .chain([("after_crashes", crashes)])
        .map(|(key, value)| shown(key, value))
        .chain(settings)
        .collect()
}

/// What holds for a plugin that is known, the settings left out. Of one whose manifest was never read: what no manifest can say.
pub(crate) fn policies(config: &PluginConfig, manifest: Option<&Manifest>) -> Vec<Effective> {
    if let Some(manifest) = manifest {
        let mut values = values(config, manifest);
        values.retain(|value| !value.key.starts_with("settings."));
        return values;
    }
    let enabled = config.enabled();
    let after_crashes = config.after_crashes();
    let others = [
        ("enabled", (enabled.value.to_string(), enabled.said_by)),
        (
            "after_crashes",
            (after_crashes.value.to_string(), after_crashes.said_by),
        ),
    ];
    let all = others.into_iter().chain(health(config));
    all.map(|(key, value)| shown(key, value)).collect()
}

fn shown(key: &str, (value, said_by): (String, SaidBy)) -> Effective {
    Effective {
        key: key.to_owned(),
        value,
        origin: match said_by {
            SaidBy::File(place) => Origin::from(&place),
            SaidBy::Manifest => Origin::Manifest,
            SaidBy::BuiltIn => Origin::Default,
        },
    }
}

/// What follows from how the plugin's calls end.
fn health(config: &PluginConfig) -> Vec<(&'static str, (String, SaidBy))> {
    let time = |holds: Holds<Duration>| (quoted(&keys::duration_text(holds.value)), holds.said_by);
    let count = |holds: Holds<u64>| (holds.value.to_string(), holds.said_by);
    let holds = config.health();
    let on_unhealthy = quoted(holds.on_unhealthy.value.name());
    let on_hung = quoted(holds.on_hung.value.name());
    let breaker = (holds.breaker.value.to_string(), holds.breaker.said_by);
    vec![
        ("panic_limit", count(holds.panic_limit)),
        ("on_unhealthy", (on_unhealthy, holds.on_unhealthy.said_by)),
        ("restart.delay", time(holds.delay)),
        ("restart.delay_max", time(holds.delay_max)),
        ("restart.jitter_percent", count(holds.jitter_percent)),
        ("restart.healthy_period", time(holds.healthy_period)),
        ("restart.max_restarts", count(holds.max_restarts)),
        ("restart.window", time(holds.window)),
        ("breaker.enabled", breaker),
        ("breaker.failures", count(holds.failures)),
        ("breaker.cool_down", time(holds.cool_down)),
        ("on_hung", (on_hung, holds.on_hung.said_by)),
        ("hung_intervals", count(holds.hung_intervals)),
    ]
}

/// As TOML writes a list of texts.
fn texts(requires: &[Requirement]) -> String {
    let texts: Vec<_> = requires
        .iter()
        .map(|one| quoted(&one.to_string()))
        .collect();
    format!("[{}]", texts.join(", "))
}

/// As TOML writes a text.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn said<T>(
    section: &str,
    key: &str,
    said: Option<&Said<T>>,
    text: impl Fn(&T) -> String,
) -> Option<Effective> {
    let key = format!("{section}.{key}");
    said.map(|said| Effective {
        key,
        value: text(&said.value),
        origin: Origin::from(&said.at),
    })
}

/// What the table of keys has as the default; nothing where the default depends on the machine or is empty.
fn default(section: &str, key: &keys::Key) -> Option<Effective> {
    let value = match key.default {
        keys::Default::None => return None,
        keys::Default::Flag(flag) => flag.to_string(),
        keys::Default::Duration(time) => quoted(&keys::duration_text(time)),
        keys::Default::Count(count) => count.to_string(),
        keys::Default::Choice(choice) => quoted(choice),
    };
    Some(Effective {
        key: format!("{section}.{}", key.name),
        value,
        origin: Origin::Default,
    })
}

impl EngineSays {
    fn effective(&self) -> Vec<Effective> {
        let time = |time: &Duration| quoted(&keys::duration_text(*time));
        let find = |name: &str| match name {
            "workers" => said("engine", name, self.workers.as_ref(), u64::to_string),
            "threads_max" => said("engine", name, self.threads_max.as_ref(), u64::to_string),
            "libraries_max" => said("engine", name, self.libraries_max.as_ref(), u64::to_string),
            "create_timeout" => said("engine", name, self.create_timeout.as_ref(), time),
            "display_timeout" => said("engine", name, self.display_timeout.as_ref(), time),
            "destroy_timeout" => said("engine", name, self.destroy_timeout.as_ref(), time),
            "trial_timeout" => said("engine", name, self.trial_timeout.as_ref(), time),
            "state_timeout" => said("engine", name, self.state_timeout.as_ref(), time),
            "load_timeout" => said("engine", name, self.load_timeout.as_ref(), time),
            "startup_budget" => said("engine", name, self.startup_budget.as_ref(), time),
            "watch_settle" => said("engine", name, self.watch_settle.as_ref(), time),
            "watch_grace" => said("engine", name, self.watch_grace.as_ref(), time),
            "watch_rescan" => said("engine", name, self.watch_rescan.as_ref(), time),
            "history_bytes_max" => {
                let bytes = self.history_bytes_max.as_ref();
                said("engine", name, bytes, u64::to_string)
            }
            "history_kept_for" => said("engine", name, self.history_kept_for.as_ref(), time),
            "history_file_bytes_max" => {
                let bytes = self.history_file_bytes_max.as_ref();
                said("engine", name, bytes, u64::to_string)
            }
            "backtraces" => said("engine", name, self.backtraces.as_ref(), bool::to_string),
            _ => None,
        };
        let keys = keys::ENGINE.keys.iter();
        keys.filter_map(|key| find(key.name).or_else(|| default("engine", key)))
            .collect()
    }
}
