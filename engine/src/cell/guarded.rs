//! What only the holder of a cell's lock sees.

use std::sync::Arc;

#[cfg(feature = "history-sqlite")]
use plugin_engine_core::PluginId;
use plugin_engine_core::{Fault, Machine, Moment, Requirement, Unmet};

use super::consequences::Episode;
use crate::config::{ConfigError, PluginConfig, Preparation};
use crate::digest::Fingerprint;
use crate::discover::Candidate;
use crate::history::PluginHistory;
#[cfg(feature = "history-sqlite")]
use crate::history::Unsaved;
use crate::host::HostContext;
use crate::instance::{Instance, SavedState};
use crate::library::LoadedLibrary;
use crate::snapshot::{Beside, Plain};
use crate::usage::UsageRecord;

/// What only the holder of the cell's lock sees. In this order in memory, see [`Cell`](super::Cell): what a good update touches comes
/// first.
#[repr(C)]
pub(crate) struct Guarded {
    /// The instance, unless it is in a call or there is none.
    pub(crate) instance: Option<Box<Instance>>,
    /// How many commands hold updates back, or wait for a call to end. While one does, no update starts.
    pub(crate) waiters: u32,
    /// Whether a tick has come meanwhile that is to be offered again.
    pub(crate) tick_waits: bool,
    /// Whether a person has switched the plugin off, and nobody has switched it on since. Holds for whatever is loaded next, too.
    pub(crate) off_by_hand: bool,
    /// Whether a person has decided that since the engine was started. What is remembered of before says nothing then.
    pub(crate) decided_by_hand: bool,
    /// What the plugin requires; `None` for nothing.
    pub(crate) requires: Option<Box<Requires>>,
    /// The number of the last transition.
    pub(super) seq: u64,
    /// How many transitions there were; what is not in the history any more has left it.
    pub(super) recorded: u64,
    /// What its calls have used.
    pub(crate) usage: UsageRecord,
    pub(super) history: PluginHistory,
    pub(crate) machine: Machine,
    /// From here on what a good update does not touch. What most plugins never have lies elsewhere, so that none pays for its room.
    pub(crate) source: Option<Source>,
    /// What the library is, and the host that its instances speak to.
    pub(crate) loaded: Option<Loaded>,
    /// The host that the latest call speaks to, also when the library was let go since.
    pub(crate) heard: Option<Arc<HostContext>>,
    /// The how-manieth start of the engine the last start of this plugin was; 0 for none.
    pub(crate) started: u64,
    /// What was wrong with the settings at the latest create.
    pub(crate) misconfigured: Option<Arc<ConfigError>>,
    /// What is kept of the generation before a reload, while the new one is on probation.
    pub(crate) probation: Option<Box<Probation>>,
    /// What took over last and was rolled back.
    pub(crate) rolled_back: Option<Box<RolledBack>>,
    /// What a person has unloaded, if the plugin was not loaded since.
    pub(crate) unloaded_by_hand: Option<Box<UnloadedFile>>,
    /// The unhealthy episode that has not ended.
    pub(crate) episode: Option<Box<Episode>>,
    /// The error that is published.
    pub(super) error: Option<Arc<Fault>>,
}

/// Where a plugin comes from: enough to load it again.
#[derive(Clone)]
pub(crate) struct Source {
    /// Shared by all plugins of the file.
    pub(crate) candidate: Arc<Candidate>,
    pub(crate) config: PluginConfig,
}

/// What is kept of the generation before a reload, for as long as the new one is on probation.
pub(crate) struct Probation {
    pub(crate) until: Moment,
    /// The generation that is on probation.
    pub(crate) generation: u32,
    /// How many panics there were when it began.
    pub(crate) panics: u64,
    pub(crate) previous: Loaded,
    pub(crate) source: Option<Source>,
    /// What the instance before had saved.
    pub(crate) state: Option<Arc<SavedState>>,
}

/// What was rolled back: these bytes with these settings.
#[derive(Clone)]
pub(crate) struct RolledBack {
    pub(crate) bytes: Fingerprint,
    pub(crate) config: PluginConfig,
}

/// The bytes of a file whose plugin somebody unloaded: until they change, a look at the directory does not load it again. `None` where
/// no bytes were loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnloadedFile(pub(crate) Option<Fingerprint>);

/// What a plugin is loaded from.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) library: Arc<LoadedLibrary>,
    pub(crate) host: Arc<HostContext>,
    /// What has to be done with the settings each time; `None` where the host has them for good.
    pub(crate) preparation: Option<Arc<Preparation>>,
}

/// What a plugin requires.
pub(crate) struct Requires {
    pub(crate) list: Arc<[Requirement]>,
    /// What was missing when it was held back the last time.
    pub(crate) unmet: Option<Arc<Unmet>>,
}

impl Guarded {
    /// What is loaded is unloaded: the same bytes are not loaded again by themselves.
    pub(crate) fn remember_unloaded(&mut self) {
        let bytes = self.loaded.as_ref().map(|one| one.library.fingerprint);
        self.unloaded_by_hand = Some(Box::new(UnloadedFile(bytes)));
    }

    /// A person has switched the plugin off, or done what means that it is to run.
    pub(crate) fn decide_by_hand(&mut self, off: bool) {
        self.off_by_hand = off;
        self.decided_by_hand = true;
    }
}

#[cfg(feature = "history-sqlite")]
impl Guarded {
    /// From now on what is entered into the history is to be written to where it outlives the process.
    pub(crate) fn write_history(&mut self) {
        self.history.write_from_now_on();
    }

    /// Takes what is to be written of the history up to a number.
    pub(crate) fn take_unsaved(&mut self, id: &PluginId, boundary: u64) -> Unsaved {
        self.history.take_unsaved(id, boundary)
    }
}

impl Guarded {
    /// What the plugin requires; `None` for nothing.
    pub(crate) fn required(&self) -> Option<Arc<[Requirement]>> {
        self.requires
            .as_ref()
            .map(|requires| Arc::clone(&requires.list))
    }

    /// Whether there is an instance that is not the plugin's any more, as a policy has disposed of that while no worker had it.
    pub(crate) fn has_leftover(&self) -> bool {
        self.instance.is_some() && !self.machine.has_instance()
    }

    /// The plain fields of the snapshot.
    #[inline]
    pub(super) fn plain(&self) -> Plain {
        let beside = Beside {
            seq: self.seq,
            history_len: self.history.len(),
        };
        Plain::of(&self.machine, beside)
    }
}
