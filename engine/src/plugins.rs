//! From files to plugins: what a load of the directory does, file by file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use plugin_engine_core::{
    CallLimits, Cause, CreateReason, Event, Fault, FaultKind, FaultReport, Machine, Moment,
    PluginId, PluginState, RejectReason, Schedule, escape_control,
};

use crate::cell::{Applied, Cell, Guarded, Loaded, Source};
use crate::config::{self, EngineConfig, PluginConfig};
use crate::discover::{self, Candidate};
use crate::error::{ConfigError, Error, LoadError};
use crate::executor::{TaskCall, TaskEnd, Verdict, Waiter};
use crate::host::{HostContext, HostOf};
use crate::library::LoadedLibrary;
use crate::loader::{self, Refusal};
use crate::registry::PLUGINS_MAX;
use crate::shared::Shared;
use crate::transition_log::log;

/// The interval of a plugin whose manifest and configuration say nothing.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(60);
/// The timeout of an update, likewise.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// What came of one file, or of one plugin of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LoadOutcome {
    /// The plugin is enabled.
    Enabled {
        /// The plugin.
        id: PluginId,
        /// Its version.
        version: String,
        /// Its file.
        file: PathBuf,
    },
    /// The plugin is loaded and switched off, as its configuration says.
    Disabled {
        /// The plugin.
        id: PluginId,
        /// Its file.
        file: PathBuf,
    },
    /// The file is a plugin, but its instance could not be created.
    Failed {
        /// The plugin.
        id: PluginId,
        /// Its file.
        file: PathBuf,
        /// Why.
        fault: Arc<Fault>,
    },
    /// The file was refused.
    Refused {
        /// The file.
        file: PathBuf,
        /// Why.
        error: Arc<LoadError>,
    },
    /// What is said of the plugin is not good.
    Misconfigured {
        /// The file of the plugin, or of the configuration where no file is said.
        file: PathBuf,
        /// What is wrong.
        error: Arc<ConfigError>,
    },
    /// The time for starting was used up first; the plugin goes on starting by itself.
    Deferred {
        /// The plugin.
        id: PluginId,
        /// Its file.
        file: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// The plugin was there already.
    AlreadyLoaded {
        /// The plugin.
        id: PluginId,
        /// Its state.
        state: PluginState,
    },
}

impl LoadOutcome {
    /// Whether the plugin runs, or is switched off on purpose.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(
            self,
            Self::Enabled { .. } | Self::Disabled { .. } | Self::AlreadyLoaded { .. }
        )
    }
}

impl fmt::Display for LoadOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enabled { id, version, file } => {
                let version = escape_control(version);
                write!(
                    f,
                    "{id}: enabled, version {version}, from {}",
                    file.display()
                )
            }
            Self::Disabled { id, file } => {
                write!(f, "{id}: loaded and switched off, from {}", file.display())
            }
            Self::Failed { id, file, fault } => {
                write!(
                    f,
                    "{id}: could not be created, from {}: {fault}",
                    file.display()
                )
            }
            Self::Refused { error, .. } => write!(f, "refused: {error}"),
            Self::Misconfigured { error, .. } => write!(f, "refused: {error}"),
            Self::Deferred { id, file, waited } => write!(
                f,
                "{id}: still starting after {}, from {}; it goes on by itself",
                humantime::format_duration(*waited),
                file.display()
            ),
            Self::AlreadyLoaded { id, state } => write!(f, "{id}: is loaded already, {state}"),
        }
    }
}

/// A plugin whose create is under way.
struct Starting {
    cell: Arc<Cell>,
    file: PathBuf,
    version: String,
    waiter: Arc<Waiter>,
}

/// A file, and what is said of the plugins that it is to become.
struct Planned {
    candidate: Candidate,
    configs: Vec<PluginConfig>,
}

/// Loads everything in the plugin directory that is not loaded yet.
pub(crate) fn load_all(engine: &Arc<Shared>) -> Result<Vec<LoadOutcome>, Error> {
    check_running(engine)?;
    let Some(dir) = engine.options.plugin_dir.clone() else {
        return Ok(Vec::new());
    };
    let candidates = discover::discover(&dir)?;
    let engine_config = match &engine.options.config_file {
        Some(path) => config::read_engine(path)?,
        None => EngineConfig::default(),
    };
    let began = Instant::now();
    let mut outcomes = Vec::new();
    let mut starting = Vec::new();
    for planned in plan(&dir, candidates, engine_config, &mut outcomes) {
        load_file_of_plan(engine, &planned, &mut outcomes, &mut starting);
    }
    let budget = engine.options.startup_budget;
    for starting in starting {
        outcomes.push(await_start(starting, began, budget));
    }
    Ok(outcomes)
}

/// Loads one file, as the configuration beside it says.
pub(crate) fn load_path(engine: &Arc<Shared>, path: &Path) -> Result<Vec<LoadOutcome>, Error> {
    check_running(engine)?;
    let candidate = Candidate {
        path: path.to_owned(),
        root: path.parent().unwrap_or(Path::new(".")).to_owned(),
    };
    let config = config::read_beside(&candidate.config_path())?;
    let planned = Planned {
        candidate,
        configs: vec![config],
    };
    let (mut outcomes, mut starting) = (Vec::new(), Vec::new());
    load_file_of_plan(engine, &planned, &mut outcomes, &mut starting);
    let began = Instant::now();
    for starting in starting {
        outcomes.push(await_start(starting, began, Duration::MAX));
    }
    Ok(outcomes)
}

/// Loads a plugin that was unloaded, from where it came.
pub(crate) fn load_again(engine: &Arc<Shared>, cell: &Arc<Cell>) -> Result<LoadOutcome, Error> {
    check_running(engine)?;
    let source = cell.lock().source.clone();
    let Some(Source { candidate, config }) = source else {
        return Err(Error::UnknownPlugin {
            id: cell.id.to_string(),
            known: String::new(),
        });
    };
    let library = match loader::load(&engine.loader, &candidate) {
        Ok(library) => library,
        Err(Refusal { error, .. }) => {
            let report = FaultReport::new(FaultKind::Load, error.to_string());
            let mut guarded = cell.lock();
            let now = engine.board.ledger.time.now();
            let applied = cell.apply(
                &engine.board.ledger,
                &mut guarded,
                now,
                Event::LoadFailed(report),
            );
            drop(guarded);
            if let Ok(applied) = applied {
                applied.notable.as_deref().inspect(|entry| log(entry));
            }
            return Err(error.into());
        }
    };
    match begin(engine, cell, &candidate, &config, &library) {
        Begun::Starting(starting) => Ok(await_start(starting, Instant::now(), Duration::MAX)),
        Begun::Ended(outcome) => Ok(outcome),
    }
}

fn check_running(engine: &Shared) -> Result<(), Error> {
    if engine.board.stopping.load(Ordering::Relaxed) {
        return Err(Error::ShutDown);
    }
    Ok(())
}

/// Puts files and what is said of them together. An entry that names a file stands for that file; a file that no entry names
/// is one plugin, as the configuration beside it says, or the entry of its id.
fn plan(
    dir: &Path,
    candidates: Vec<Candidate>,
    engine_config: EngineConfig,
    outcomes: &mut Vec<LoadOutcome>,
) -> Vec<Planned> {
    let mut entries = engine_config.plugin;
    let mut planned = Vec::new();
    for candidate in candidates {
        let of_file: Vec<_> = entries
            .extract_if(.., |entry| {
                let file = entry.file.as_ref().map(|file| dir.join(file));
                file.is_some_and(|file| file == candidate.path)
            })
            .collect();
        if !of_file.is_empty() {
            planned.push(Planned {
                candidate,
                configs: of_file,
            });
            continue;
        }
        match config::read_beside(&candidate.config_path()) {
            Ok(config) => planned.push(Planned {
                candidate,
                configs: vec![config],
            }),
            Err(error) => outcomes.push(LoadOutcome::Misconfigured {
                file: candidate.path,
                error: Arc::new(error),
            }),
        }
    }
    // Entries without a file are taken up by id, once manifests are known; entries whose file is absent are named now.
    for entry in &entries {
        if let Some(file) = &entry.file {
            let path = dir.join(file);
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            let error = LoadError::Verify {
                path: path.clone(),
                source: crate::error::VerifyError::Read(source),
            };
            outcomes.push(LoadOutcome::Refused {
                file: path,
                error: Arc::new(error),
            });
        }
    }
    let by_id: Vec<_> = entries
        .into_iter()
        .filter(|entry| entry.file.is_none())
        .collect();
    for planned in &mut planned {
        // The manifest's id is not known yet; it is compared once it is.
        for config in &mut planned.configs {
            if config.file.is_none() {
                config.by_id.clone_from(&by_id);
            }
        }
    }
    planned
}

fn load_file_of_plan(
    engine: &Arc<Shared>,
    planned: &Planned,
    outcomes: &mut Vec<LoadOutcome>,
    starting: &mut Vec<Starting>,
) {
    let path = &planned.candidate.path;
    if let Some(known) = loaded_from(engine, path) {
        outcomes.extend(known);
        return;
    }
    match loader::load(&engine.loader, &planned.candidate) {
        Ok(library) => {
            engine.refused.lock().remove(path);
            for config in &planned.configs {
                let config = config.for_id(&library.manifest.id);
                let id = config.id.clone().unwrap_or(library.manifest.id.clone());
                let cell = match cell_of(engine, &id, path) {
                    Ok(cell) => cell,
                    Err(error) => {
                        outcomes.push(refuse(engine, path, error));
                        continue;
                    }
                };
                let _turn = cell.take_turn();
                match begin(engine, &cell, &planned.candidate, &config, &library) {
                    Begun::Starting(plugin) => starting.push(plugin),
                    Begun::Ended(outcome) => outcomes.push(outcome),
                }
            }
        }
        Err(refusal) => outcomes.push(refuse_file(engine, planned, refusal)),
    }
}

/// The plugins that are loaded from this file already.
fn loaded_from(engine: &Shared, path: &Path) -> Option<Vec<LoadOutcome>> {
    let mut known = Vec::new();
    for cell in engine.board.registry.all() {
        let guarded = cell.lock();
        let state = guarded.machine.state();
        let same = guarded
            .source
            .as_ref()
            .is_some_and(|source| source.candidate.path == path);
        // A plugin that was unloaded stays so until it is loaded by name.
        if same && (guarded.loaded.is_some() || state == PluginState::Unloaded) {
            known.push(LoadOutcome::AlreadyLoaded {
                id: cell.id.clone(),
                state,
            });
        }
    }
    (!known.is_empty()).then_some(known)
}

/// The cell of an id, unless another file has it.
fn cell_of(engine: &Arc<Shared>, id: &PluginId, path: &Path) -> Result<Arc<Cell>, LoadError> {
    let make = |index| {
        let schedule = Schedule::new(INTERVAL_DEFAULT, Duration::ZERO);
        let limits = limits(engine, TIMEOUT_DEFAULT);
        Cell::new(index, id.clone(), Machine::new(schedule, limits))
    };
    let cell = engine
        .board
        .registry
        .find_or_insert(id, make)
        .ok_or_else(|| LoadError::TooManyPlugins {
            path: path.to_owned(),
            limit: PLUGINS_MAX,
        })?;
    let guarded = cell.lock();
    if let Some(source) = &guarded.source
        && source.candidate.path != path
        && guarded.machine.state() != PluginState::Unloaded
    {
        return Err(LoadError::Duplicate {
            path: path.to_owned(),
            id: id.clone(),
            holder: source.candidate.path.clone(),
        });
    }
    drop(guarded);
    Ok(Arc::clone(cell))
}

fn limits(engine: &Shared, update: Duration) -> CallLimits {
    CallLimits {
        create: engine.options.create_timeout,
        update,
        display: engine.options.display_timeout,
        destroy: engine.options.destroy_timeout,
    }
}

/// Names a file among the refused ones.
fn refuse(engine: &Shared, path: &Path, error: LoadError) -> LoadOutcome {
    let error = Arc::new(error);
    engine
        .refused
        .lock()
        .insert(path.to_owned(), Arc::clone(&error));
    LoadOutcome::Refused {
        file: path.to_owned(),
        error,
    }
}

/// Refuses a file; if its manifest could be read, its plugin shows the reason in the state Error.
fn refuse_file(
    engine: &Arc<Shared>,
    planned: &Planned,
    Refusal { id, error }: Refusal,
) -> LoadOutcome {
    let path = &planned.candidate.path;
    let Some(manifest_id) = id else {
        return refuse(engine, path, error);
    };
    let mut shown = false;
    for config in &planned.configs {
        let config = config.for_id(&manifest_id);
        let id = config.id.clone().unwrap_or(manifest_id.clone());
        if let Ok(cell) = cell_of(engine, &id, path) {
            shown |= show_refusal(engine, &cell, &planned.candidate, config, &error);
        }
    }
    if shown {
        engine.refused.lock().remove(path);
        return LoadOutcome::Refused {
            file: path.clone(),
            error: Arc::new(error),
        };
    }
    refuse(engine, path, error)
}

/// Puts a plugin into the state Error because its file was refused. Says whether that shows the reason.
fn show_refusal(
    engine: &Shared,
    cell: &Cell,
    candidate: &Candidate,
    config: PluginConfig,
    error: &LoadError,
) -> bool {
    let report = FaultReport::new(FaultKind::Load, error.to_string());
    let mut guarded = cell.lock();
    let same = |fault: &Arc<Fault>| fault.kind == report.kind && *fault.message == report.message;
    if guarded.loaded.is_none() && guarded.machine.error().is_some_and(same) {
        // Said already, and once is enough.
        return true;
    }
    let now = engine.board.ledger.time.now();
    let forgotten = forget_refusal(engine, cell, &mut guarded, now);
    cell.set_file(&mut guarded, &candidate.path);
    let applied = cell.apply(
        &engine.board.ledger,
        &mut guarded,
        now,
        Event::LoadFailed(report),
    );
    if applied.is_ok() {
        let candidate = candidate.clone();
        guarded.source = Some(Source { candidate, config });
    }
    drop(guarded);
    if let Some(entry) = forgotten.and_then(|applied| applied.notable) {
        log(&entry);
    }
    let Ok(applied) = applied else { return false };
    applied.notable.as_deref().inspect(|entry| log(entry));
    true
}

/// Takes a plugin whose file was refused back to where a load begins.
fn forget_refusal(
    engine: &Shared,
    cell: &Cell,
    guarded: &mut Guarded,
    now: Moment,
) -> Option<Applied> {
    let refused = guarded.machine.state() == PluginState::Error && guarded.loaded.is_none();
    refused
        .then(|| {
            cell.apply(&engine.board.ledger, guarded, now, Event::Unloaded)
                .ok()
        })
        .flatten()
}

enum Begun {
    Starting(Starting),
    Ended(LoadOutcome),
}

/// Makes a mapped library this plugin's, and begins to create the instance.
fn begin(
    engine: &Arc<Shared>,
    cell: &Arc<Cell>,
    candidate: &Candidate,
    config: &PluginConfig,
    library: &Arc<LoadedLibrary>,
) -> Begun {
    let manifest = &library.manifest;
    let interval = config
        .interval
        .or(manifest.interval)
        .unwrap_or(INTERVAL_DEFAULT);
    let timeout = config
        .timeout
        .or(manifest.timeout)
        .unwrap_or(TIMEOUT_DEFAULT);
    let schedule = Schedule::new(interval, config.phase(&cell.id));
    let settings = config.settings_json();
    let host = HostContext::new(
        engine.listener(),
        engine.board.ledger.time.clock(),
        HostOf::Plugin(cell.index),
        cell.id.clone(),
        &settings,
        Arc::clone(&cell.progress),
    );

    let mut guarded = cell.lock();
    let now = engine.board.ledger.time.now();
    // The file was refused before, and is good now.
    let forgotten = forget_refusal(engine, cell, &mut guarded, now);
    let mapped = guarded
        .machine
        .configure(schedule, limits(engine, timeout))
        .and_then(|()| cell.apply(&engine.board.ledger, &mut guarded, now, Event::Mapped));
    let state = guarded.machine.state();
    let mapped = match mapped {
        Ok(mapped) => mapped,
        Err(_) => {
            return Begun::Ended(LoadOutcome::AlreadyLoaded {
                id: cell.id.clone(),
                state,
            });
        }
    };
    cell.name_generation(&mut guarded, &manifest.version);
    guarded.source = Some(Source {
        candidate: candidate.clone(),
        config: config.clone(),
    });
    let loaded = Loaded {
        library: Arc::clone(library),
        host,
    };
    cell.set_loaded(&mut guarded, Some(loaded));
    let mut entries = vec![
        forgotten.and_then(|applied| applied.notable),
        mapped.notable,
    ];
    remember_start(engine, &mut guarded);
    let off = config.enabled == Some(false);
    if off {
        let applied = cell.apply(&engine.board.ledger, &mut guarded, now, Event::SwitchedOff);
        entries.push(applied.ok().and_then(|applied| applied.notable));
    }
    drop(guarded);
    for entry in entries.into_iter().flatten() {
        log(&entry);
    }
    if off {
        return Begun::Ended(LoadOutcome::Disabled {
            id: cell.id.clone(),
            file: candidate.path.clone(),
        });
    }
    let call = TaskCall::Create(CreateReason::Load);
    Begun::Starting(Starting {
        cell: Arc::clone(cell),
        file: candidate.path.clone(),
        version: manifest.version.clone(),
        waiter: engine.executor.submit_task(cell, call),
    })
}

/// Plugins are stopped in the reverse of the order in which they were last started.
pub(crate) fn remember_start(engine: &Shared, guarded: &mut Guarded) {
    guarded.started = engine.starts.fetch_add(1, Ordering::Relaxed) + 1;
}

fn await_start(starting: Starting, began: Instant, budget: Duration) -> LoadOutcome {
    let Starting {
        cell,
        file,
        version,
        waiter,
    } = starting;
    let end = match began.checked_add(budget) {
        Some(until) => waiter.wait_until(until),
        None => Some(waiter.wait()),
    };
    let id = cell.id.clone();
    match end {
        None => LoadOutcome::Deferred {
            id,
            file,
            waited: budget,
        },
        Some(TaskEnd::Ended(Verdict::Completed, _)) => LoadOutcome::Enabled { id, version, file },
        Some(_) => LoadOutcome::Failed {
            fault: fault_of(&cell),
            id,
            file,
        },
    }
}

/// The error that stands, for an outcome that says that there is one.
pub(crate) fn fault_of(cell: &Cell) -> Arc<Fault> {
    let guarded = cell.lock();
    guarded.machine.error().cloned().unwrap_or_else(|| {
        // A command that came in between has cleared it; what is left to say is that.
        let report = FaultReport::new(
            FaultKind::Refused,
            format!("{}: {}", Cause::CallRefused, RejectReason::NoInstance),
        );
        Arc::new(Fault::new(&report, guarded.machine.since(), None, true, 1))
    })
}
