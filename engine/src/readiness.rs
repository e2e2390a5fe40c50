//! Whether an engine is ready: its first load is done, and the plugins that its configuration requires run.
//!
//! What lives here: who is required, and whom of them the engine waits for. What never will: who is alive (`liveness`), and what one plugin
//! requires of another (`requirements`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use plugin_engine_core::{PluginId, PluginState};

use crate::cell::Cell;
use crate::config::{self, Layer};
use crate::engine::Engine;
use crate::shared::Shared;

/// Whether an engine is ready, and what for it waits. A copy.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let engine = plugin_engine::Engine::builder().plugin_dir(dir.path()).build()?;
/// engine.load_all();
/// assert!(engine.readiness().is_ready(), "no plugin is required");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Readiness {
    /// Whether files were loaded yet: a load of the directory or of a file has come to its end.
    pub loaded: bool,
    /// The required plugins that are neither enabled nor running, by their names.
    pub waiting_for: Vec<Awaited>,
}

impl Readiness {
    /// Whether nothing is waited for.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.loaded && self.waiting_for.is_empty()
    }
}

/// A required plugin that is neither enabled nor running.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Awaited {
    /// Its id; the path of its file where that is all that is known.
    pub name: Box<str>,
    /// Its state.
    pub state: PluginState,
    /// Why it does not run, as far as that is known.
    pub message: Option<Box<str>>,
}

/// Readiness.
impl Engine {
    /// Whether the first load is done and all plugins run that the configuration calls `required`, be it in the engine's file or in one beside
    /// a plugin file. One that is required and whose file is missing or was refused is waited for, too. Never waits for a plugin;
    /// reads the configuration beside files that were refused or unloaded.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let readiness = engine.readiness();
    /// assert!(!readiness.is_ready(), "nothing was loaded yet");
    /// for awaited in readiness.waiting_for {
    ///     println!("{} is {}", awaited.name, awaited.state);
    /// }
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let shared = self.shared();
        Readiness {
            loaded: shared.has_loaded.load(Ordering::Acquire),
            waiting_for: waiting_for(shared),
        }
    }
}

fn waiting_for(engine: &Shared) -> Vec<Awaited> {
    let mut awaited = BTreeMap::new();
    let mut wait = |one: Awaited| {
        awaited.entry(one.name.clone()).or_insert(one);
    };
    for cell in engine.board.registry.all() {
        if is_required_now(cell) {
            wait_for_cell(engine, cell, &mut wait);
        }
    }
    for refused in engine.refused.unshown() {
        let path = refused.path();
        let beside = config::read_beside(&path.with_extension("toml")).unwrap_or_default();
        if is_required(&beside) {
            wait(Awaited {
                name: name(beside.id.as_ref().map(|id| &id.value), path),
                state: PluginState::Error,
                message: Some(refused.to_string().into()),
            });
        }
    }
    let dir = engine.options.plugin_dir.as_deref();
    for entry in &engine.engine_config.get().plugins {
        if !is_required(entry) {
            continue;
        }
        let id = entry.id.as_ref().map(|id| &id.value);
        if let Some(cell) = id.and_then(|id| engine.board.registry.find(id.as_str())) {
            wait_for_cell(engine, cell, &mut wait);
            continue;
        }
        let file = entry.file.as_ref();
        let file = file.map(|file| dir.unwrap_or(Path::new("")).join(&file.value));
        // The plugins of that file speak for themselves.
        if id.is_none() && file.as_ref().is_some_and(|file| has_plugins(engine, file)) {
            continue;
        }
        let path = file.unwrap_or_default();
        wait(Awaited {
            name: name(id, &path),
            state: PluginState::Unloaded,
            message: Some(why_absent(engine, &path).into()),
        });
    }
    awaited.into_values().collect()
}

/// Waits for a plugin that is known, unless it runs.
fn wait_for_cell(engine: &Shared, cell: &Cell, wait: &mut impl FnMut(Awaited)) {
    let snapshot = cell.snapshot(&engine.board.ledger.time);
    if !matches!(snapshot.state, PluginState::Enabled | PluginState::Running) {
        wait(Awaited {
            name: snapshot.id().as_str().into(),
            state: snapshot.state,
            message: snapshot.error.map(|error| error.to_string().into()),
        });
    }
}

/// Whether a plugin that is known is required.
fn is_required_now(cell: &Cell) -> bool {
    let guarded = cell.lock();
    let Some(source) = &guarded.source else {
        return false;
    };
    if guarded.machine.state() != PluginState::Unloaded {
        return source.config.is_required();
    }
    // What was said of one that is gone may be gone, too; what the engine's file says is looked at for itself.
    if !is_required(&source.config.beside) {
        return false;
    }
    let path = source.candidate.config_path();
    drop(guarded);
    config::read_beside(&path).is_ok_and(|beside| is_required(&beside))
}

/// Whether any plugin comes from a file.
fn has_plugins(engine: &Shared, file: &Path) -> bool {
    engine.board.registry.all().any(|cell| {
        let guarded = cell.lock();
        let source = guarded.source.as_ref();
        source.is_some_and(|source| source.candidate.path == file)
    })
}

fn is_required(layer: &Layer) -> bool {
    layer
        .rare()
        .required
        .as_ref()
        .is_some_and(|said| said.value)
}

fn name(id: Option<&PluginId>, path: &Path) -> Box<str> {
    match id {
        Some(id) => id.as_str().into(),
        None => path.to_string_lossy().into(),
    }
}

/// Why there is no plugin of a file that is not known to be one.
fn why_absent(engine: &Shared, path: &Path) -> String {
    let refused = engine.refused.unshown();
    match refused.iter().find(|refused| refused.path() == path) {
        Some(refused) => refused.to_string(),
        None => "no file was loaded that has this plugin".to_owned(),
    }
}

/// A load has come to its end.
pub(crate) fn loaded(engine: &Arc<Shared>) {
    engine.has_loaded.store(true, Ordering::Release);
}
