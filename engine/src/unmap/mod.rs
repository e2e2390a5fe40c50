//! Unmaps plugin files that nothing uses any more, where that was asked for and is safe.
//!
//! It is safe when nothing can run the code: no instance and no call of it is left, no thread of it lives, and every thread of the engine
//! that ever ran it has ended. A thread of its own looks after that, which starts with the first file that is to be unmapped, holds no lock
//! while code of a plugin runs, and keeps no load and no update waiting.
//!
//! What lives here: when it is safe, and in which order it is done. What never will: what is mapped (see `library`).

mod aside;
mod attempt;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use plugin_engine_core::PluginId;

use crate::census::Census;
use crate::config::UnmapPolicy;
use crate::library::{LoadedLibrary, MappedLibrary, Retired, is_there};
use crate::shared::Shared;
use crate::supervisor::{IfTaken, SuperviseError, TaskContext, TaskHandle};
use attempt::{End, attempt};

const NAME: &str = "plugin-reaper";
/// How soon an attempt is repeated that has to wait for something which nobody tells of: doubled from the first to the second.
const RETRY_FIRST: Duration = Duration::from_millis(1);
const RETRY_LAST: Duration = Duration::from_secs(1);
/// From which wait on it is told why.
const TOLD_AFTER: Duration = Duration::from_millis(64);

/// What there is of unmapping beside its thread.
pub(crate) struct Reaper {
    pub(crate) census: Option<Arc<Census>>,
    task: Mutex<Option<TaskHandle>>,
}

impl Reaper {
    pub(crate) fn new(census: Option<Arc<Census>>) -> Self {
        Self {
            census,
            task: Mutex::default(),
        }
    }
}

/// Says what a plugin wants to become of the file that it uses. Whoever makes a file a plugin's says so.
pub(crate) fn wants(
    engine: &Arc<Shared>,
    library: &LoadedLibrary,
    id: &PluginId,
    unmap: UnmapPolicy,
) {
    library.wants(id, unmap);
    start_for(engine, unmap);
}

/// [`wants`], of a file that turned out to be no plugin once it was mapped.
pub(crate) fn wants_of_unfit(engine: &Arc<Shared>, path: &Path, id: &PluginId, unmap: UnmapPolicy) {
    engine.libraries.wants_of_unfit(path, id, unmap);
    start_for(engine, unmap);
}

/// Starts the thread, if it is wanted for the first time.
fn start_for(engine: &Arc<Shared>, unmap: UnmapPolicy) {
    let mut task = engine.reaper.task.lock();
    if unmap != UnmapPolicy::WhenSafe || task.is_some() || engine.libraries.is_stopping() {
        return;
    }
    match start(engine) {
        Ok(started) => *task = Some(started),
        Err(error) => {
            drop(task);
            // Files stay mapped until the next load tries again.
            tracing::error!(target: "plugin_engine", %error, "cannot start the thread that unmaps plugin files");
        }
    }
}

fn start(engine: &Arc<Shared>) -> Result<TaskHandle, SuperviseError> {
    let libraries = Arc::downgrade(&engine.libraries);
    let wake = move || {
        if let Some(libraries) = libraries.upgrade() {
            libraries.stir();
        }
    };
    let entry = engine.supervisor.enter(NAME, IfTaken::Succeeds, wake)?;
    let handle = entry.handle();
    let shared = Arc::clone(engine);
    entry.spawn(NAME, move |context| run(&shared, context))?;
    Ok(handle)
}

/// Ends the thread, and waits for that until a moment. Only code of a plugin that does not return can hold it up.
pub(crate) fn stop(engine: &Shared, until: Option<Instant>) {
    engine.libraries.stop();
    let task = engine.reaper.task.lock().take();
    if let Some(task) = task {
        task.cancel();
        task.join_until(until);
    }
}

/// When an attempt is repeated.
struct Retry {
    stint: u64,
    /// `None` if it was found that it will never succeed.
    at: Option<Instant>,
    /// How long after the one before.
    after: Duration,
    /// The reason that was told.
    told: Option<String>,
}

fn run(engine: &Arc<Shared>, context: &TaskContext) {
    let mut retries: HashMap<u64, Retry> = HashMap::new();
    let mut seen = 0;
    let mut until = None;
    let idle = || {
        context.record_progress();
        context.beat()
    };
    while let Some(changes) = engine.libraries.await_change(seen, until, idle) {
        seen = changes;
        let Some(next) = context.round(|| look(engine, &mut retries, context)) else {
            return;
        };
        until = next.at;
    }
}

/// When to look again, if nothing changes before.
struct Next {
    at: Option<Instant>,
}

/// Attempts whatever is to be attempted now. `None` when nothing is to be unmapped any more.
fn look(
    engine: &Arc<Shared>,
    retries: &mut HashMap<u64, Retry>,
    context: &TaskContext,
) -> Option<Next> {
    let retired = engine.libraries.retired();
    retries.retain(|number, retry| {
        let is_this = |one: &Retired| (one.number, one.stint) == (*number, retry.stint);
        retired.iter().any(is_this)
    });
    for retired in &retired {
        let retry = retries.get(&retired.number);
        let is_due = |retry: &Retry| retry.at.is_some_and(|at| at <= Instant::now());
        if retry.is_some_and(|retry| !is_due(retry)) {
            continue;
        }
        let after = retry.map_or(RETRY_FIRST, |retry| (retry.after * 2).min(RETRY_LAST));
        // A panic of who listens to the log must not end the thread.
        let attempted = catch_unwind(AssertUnwindSafe(|| {
            let _zone = context.protect();
            attempt(engine, retired)
        }));
        let end = attempted.unwrap_or_else(|_| End::NotYet("a panic came up".to_owned()));
        let (why, at) = match end {
            End::Done => {
                retries.remove(&retired.number);
                continue;
            }
            End::Never(why) => (why, None),
            End::NotYet(why) => (why, Some(Instant::now() + after)),
        };
        engine.libraries.note(retired, &why);
        // What is over in a moment is nothing to tell.
        let lasts = at.is_none() || after >= TOLD_AFTER;
        let mut told = retries.remove(&retired.number).and_then(|retry| retry.told);
        if lasts && told.as_ref() != Some(&why) {
            let file = retired.path.display();
            let _ = catch_unwind(AssertUnwindSafe(|| {
                tracing::info!(target: "plugin_engine", %file, "unloaded, still mapped: {why}");
            }));
            told = Some(why);
        }
        let retry = Retry {
            stint: retired.stint,
            at,
            after,
            told,
        };
        retries.insert(retired.number, retry);
        if engine.libraries.is_stopping() {
            return None;
        }
    }
    let at = retries.values().filter_map(|retry| retry.at).min();
    // What the system's loader has kept may go with what it gives back later.
    for (number, object) in engine.libraries.left_behind() {
        if !is_there(&object)
            && let Some(mapping) = engine.libraries.strike(number)
        {
            mapping.let_go();
        }
    }
    Some(Next { at })
}

/// What there is to tell of each mapped file, with whom it is used by.
pub(crate) fn mapped(engine: &Shared) -> Vec<MappedLibrary> {
    let mut users: HashMap<u64, Users> = HashMap::new();
    for cell in engine.board.registry.all() {
        let guarded = cell.lock();
        if let Some(loaded) = &guarded.loaded {
            let users = users.entry(loaded.library.number).or_default();
            users.active.push(cell.id.clone());
        }
        if let Some(probation) = &guarded.probation {
            let users = users.entry(probation.previous.library.number).or_default();
            users.on_probation.push(cell.id.clone());
        }
    }
    // A replacement is nobody's yet.
    let tried = engine.executor.asides.running() > 0;
    let mapped = engine.libraries.mapped().into_iter();
    mapped
        .map(|(number, mut library)| {
            if library.retired_at.is_none() {
                library.why = match users.get(&number) {
                    Some(users) => users.in_words(),
                    None if tried => {
                        "it is just being tried, or a call of it has not returned".to_owned()
                    }
                    None => "unloaded, still mapped: a call of it has not returned".to_owned(),
                };
            }
            library
        })
        .collect()
}

/// The plugins that use one file.
#[derive(Default)]
struct Users {
    active: Vec<PluginId>,
    /// Those that it may take over again in.
    on_probation: Vec<PluginId>,
}

/// How many users of one file are named.
const USERS_NAMED_MAX: usize = 8;

impl Users {
    fn in_words(&self) -> String {
        let (how, users) = if self.active.is_empty() {
            (
                "kept in case that it has to take over again in",
                &self.on_probation,
            )
        } else {
            ("used by", &self.active)
        };
        let named = users.iter().take(USERS_NAMED_MAX);
        let named: Vec<_> = named.map(PluginId::as_str).collect();
        let more = match users.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{how} {}{more}", named.join(", "))
    }
}
