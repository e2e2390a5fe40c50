//! What workers take: in which order, and what of it waits.

use std::collections::VecDeque;
use std::sync::Arc;

use plugin_engine_core::{CreateReason, FaultReport, Transition};

use super::batch::Batch;
use super::slot::{TaskEnd, Waiter};
use crate::cell::Cell as PluginCell;
use crate::instance::{Instance, SavedState};
use crate::threading::Mutex;
use crate::transition_log::{log, unharmed};

/// What there is to do, and who waits for it.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) tasks: VecDeque<Task>,
    pub(super) rests: VecDeque<Rest>,
    pub(super) batches: VecDeque<Arc<Batch>>,
    /// What is left of plugins that are known to be slow. Taken one by one, and after everything else.
    pub(super) slow: VecDeque<Rest>,
    /// How many workers count as slow because of the last time only.
    pub(super) foreseen: usize,
    /// How many such workers there may be: one fewer than are wanted, so that whoever is quick waits for none of them.
    pub(super) foreseen_max: usize,
    /// What is to be told to the embedder's subscriber, by a thread that may be held up there.
    pub(super) news: VecDeque<News>,
    pub(super) free_slots: Vec<usize>,
    pub(super) threads: usize,
    /// The slots of the workers that wait, the one that has waited least last: it is woken first, because what it called last is
    /// still in its processor's caches.
    pub(super) idle: Vec<usize>,
    pub(super) closed: bool,
    /// Whether the last attempt to start a thread failed, so that it is logged once.
    pub(super) start_failed: bool,
}

impl Queue {
    pub(super) fn has_work(&self) -> bool {
        !self.tasks.is_empty()
            || !self.news.is_empty()
            || !self.rests.is_empty()
            || self.batches.iter().any(|batch| batch.has_more())
            || self.has_slow()
    }

    /// Whether there is a slow plugin for a worker to take now.
    pub(super) fn has_slow(&self) -> bool {
        !self.slow.is_empty() && self.foreseen < self.foreseen_max
    }

    /// Takes one plugin that is known to be slow.
    pub(super) fn take_slow(&mut self) -> Option<Rest> {
        if !self.has_slow() {
            return None;
        }
        let Rest { batch, range } = self.slow.pop_front()?;
        let (low, high) = range;
        if low + 1 < high {
            let (batch, range) = (Arc::clone(&batch), (low + 1, high));
            self.slow.push_front(Rest { batch, range });
        }
        let range = (low, low + 1);
        Some(Rest { batch, range })
    }
}

/// What the embedder's subscriber is to be told, outside of every lock.
pub(super) enum News {
    Transition(Box<Transition>),
    NoThread(std::io::Error),
}

impl News {
    pub(super) fn say(&self) {
        match self {
            Self::Transition(transition) => log(transition),
            Self::NoThread(error) => unharmed(|| {
                tracing::error!(target: "plugin_engine", %error, "cannot start a worker");
            }),
        }
    }
}

/// What is left of the share of a worker that got stuck.
pub(super) struct Rest {
    pub(super) batch: Arc<Batch>,
    pub(super) range: (u32, u32),
}

/// One call that a command asked for.
pub(crate) struct Task {
    pub(crate) cell: Arc<PluginCell>,
    pub(crate) call: TaskCall,
    pub(super) waiter: Arc<Waiter>,
}

pub(crate) enum TaskCall {
    Create(CreateReason),
    Update,
    Display,
    /// Has the instance save its state, and hands that over.
    Save(Arc<Mutex<Option<Result<SavedState, FaultReport>>>>),
    Destroy {
        instance: Box<Instance>,
        /// Whether it is the instance that the plugin has now, not one that it had before.
        current: bool,
    },
}

impl Drop for Task {
    /// A task that is dropped without having run tells whoever waits; one that has run has told before.
    fn drop(&mut self) {
        self.waiter.tell(TaskEnd::Refused);
    }
}
