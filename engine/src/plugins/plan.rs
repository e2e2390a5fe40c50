//! Which files become which plugins.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use plugin_engine_core::PluginId;

use super::outcome::LoadOutcome;
use crate::config::source::{Place, Said};
use crate::config::{self, ConfigError, EngineConfig, Layer, PluginConfig, Problem, code, nearest};
use crate::discover::Candidate;

/// A file, and what is said of the plugins that it is to become.
#[derive(Clone)]
pub(crate) struct Planned {
    pub(crate) candidate: Arc<Candidate>,
    pub(crate) configs: Vec<PluginConfig>,
    engine_config: Arc<EngineConfig>,
}

/// Puts files and what is said of them together. An entry that names a file makes a plugin of that file; a file that no entry
/// names is one plugin, of which the entry of its id may speak. What the configuration beside a file says holds for all of its
/// plugins, where their entries say nothing.
pub(crate) fn plan(
    dir: &Path,
    candidates: Vec<Candidate>,
    engine_config: &Arc<EngineConfig>,
    outcomes: &mut Vec<LoadOutcome>,
) -> Vec<Planned> {
    let mut of_file: HashMap<PathBuf, Vec<&Arc<Layer>>> = HashMap::new();
    for layer in &engine_config.plugins {
        if let Some(file) = &layer.file {
            of_file
                .entry(dir.join(&file.value))
                .or_default()
                .push(layer);
        }
    }
    let names: Vec<_> = candidates
        .iter()
        .filter_map(|candidate| candidate.path.file_name()?.to_str())
        .map(str::to_owned)
        .collect();
    let mut planned = Vec::new();
    for candidate in candidates.into_iter().map(Arc::new) {
        let entries = of_file.remove(&candidate.path).unwrap_or_default();
        match plan_file(&candidate, &entries, engine_config) {
            Ok(plan) => planned.push(plan),
            Err(error) => outcomes.push(misconfigured(candidate.path.clone(), error)),
        }
    }
    let mut absent: Vec<_> = of_file.into_values().flatten().collect();
    absent.sort_by_key(|layer| layer.at.as_ref().map(Place::line));
    for layer in absent {
        let Some(file) = &layer.file else { continue };
        let name = file.value.to_string_lossy();
        let reason = format!("there is no plugin file \"{name}\" in {}", dir.display());
        let meant = nearest(&name, names.iter().map(String::as_str));
        let problem = Problem::new(code::NO_SUCH_PLUGIN, &file.at, reason)
            .help(meant.map(|meant| format!("did you mean \"{meant}\"?")));
        outcomes.push(misconfigured(dir.join(&file.value), problem.into()));
    }
    planned
}

/// One file, with the entries that name it.
pub(super) fn plan_file(
    candidate: &Arc<Candidate>,
    entries: &[&Arc<Layer>],
    engine_config: &Arc<EngineConfig>,
) -> Result<Planned, ConfigError> {
    let beside = config::read_beside(&candidate.config_path())?;
    let config = |entry: Option<&Arc<Layer>>| PluginConfig {
        entry: entry.cloned(),
        beside: Arc::clone(&beside),
        defaults: Arc::clone(&engine_config.defaults),
    };
    let configs = match entries {
        [] => vec![config(None)],
        entries => entries.iter().map(|entry| config(Some(entry))).collect(),
    };
    Ok(Planned {
        candidate: Arc::clone(candidate),
        configs,
        engine_config: Arc::clone(engine_config),
    })
}

impl Planned {
    /// What the engine's file says, as it was when this was planned.
    pub(crate) fn engine_config(&self) -> &EngineConfig {
        &self.engine_config
    }

    /// What is said of each plugin of the file, now that the manifest's id is known, by its id.
    pub(crate) fn plugins(
        &self,
        manifest_id: &PluginId,
        outcomes: &mut Vec<LoadOutcome>,
    ) -> Vec<(PluginId, PluginConfig)> {
        let mut plugins: Vec<(PluginId, PluginConfig)> = Vec::with_capacity(self.configs.len());
        // Where each of them lies: a file may become very many plugins.
        let mut places: HashMap<PluginId, usize> = HashMap::with_capacity(self.configs.len());
        for config in &self.configs {
            let id = config.id(manifest_id).value;
            let mut config = config.clone();
            // Ids that entries say were compared when they were read; these may come from beside the file, or from within.
            if let Some(first) = places.get(&id) {
                if let (Some(at), Some(first)) = (config.place(), plugins[*first].1.place()) {
                    let reason = format!(
                        "the entry in line {} makes the plugin \"{id}\" of this file already",
                        first.line()
                    );
                    let problem = Problem::new(code::DUPLICATE_ID, &at, reason)
                        .help("give each entry of one file an `id`".to_owned());
                    outcomes.push(misconfigured(self.candidate.path.clone(), problem.into()));
                }
                continue;
            }
            match (&config.entry, self.engine_config.by_id(id.as_str())) {
                (None, of_id) => config.entry = of_id.cloned(),
                (Some(entry), Some(of_id)) if entry.id.is_none() => {
                    if let (Some(Said { at, .. }), Some(first)) = (&of_id.id, &entry.at) {
                        let reason = format!(
                            "the entry in line {} is of the plugin \"{id}\" already",
                            first.line()
                        );
                        let problem = Problem::new(code::DUPLICATE_ID, at, reason);
                        outcomes.push(misconfigured(self.candidate.path.clone(), problem.into()));
                    }
                }
                (Some(_), _) => {}
            }
            places.insert(id.clone(), plugins.len());
            plugins.push((id, config));
        }
        plugins
    }
}

/// Names the entries that speak of a plugin which does not exist.
pub(crate) fn name_unknown_ids(
    path: &Path,
    engine_config: &EngineConfig,
    known: &[PluginId],
    outcomes: &mut Vec<LoadOutcome>,
) {
    let is_known: std::collections::HashSet<_> = known.iter().collect();
    for (id, at) in engine_config.entries_without_file() {
        if is_known.contains(id) {
            continue;
        }
        let reason = format!("no plugin has the id \"{id}\"");
        let help = match nearest(id.as_str(), known.iter().map(PluginId::as_str)) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => {
                "an entry of a file that has another id of its own names the file, too".to_owned()
            }
        };
        let problem = Problem::new(code::NO_SUCH_PLUGIN, at, reason).help(help);
        outcomes.push(misconfigured(path.to_owned(), problem.into()));
    }
}

fn misconfigured(file: PathBuf, error: ConfigError) -> LoadOutcome {
    LoadOutcome::Misconfigured {
        file,
        error: Arc::new(error),
    }
}
