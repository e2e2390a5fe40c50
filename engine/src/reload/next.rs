//! What is to take over, and what was active when that began. Data only.

use std::sync::Arc;

use plugin_engine_core::{FaultReport, PluginState, Requirement};

use crate::cell::{Cell, Guarded, Loaded, RolledBack, Source};
use crate::config::PluginConfig;
use crate::discover::Candidate;
use crate::instance::SavedState;
use crate::library::LoadedLibrary;

/// Who wants a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// A person or a program, by name.
    Asked,
    /// The file has changed.
    Changed,
}

/// What is to take over, and from what file and configuration it comes.
pub(super) struct Next<'a> {
    pub(super) candidate: &'a Arc<Candidate>,
    pub(super) config: &'a PluginConfig,
    pub(super) library: &'a Arc<LoadedLibrary>,
    /// Set for what takes over again after a reload that turned out badly.
    pub(super) rollback: Option<Rollback>,
}

impl Next<'_> {
    pub(super) fn requires(&self) -> Vec<Requirement> {
        self.config.all_required(&self.library.manifest)
    }

    pub(super) fn source(&self) -> Source {
        Source {
            candidate: Arc::clone(self.candidate),
            config: self.config.clone(),
        }
    }
}

/// What a roll-back knows beside what takes over.
#[derive(Clone)]
pub(super) struct Rollback {
    /// Why it comes to that.
    pub(super) why: FaultReport,
    /// What the instance had saved that takes over again.
    pub(super) state: Option<Arc<SavedState>>,
    /// What is rolled back.
    pub(super) from: RolledBack,
}

/// What was active when a reload began.
pub(super) struct Before {
    pub(super) state: PluginState,
    generation: u32,
    pub(super) loaded: Loaded,
    pub(super) config: PluginConfig,
    pub(super) rolled_back: Option<Box<RolledBack>>,
}

impl Before {
    pub(super) fn of(cell: &Cell) -> Option<Self> {
        let guarded = cell.lock();
        Some(Self {
            state: guarded.machine.state(),
            generation: guarded.machine.generation(),
            loaded: guarded.loaded.clone()?,
            config: guarded.source.as_ref()?.config.clone(),
            rolled_back: guarded.rolled_back.clone(),
        })
    }

    /// Whether that is what is active still.
    pub(super) fn holds(&self, guarded: &Guarded) -> bool {
        guarded.machine.generation() == self.generation && guarded.loaded.is_some()
    }
}
