//! All plugins of one engine: found by id, or by the index that batches and timers carry.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use parking_lot::RwLock;
use plugin_engine_core::PluginId;

use crate::cell::Cell;

const CHUNK: usize = 1_024;
const CHUNKS: usize = 1_024;

/// The most plugins that an engine holds.
pub(crate) const PLUGINS_MAX: usize = CHUNK * CHUNKS;

type Chunk = Box<[OnceLock<Arc<Cell>>]>;

/// All cells. Cells are added, never removed, so that an index stays good and is looked up without a lock or a reference count.
pub(crate) struct Registry {
    by_id: RwLock<HashMap<PluginId, u32, RandomState>>,
    chunks: Box<[OnceLock<Chunk>]>,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            by_id: RwLock::default(),
            chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The cell with this index. Two loads.
    #[inline]
    pub(crate) fn at(&self, index: u32) -> Option<&Arc<Cell>> {
        let index = index as usize;
        self.chunks.get(index / CHUNK)?.get()?[index % CHUNK].get()
    }

    /// The cell of this id. One hash, one shared lock, three loads.
    #[inline]
    pub(crate) fn find(&self, id: &str) -> Option<&Arc<Cell>> {
        let index = *self.by_id.read().get(id)?;
        self.at(index)
    }

    /// The cell of this id, made by `make` if there is none. `None` if there is no room.
    pub(crate) fn find_or_insert(
        &self,
        id: &PluginId,
        make: impl FnOnce(u32) -> Cell,
    ) -> Option<&Arc<Cell>> {
        let mut by_id = self.by_id.write();
        let index = match by_id.get(id) {
            Some(index) => *index,
            None => {
                let index = u32::try_from(by_id.len()).ok()?;
                let chunk = self.chunks.get(index as usize / CHUNK)?;
                let chunk = chunk.get_or_init(|| (0..CHUNK).map(|_| OnceLock::new()).collect());
                chunk[index as usize % CHUNK].get_or_init(|| Arc::new(make(index)));
                by_id.insert(id.clone(), index);
                index
            }
        };
        drop(by_id);
        self.at(index)
    }

    /// How many cells there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.read().len()
    }

    /// All cells, in the order in which their ids became known.
    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = &Arc<Cell>> {
        let count = u32::try_from(self.len()).unwrap_or(u32::MAX);
        (0..count).filter_map(|index| self.at(index))
    }
}
