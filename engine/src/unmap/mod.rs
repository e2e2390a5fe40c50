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
use crate::joining::Thread;
use crate::library::{LoadedLibrary, MappedLibrary, Retired, is_there};
use crate::shared::Shared;
use attempt::{End, attempt};

/// How soon an attempt is repeated that has to wait for something which nobody tells of: doubled from the first to the second.
const RETRY_FIRST: Duration = Duration::from_millis(1);
const RETRY_LAST: Duration = Duration::from_secs(1);
/// From which wait on it is told why.
const TOLD_AFTER: Duration = Duration::from_millis(64);
/// How often a shutdown looks whether the thread has ended.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What there is of unmapping beside its thread.
pub(crate) struct Reaper {
    pub(crate) census: Option<Arc<Census>>,
    thread: Mutex<Option<Thread>>,
}

impl Reaper {
    pub(crate) fn new(census: Option<Arc<Census>>) -> Self {
        Self {
            census,
            thread: Mutex::default(),
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
    let mut thread = engine.reaper.thread.lock();
    if unmap != UnmapPolicy::WhenSafe || thread.is_some() || engine.libraries.is_stopping() {
        return;
    }
    let shared = Arc::clone(engine);
    let started = std::thread::Builder::new()
        .name("plugin-reaper".to_owned())
        .spawn(move || run(&shared));
    match started {
        Ok(handle) => *thread = Some(Thread::new(handle)),
        Err(error) => {
            drop(thread);
            // Files stay mapped until the next load tries again.
            tracing::error!(target: "plugin_engine", %error, "cannot start the thread that unmaps plugin files");
        }
    }
}

/// Ends the thread, and waits for that until a moment. Only code of a plugin that does not return can hold it up.
pub(crate) fn stop(engine: &Shared, until: Option<Instant>) {
    engine.libraries.stop();
    let Some(mut thread) = engine.reaper.thread.lock().take() else {
        return;
    };
    while !thread.has_ended() && until.is_none_or(|until| Instant::now() < until) {
        std::thread::sleep(LOOK_EVERY);
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

fn run(engine: &Arc<Shared>) {
    let mut retries: HashMap<u64, Retry> = HashMap::new();
    let mut seen = 0;
    let mut until = None;
    while let Some(changes) = engine.libraries.await_change(seen, until) {
        seen = changes;
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
            let attempted = catch_unwind(AssertUnwindSafe(|| attempt(engine, retired)));
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
                return;
            }
        }
        until = retries.values().filter_map(|retry| retry.at).min();
        // What the system's loader has kept may go with what it gives back later.
        for (number, object) in engine.libraries.left_behind() {
            if !is_there(&object)
                && let Some(mapping) = engine.libraries.strike(number)
            {
                mapping.let_go();
            }
        }
    }
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
