//! The engine's own configuration file: plugins, defaults, the engine, and what files must fulfil.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::PluginId;

use super::error::{ConfigError, Problem, code};
use super::layer::Layer;
use super::reading::Reading;
use super::source::{Place, Said, Source};
use super::walk::Found;
use crate::verify::VerifyPolicy;

/// What the engine's file says; the default where there is none.
#[derive(Debug, Default)]
pub(crate) struct EngineConfig {
    /// What was read; `None` where there is no file.
    source: Option<Arc<Source>>,
    /// The entries in the order of the file.
    pub(crate) plugins: Vec<Arc<Layer>>,
    /// Those of them that name an id and no file.
    by_id: HashMap<PluginId, Arc<Layer>>,
    pub(crate) defaults: Arc<Layer>,
    pub(crate) engine: EngineSays,
    pub(crate) verify: Arc<VerifyPolicy>,
    /// Where each key of `[verify]` is said, with the value as it is written.
    pub(crate) verify_said: Vec<(&'static str, Place)>,
}

/// What is said of the engine itself.
#[derive(Debug, Default)]
pub(crate) struct EngineSays {
    pub(crate) workers: Option<Said<u64>>,
    pub(crate) threads_max: Option<Said<u64>>,
    pub(crate) libraries_max: Option<Said<u64>>,
    pub(crate) create_timeout: Option<Said<Duration>>,
    pub(crate) display_timeout: Option<Said<Duration>>,
    pub(crate) destroy_timeout: Option<Said<Duration>>,
    pub(crate) trial_timeout: Option<Said<Duration>>,
    pub(crate) state_timeout: Option<Said<Duration>>,
    pub(crate) load_timeout: Option<Said<Duration>>,
    pub(crate) startup_budget: Option<Said<Duration>>,
    pub(crate) watch_settle: Option<Said<Duration>>,
    pub(crate) watch_grace: Option<Said<Duration>>,
    pub(crate) watch_rescan: Option<Said<Duration>>,
    pub(crate) history_bytes_max: Option<Said<u64>>,
    pub(crate) history_kept_for: Option<Said<Duration>>,
    pub(crate) history_file_bytes_max: Option<Said<u64>>,
    pub(crate) backtraces: Option<Said<bool>>,
}

impl EngineConfig {
    pub(super) fn new(mut found: Found, walk: &mut Reading<'_>) -> Self {
        let entries = found.tables("plugin").map_or(Vec::new(), |said| said.value);
        let plugins: Vec<_> = entries
            .into_iter()
            .map(|entry| Arc::new(Layer::new(entry, walk)))
            .collect();
        let by_id = index(&plugins, walk);
        let table = |said: Option<Said<Found>>| said.map(|said| said.value);
        let defaults = table(found.table("defaults"))
            .map(|found| Layer::new(found, walk))
            .unwrap_or_default();
        let engine = table(found.table("engine")).map(EngineSays::new);
        let verify = table(found.table("verify"));
        let verify_said = verify.as_ref().map_or(Vec::new(), Found::places);
        let verify = verify.map(|found| verify_config(found, walk));
        Self {
            source: Some(Arc::clone(walk.source)),
            plugins,
            by_id,
            defaults: Arc::new(defaults),
            engine: engine.unwrap_or_default(),
            verify: Arc::new(verify.unwrap_or_default()),
            verify_said,
        }
    }

    /// Whether it is what this file says, too. What values refer to outside of the file is looked up when they are needed.
    pub(super) fn is_of(&self, source: &Source) -> bool {
        let own = self.source.as_deref();
        own.is_some_and(|own| own.path == source.path && own.text == source.text)
    }

    /// The entry that speaks of a plugin by its id alone.
    pub(crate) fn by_id(&self, id: &str) -> Option<&Arc<Layer>> {
        self.by_id.get(id)
    }

    /// The entries that speak of plugins by their ids alone.
    pub(crate) fn entries_without_file(&self) -> impl Iterator<Item = (&PluginId, &Place)> {
        self.plugins
            .iter()
            .filter(|layer| layer.file.is_none())
            .filter_map(|layer| layer.id.as_ref())
            .map(|id| (&id.value, &id.at))
    }
}

/// Finds the entries without a file by id, and refuses ids that stand twice and entries that speak of nothing.
fn index(plugins: &[Arc<Layer>], walk: &mut Reading<'_>) -> HashMap<PluginId, Arc<Layer>> {
    let mut seen: HashMap<PluginId, &Place> = HashMap::new();
    let mut by_id = HashMap::new();
    for layer in plugins {
        let Some(id) = &layer.id else {
            if layer.file.is_none()
                && !layer.is_badly_named
                && let Some(at) = &layer.at
            {
                let reason = "a [[plugin]] needs an id, or a file, or both";
                walk.problems.add(Problem::new(code::NAMELESS, at, reason));
            }
            continue;
        };
        if let Some(first) = seen.get(&id.value) {
            let reason = format!(
                "the id \"{}\" is given twice, first in line {}",
                id.value,
                first.line()
            );
            walk.problems
                .add(Problem::new(code::DUPLICATE_ID, &id.at, reason));
            continue;
        }
        seen.insert(id.value.clone(), &id.at);
        if layer.file.is_none() {
            by_id.insert(id.value.clone(), Arc::clone(layer));
        }
    }
    by_id
}

impl EngineSays {
    fn new(mut found: Found) -> Self {
        Self {
            workers: found.count("workers"),
            threads_max: found.count("threads_max"),
            libraries_max: found.count("libraries_max"),
            create_timeout: found.duration("create_timeout"),
            display_timeout: found.duration("display_timeout"),
            destroy_timeout: found.duration("destroy_timeout"),
            trial_timeout: found.duration("trial_timeout"),
            state_timeout: found.duration("state_timeout"),
            load_timeout: found.duration("load_timeout"),
            startup_budget: found.duration("startup_budget"),
            watch_settle: found.duration("watch_settle"),
            watch_grace: found.duration("watch_grace"),
            watch_rescan: found.duration("watch_rescan"),
            history_bytes_max: found.count("history_bytes_max"),
            history_kept_for: found.duration("history_kept_for"),
            history_file_bytes_max: found.count("history_file_bytes_max"),
            backtraces: found.flag("backtraces"),
        }
    }
}

impl VerifyPolicy {
    /// Reads the `[verify]` table of an engine's configuration file.
    ///
    /// ```
    /// use plugin_engine::VerifyPolicy;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let file = dir.path().join("engine.toml");
    /// std::fs::write(&file, "[verify]\nallow_rpath = true\n")?;
    /// assert!(VerifyPolicy::from_config_file(&file)?.allow_rpath);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The file cannot be read, or anything in it is not good.
    pub fn from_config_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Ok(Self::clone(&super::read_engine(path.as_ref())?.verify))
    }
}

fn verify_config(mut found: Found, walk: &mut Reading<'_>) -> VerifyPolicy {
    let flag = |said: Option<Said<bool>>| said.is_some_and(|said| said.value);
    let required = found.flag("require_signature");
    let given = found.texts("trusted_keys");
    if let Some(required) = required.as_ref().filter(|said| said.value)
        && given.as_ref().is_none_or(|said| said.value.is_empty())
        && !found.is_bad("trusted_keys")
    {
        let reason = "`require_signature` is true, and `trusted_keys` names no key: every plugin would be refused";
        walk.problems
            .add(Problem::new(code::OUT_OF_RANGE, &required.at, reason));
    }
    let dir = walk.source.path.parent().unwrap_or(Path::new(""));
    VerifyPolicy {
        require_signature: flag(required),
        trusted_keys: given.map_or(Vec::new(), |said| said.value),
        lock: found.path("lock").map(|said| dir.join(said.value)),
        allow_rpath: flag(found.flag("allow_rpath")),
        trusted_owners: found
            .numbers("trusted_owners")
            .map_or(Vec::new(), |said| said.value),
    }
}

impl EngineSays {
    /// Checks what one key cannot know of another.
    pub(crate) fn check_threads(
        &self,
        workers: u64,
        threads_max: u64,
        by_code: bool,
    ) -> Result<(), ConfigError> {
        if threads_max > workers {
            return Ok(());
        }
        match self.threads_max.as_ref().or(self.workers.as_ref()) {
            Some(said) if !by_code => {
                let reason = format!("`threads_max` is {threads_max}, with {workers} workers");
                let help = format!("write at least {}", workers + 1);
                Err(Problem::new(code::OUT_OF_RANGE, &said.at, reason)
                    .help(help)
                    .into())
            }
            _ => Err(ConfigError::by_code(
                "threads_max",
                &(workers + 1).to_string(),
                &super::keys::THREADS_MAX.to_string(),
                &threads_max.to_string(),
            )),
        }
    }
}
