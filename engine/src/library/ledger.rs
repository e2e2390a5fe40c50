//! The ledger of mapped files: every file whose code is in this process, who may use it, and why it is still there.
//!
//! One lock, under which nothing of a plugin runs and no other lock is taken: users are dropped at any place.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plugin_engine_core::PluginId;

use super::entry::{Entry, Standing};
use super::mapped::{Count, MappedLibrary};
use super::mapping::Mapping;
use super::objects::Object;
use super::{CallTable, LoadedLibrary, StateCalls, Unfit};
use crate::census::Census;
use crate::clock::Clock;
use crate::config::{SettingsSchema, UnmapPolicy};
use crate::digest::{Fingerprint, LazyDigest};
use crate::error::LoadError;
use crate::manifest::Manifest;
use crate::secrets::Secrets;
use crate::thread_keys::{self, KEYS_RESERVE};
use crate::threading::Mutex;
use crate::waiting::Condvar;

/// Of how many files that were no plugins is it known after they were unmapped, so that they are not mapped again to find out the same.
const UNFIT_MAX: usize = 256;
/// How often a load looks whether an unmap that is in its way has ended.
const LOOK_EVERY: Duration = Duration::from_micros(200);

/// All files that this engine has mapped.
pub(crate) struct Libraries {
    state: Mutex<State>,
    /// Told when a file is retired, and when something else is wanted of one.
    changed: Condvar,
    limit: usize,
    clock: Arc<dyn Clock>,
    census: Option<Arc<Census>>,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<u64, Entry>,
    /// Those that can be used, by their bytes, which are mapped once.
    by_bytes: HashMap<Fingerprint, u64>,
    unfit: VecDeque<(Fingerprint, Unfit)>,
    last_number: u64,
    /// How often anything has changed that may lead to an unmap.
    changes: u64,
    /// How many loads have begun and not ended.
    loads: usize,
    /// The file that is being given back to the system's loader just now, and whether that takes too long. Not while a load is under way.
    closing: Option<(PathBuf, bool)>,
    /// Nothing is unmapped any more.
    stopping: bool,
}

/// What is known of a file when it has just been mapped.
pub(super) struct Arrival {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) fingerprint: Fingerprint,
    pub(super) sha256: Arc<LazyDigest>,
    /// What keeps it from ever being unmapped.
    pub(super) objection: Option<String>,
}

/// What a file that fits has.
#[derive(Clone)]
pub(super) struct Fit {
    pub(super) header: usize,
    pub(super) calls: CallTable,
    pub(super) state: Option<StateCalls>,
    pub(super) secrets: Arc<Secrets>,
    pub(super) schema: Option<Arc<SettingsSchema>>,
}

/// What the ledger has of given bytes.
pub(super) enum Found {
    Library(Arc<LoadedLibrary>),
    Unfit(Unfit),
}

/// A file that nothing uses, and that is to be unmapped when that is safe.
pub(crate) struct Retired {
    pub(crate) number: u64,
    /// Which time it was retired. Used again meanwhile, it has another one.
    pub(crate) stint: u64,
    pub(crate) path: PathBuf,
    pub(crate) object: Option<Object>,
    /// What keeps it from ever being unmapped.
    pub(crate) objection: Option<String>,
}

/// A file that was taken out of use for good, to be unmapped.
pub(crate) struct Leaving {
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    pub(crate) mapping: Mapping,
    pub(crate) sha256: Arc<LazyDigest>,
}

impl Libraries {
    pub(crate) fn new(limit: usize, clock: Arc<dyn Clock>, census: Option<Arc<Census>>) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            limit,
            clock,
            census,
        }
    }

    /// The most files that are mapped.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn count(&self) -> Count {
        let state = self.state.lock();
        let in_use = state.entries.values().filter(|entry| entry.is_in_use());
        let in_use = in_use.count();
        Count {
            in_use,
            retired: state.entries.len() - in_use,
        }
    }

    /// What there is to tell of each, by its number, but for whom it is used by.
    pub(crate) fn mapped(&self) -> Vec<(u64, MappedLibrary)> {
        let state = self.state.lock();
        let entries = state.entries.iter();
        entries
            .map(|(number, entry)| (*number, entry.told()))
            .collect()
    }

    /// Whether another file may be mapped. It takes of what the whole process has only so much of.
    pub(super) fn check_room(&self, path: &Path) -> Result<(), LoadError> {
        let Count { in_use, retired } = self.count();
        if in_use + retired >= self.limit {
            return Err(LoadError::TooManyLibraries {
                path: path.to_owned(),
                limit: self.limit,
                retired,
            });
        }
        // Where somebody counts the keys, that is what holds: what is free tells little once keys are given back.
        let counted = self.census.as_ref().map(|census| census.keys_in_use());
        if !thread_keys::are_left(KEYS_RESERVE, counted) {
            return Err(LoadError::ThreadKeys {
                path: path.to_owned(),
                reserve: KEYS_RESERVE,
                retired,
            });
        }
        Ok(())
    }

    /// A number that no file of this engine has had.
    pub(super) fn next_number(&self) -> u64 {
        let mut state = self.state.lock();
        state.last_number += 1;
        state.last_number
    }

    /// What is mapped with these bytes. A file that was retired is used again.
    pub(super) fn find(self: &Arc<Self>, fingerprint: &Fingerprint) -> Option<Found> {
        let mut state = self.state.lock();
        let known = state.unfit.iter().find(|(known, _)| known == fingerprint);
        if let Some((_, unfit)) = known {
            return Some(Found::Unfit(unfit.clone()));
        }
        let number = *state.by_bytes.get(fingerprint)?;
        let entry = state.entries.get_mut(&number)?;
        let fit = match &entry.found {
            Err(unfit) => return Some(Found::Unfit(unfit.clone())),
            Ok(fit) => fit.clone(),
        };
        if let Standing::InUse(library) = &entry.standing
            && let Some(library) = library.upgrade()
        {
            return Some(Found::Library(library));
        }
        let library = self.user(entry, fit);
        entry.wanted.clear();
        entry.standing = Standing::InUse(Arc::downgrade(&library));
        Some(Found::Library(library))
    }

    fn user(self: &Arc<Self>, entry: &Entry, fit: Fit) -> Arc<LoadedLibrary> {
        Arc::new(LoadedLibrary {
            number: entry.number,
            calls: fit.calls,
            state: fit.state,
            version: entry.manifest.version.as_str().into(),
            manifest: entry.manifest.clone(),
            fingerprint: entry.fingerprint,
            sha256: Arc::clone(&entry.sha256),
            schema: fit.schema,
            secrets: fit.secrets,
            ledger: Arc::downgrade(self),
        })
    }

    pub(super) fn has_header(&self, header: usize) -> bool {
        let state = self.state.lock();
        let mut entries = state.entries.values();
        entries.any(|entry| matches!(&entry.found, Ok(fit) if fit.header == header))
    }

    /// Enters a file that fits.
    pub(super) fn enter(
        self: &Arc<Self>,
        arrival: Arrival,
        mapping: Mapping,
        fit: Fit,
    ) -> Arc<LoadedLibrary> {
        let now = self.clock.wall();
        let mut entry = Entry::new(arrival, mapping, Ok(fit.clone()), now);
        let library = self.user(&entry, fit);
        entry.standing = Standing::InUse(Arc::downgrade(&library));
        self.state.lock().enter(entry);
        library
    }

    /// Enters a file that turned out to be no plugin once it was mapped.
    pub(super) fn enter_unfit(&self, arrival: Arrival, mapping: Mapping, unfit: Unfit) {
        let now = self.clock.wall();
        let entry = Entry::new(arrival, mapping, Err(unfit), now);
        self.state.lock().enter(entry);
        self.changed.notify_all();
    }

    /// Says what is wanted to become of a file by one of its users.
    pub(super) fn wants(&self, number: u64, id: &PluginId, unmap: UnmapPolicy) {
        let mut state = self.state.lock();
        if let Some(entry) = state.entries.get_mut(&number) {
            entry.wanted.insert(id.clone(), unmap);
            state.changes += 1;
            drop(state);
            self.changed.notify_all();
        }
    }

    /// [`LoadedLibrary::wants`], of a file that turned out to be no plugin and so has no user.
    pub(crate) fn wants_of_unfit(&self, path: &Path, id: &PluginId, unmap: UnmapPolicy) {
        let mut state = self.state.lock();
        let state = &mut *state;
        for entry in state.entries.values_mut() {
            if entry.found.is_err() && entry.path == path {
                entry.wanted.insert(id.clone(), unmap);
                state.changes += 1;
            }
        }
        self.changed.notify_all();
    }

    /// Marks a file as retired, unless it is used again already.
    pub(super) fn retire(&self, number: u64) {
        let since = self.clock.wall();
        let mut state = self.state.lock();
        state.changes += 1;
        let stint = state.changes;
        let Some(entry) = state.entries.get_mut(&number) else {
            return;
        };
        if matches!(&entry.standing, Standing::InUse(library) if library.strong_count() == 0) {
            entry.standing = Standing::Retired {
                since,
                stint,
                why: None,
            };
            drop(state);
            self.changed.notify_all();
        }
    }
}

/// What unmapping takes.
impl Libraries {
    /// The files that nothing uses, and that are to be unmapped when that is safe.
    pub(crate) fn retired(&self) -> Vec<Retired> {
        let state = self.state.lock();
        state.entries.values().filter_map(Entry::retired).collect()
    }

    /// Waits until anything has changed since `seen`, or until a moment. `None` when nothing is to be unmapped any more. `idle` is called
    /// before it waits, and says for how long at most; it is called again after that.
    pub(crate) fn await_change(
        &self,
        seen: u64,
        until: Option<Instant>,
        mut idle: impl FnMut() -> Option<Duration>,
    ) -> Option<u64> {
        let mut state = self.state.lock();
        while !state.stopping && state.changes == seen {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                break;
            }
            match left.into_iter().chain(idle()).min() {
                Some(wait) => {
                    self.changed.wait_for(&mut state, wait);
                }
                None => self.changed.wait(&mut state),
            }
        }
        (!state.stopping).then_some(state.changes)
    }

    /// Has who waits do what it does while it waits.
    pub(crate) fn stir(&self) {
        // Under the lock, so that it is not between having looked and waiting.
        drop(self.state.lock());
        self.changed.notify_all();
    }

    /// Has nothing unmapped any more.
    pub(crate) fn stop(&self) {
        self.state.lock().stopping = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.state.lock().stopping
    }

    /// Notes why a file is still mapped.
    pub(crate) fn note(&self, retired: &Retired, reason: &str) {
        let mut state = self.state.lock();
        let entry = state.entries.get_mut(&retired.number);
        if let Some(entry) = entry
            && let Standing::Retired { stint, why, .. } = &mut entry.standing
            && *stint == retired.stint
        {
            *why = Some(reason.to_owned());
        }
    }

    /// Takes a file out of use for good. `None` if it is used again already. The same bytes are mapped anew from now on.
    pub(crate) fn take(&self, retired: &Retired) -> Option<Leaving> {
        let mut state = self.state.lock();
        let entry = state.entries.get_mut(&retired.number)?;
        let Standing::Retired { since, stint, .. } = entry.standing else {
            return None;
        };
        if stint != retired.stint {
            return None;
        }
        let mapping = entry.mapping.take()?;
        entry.standing = Standing::Leaving { since, stint };
        let leaving = Leaving {
            number: entry.number,
            path: entry.path.clone(),
            mapping,
            sha256: Arc::clone(&entry.sha256),
        };
        let fingerprint = entry.fingerprint;
        state.by_bytes.remove(&fingerprint);
        Some(leaving)
    }

    /// Puts a file back of which no code was run since it was taken.
    pub(crate) fn put_back(&self, leaving: Leaving, why: String) {
        let mut state = self.state.lock();
        let state = &mut *state;
        let Some(entry) = state.entries.get_mut(&leaving.number) else {
            return;
        };
        if let Standing::Leaving { since, stint } = entry.standing {
            entry.standing = Standing::Retired {
                since,
                stint,
                why: Some(why),
            };
        }
        entry.mapping = Some(leaving.mapping);
        // Mapped anew meanwhile, the bytes are those of the newer one.
        state
            .by_bytes
            .entry(entry.fingerprint)
            .or_insert(entry.number);
    }

    /// Leaves a file where it is for good, because it can neither be used again nor be unmapped.
    pub(crate) fn leave_behind(&self, leaving: Leaving, why: String) {
        let mut state = self.state.lock();
        if let Some(entry) = state.entries.get_mut(&leaving.number) {
            if let Standing::Leaving { since, .. } = entry.standing {
                entry.standing = Standing::Behind { since, why };
            }
            entry.mapping = Some(leaving.mapping);
        }
    }

    /// The files that were left behind, of which the system's loader may have let go since.
    pub(crate) fn left_behind(&self) -> Vec<(u64, Object)> {
        let state = self.state.lock();
        let behind = |entry: &Entry| match (&entry.standing, &entry.mapping) {
            (Standing::Behind { .. }, Some(mapping)) => {
                Some((entry.number, mapping.object()?.clone()))
            }
            _ => None,
        };
        state.entries.values().filter_map(behind).collect()
    }

    /// Strikes a file that is not mapped any more, and hands over what it still holds.
    pub(crate) fn strike(&self, number: u64) -> Option<Mapping> {
        let mut state = self.state.lock();
        let mut entry = state.entries.remove(&number)?;
        let mapping = entry.mapping.take();
        if let Err(unfit) = entry.found {
            if state.unfit.len() == UNFIT_MAX {
                state.unfit.pop_front();
            }
            state.unfit.push_back((entry.fingerprint, unfit));
        }
        mapping
    }

    /// Begins a load, as soon as no file is being unmapped: the system's loader does one thing at a time, and new threads of the process
    /// may have to wait for it, too. So this waits on the thread of whoever asks, no longer than `limit`, and without its help.
    pub(crate) fn begin_load(
        self: &Arc<Self>,
        path: &Path,
        limit: Duration,
    ) -> Result<LoadTurn, LoadError> {
        let began = Instant::now();
        loop {
            let mut state = self.state.lock();
            let Some((holder, overdue)) = &state.closing else {
                state.loads += 1;
                return Ok(LoadTurn(Arc::clone(self)));
            };
            if *overdue || began.elapsed() >= limit {
                return Err(LoadError::UnmapBusy {
                    path: path.to_owned(),
                    holder: holder.clone(),
                });
            }
            drop(state);
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Says that a file is about to be given back to the system's loader. `false` if another one is just being loaded.
    pub(crate) fn begin_closing(&self, path: &Path) -> bool {
        let mut state = self.state.lock();
        if state.loads == 0 {
            state.closing = Some((path.to_owned(), false));
        }
        state.loads == 0
    }

    /// Says that this takes too long.
    pub(crate) fn closing_is_overdue(&self) {
        if let Some((_, overdue)) = &mut self.state.lock().closing {
            *overdue = true;
        }
    }

    /// Says that this has ended.
    pub(crate) fn end_closing(&self) {
        self.state.lock().closing = None;
    }
}

/// A load that is under way. While one is, nothing is unmapped.
pub(crate) struct LoadTurn(Arc<Libraries>);

impl Drop for LoadTurn {
    fn drop(&mut self) {
        self.0.state.lock().loads -= 1;
    }
}

impl State {
    fn enter(&mut self, entry: Entry) {
        self.changes += 1;
        self.by_bytes.insert(entry.fingerprint, entry.number);
        self.entries.insert(entry.number, entry);
    }
}
