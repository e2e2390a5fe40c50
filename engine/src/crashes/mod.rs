//! Who crashes the engine: a record of calls that outlives the process, what the process before has left in it, and how often each plugin
//! has crashed the engine, kept in the state directory.
//!
//! All that the start has to say is on the disk before any code of a plugin is run. What lives here: what is known of crashes. What never
//! will: what is done about them (see `plugins`).

mod counts;
mod found;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use plugin_engine_core::{Moment, PluginId};
use plugin_engine_crash_marks::{Attached, Name, Record, Remains, Role, Start};

use crate::clock::TimeSource;
use crate::digest::Fingerprint;
use crate::state_dir::{StateDir, StateError};

#[cfg(any(test, fuzzing))]
pub(crate) use counts::Counts as CountsOfCrashes;
pub use found::FoundCall;

use counts::Counts;

/// The record of calls.
const CALLS: &str = "calls";
/// The record of the process before, from when another one takes its place until the engine is built to which it was told.
const CALLS_BEFORE: &str = "calls.before";
/// How often each plugin has crashed the engine.
const CRASHES: &str = "crashes.json";
/// Threads that are no workers: those of replacements, the loader's, one that unmaps.
const OTHER_THREADS: usize = 256;
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What is known of crashes. Nothing is, and nothing is written, without a state directory.
#[derive(Default)]
pub(crate) struct Crashes {
    kept: Option<Kept>,
}

struct Kept {
    dir: Arc<StateDir>,
    record: Arc<Record>,
    /// The numbers that plugins have in the record, by what they are entered as.
    names: Mutex<HashMap<[u8; 32], u32>>,
    counts: Mutex<Counts>,
    found: Vec<FoundCall>,
    /// Whether it was told that calls go unrecorded.
    told: AtomicBool,
}

/// This boot of the machine, as the system names it.
fn boot_id() -> String {
    let text = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
    plugin_engine_core::bounded(text.trim(), 40).to_owned()
}

/// Sets a file aside that is not to be believed, and says so.
fn set_aside(dir: &StateDir, name: &str, why: &dyn std::fmt::Display) -> Result<(), StateError> {
    let file = dir.file(name);
    let aside = dir.set_aside(name)?;
    tracing::warn!(
        target: "plugin_engine",
        file = %file.display(),
        "not believed, and set aside as {}: {why} [{}]",
        aside.display(),
        crate::code::Code::STATE_FILE_SET_ASIDE
    );
    Ok(())
}

impl Crashes {
    /// Reads what the process before has left behind, counts whose crash it was, and begins a record of this process.
    pub(crate) fn open(
        dir: Arc<StateDir>,
        threads_max: usize,
        time: &TimeSource,
    ) -> Result<Self, StateError> {
        let boot_id = boot_id();
        let mut counts = match dir.read(CRASHES, counts::LEN_MAX)? {
            None => Counts::default(),
            Some(bytes) => match Counts::parse(&bytes) {
                Ok(counts) => counts,
                Err(why) => {
                    set_aside(&dir, CRASHES, &why)?;
                    Counts::default()
                }
            },
        };
        let mut found = Vec::new();
        let (name, left) = match dir.read(CALLS_BEFORE, Remains::FILE_LEN_MAX)? {
            // Left by a start that failed, so that no plugin was called since.
            Some(bytes) => (CALLS_BEFORE, Some(bytes)),
            None => (CALLS, dir.read(CALLS, Remains::FILE_LEN_MAX)?),
        };
        if let Some(bytes) = left {
            match Remains::read(&bytes) {
                Ok(remains) => {
                    let before = counts.clone();
                    found = found::judge(&remains, &mut counts, &boot_id);
                    if counts != before {
                        // Before the record is replaced, which is what these are known from.
                        dir.write(CRASHES, counts.text().as_bytes())?;
                    }
                    if let Some(what) = found::elsewhere(&remains) {
                        tracing::warn!(target: "plugin_engine", "{what}");
                    }
                    if name == CALLS && !found.is_empty() {
                        dir.rename(CALLS, CALLS_BEFORE)?;
                    }
                }
                Err(why) => set_aside(&dir, name, &why)?,
            }
        }
        let start = Start {
            threads: threads_max.saturating_add(OTHER_THREADS),
            opened_ns: time.wall_at(time.now()).as_unix_nanos(),
            boot_id: &boot_id,
        };
        let record =
            Record::create(&dir.file(CALLS), &start).map_err(dir.cannot("begin", CALLS))?;
        let crashes = Self {
            kept: Some(Kept {
                dir,
                record,
                names: Mutex::default(),
                counts: Mutex::new(counts),
                found,
                told: AtomicBool::new(false),
            }),
        };
        crashes.follow(time);
        Ok(crashes)
    }

    /// The engine is built that knows of what was [found](Self::found); until then every start finds it again.
    pub(crate) fn taken_over(&self) -> Result<(), StateError> {
        match &self.kept {
            Some(kept) if !kept.found.is_empty() => kept.dir.remove(CALLS_BEFORE),
            _ => Ok(()),
        }
    }

    /// Whether anything is kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// Has this thread record which plugins it calls, for as long as what is returned lives.
    pub(crate) fn attach(&self, role: Role) -> Option<Attached> {
        let kept = self.kept.as_ref()?;
        let attached = kept.record.attach(role);
        if attached.is_none() {
            kept.tell_once("more threads call plugins than there is room for in the record");
        }
        attached
    }

    /// The number by which calls of this plugin with these bytes are recorded; 0 for not at all.
    pub(crate) fn enter(&self, id: &PluginId, path: &Path, bytes: &Fingerprint) -> u32 {
        self.enter_all([id], path, bytes)
    }

    /// [`Crashes::enter`] for all plugins of a file, the number of the first of them.
    pub(crate) fn enter_all<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a PluginId>,
        path: &Path,
        bytes: &Fingerprint,
    ) -> u32 {
        let Some(kept) = &self.kept else { return 0 };
        let path = path.to_string_lossy();
        let mut first = None;
        let (mut new, mut keys) = (Vec::new(), Vec::new());
        let mut names = kept.names.lock();
        for id in ids {
            let key = key(id, &path, bytes);
            match names.get(&key) {
                Some(number) => {
                    first.get_or_insert(*number);
                }
                None => {
                    keys.push(key);
                    new.push(Name {
                        id: id.to_string(),
                        path: path.to_string(),
                        digest: *bytes,
                    });
                }
            }
        }
        if new.is_empty() {
            return first.unwrap_or(0);
        }
        match kept.record.enter(&new) {
            Ok(number) => {
                names.extend(keys.into_iter().zip(number..));
                first.unwrap_or(number)
            }
            Err(error) => {
                kept.tell_once(&format!(
                    "a plugin cannot be entered into the record: {error}"
                ));
                first.unwrap_or(0)
            }
        }
    }

    /// Has the record follow the wall clock.
    pub(crate) fn follow(&self, time: &TimeSource) {
        if let Some(kept) = &self.kept {
            let zero = time.wall_at(Moment::ZERO).as_unix_nanos();
            kept.record.set_wall_offset(zero.cast_signed());
        }
    }

    /// Why a plugin with these bytes is not loaded, if it has crashed the engine `after` times or more; 0 is never.
    pub(crate) fn quarantine(
        &self,
        id: &PluginId,
        bytes: &Fingerprint,
        after: u64,
    ) -> Option<String> {
        let counts = self.kept.as_ref()?.counts.lock();
        let count = counts.of(id, bytes)?;
        (after > 0 && u64::from(count.crashes) >= after)
            .then(|| found::quarantined(count.crashes, &count.last))
    }

    /// Whether there is anything to forget of a plugin.
    pub(crate) fn has(&self, id: &PluginId) -> bool {
        let kept = self.kept.as_ref();
        kept.is_some_and(|kept| kept.counts.lock().has(id))
    }

    /// Forgets how often a plugin has crashed the engine, on the disk first.
    pub(crate) fn forget(&self, id: &PluginId) -> Result<(), StateError> {
        let Some(kept) = &self.kept else {
            return Ok(());
        };
        let mut counts = kept.counts.lock();
        let mut without = counts.clone();
        without.forget(id);
        kept.dir.write(CRASHES, without.text().as_bytes())?;
        *counts = without;
        Ok(())
    }

    /// The calls that were in flight when the process before ended.
    pub(crate) fn found(&self) -> &[FoundCall] {
        self.kept.as_ref().map_or(&[], |kept| &kept.found)
    }

    /// The engine ends as it should, and lets another one have the directory.
    pub(crate) fn end(&self) {
        if let Some(kept) = &self.kept {
            kept.record.end();
        }
    }
}

impl Kept {
    fn tell_once(&self, what: &str) {
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(target: "plugin_engine", "{what}; should such a call crash the engine, the next start does not know whose it was");
        }
    }
}

/// What a plugin is entered as.
fn key(id: &PluginId, path: &str, bytes: &Fingerprint) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(id.as_str().as_bytes());
    // No id and no path has it.
    hasher.update(&[0]);
    hasher.update(path.as_bytes());
    hasher.update(&[0]);
    hasher.update(bytes);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests;
