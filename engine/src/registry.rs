//! All plugins of one engine: found by id, or by the index that batches and timers carry. Finding takes no lock and writes
//! nothing, so readers do not slow each other down.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use plugin_engine_core::PluginId;

use crate::append_list::AppendList;
use crate::cell::Cell;
use crate::threading::{
    Mutex, OnceLock,
    atomic::{AtomicU32, AtomicUsize, Ordering},
};
use crate::waiting;

/// The most plugins that an engine holds.
#[cfg(not(all(test, loom)))]
pub(crate) const PLUGINS_MAX: usize = 1 << 20;
/// A model has few steps to spare.
#[cfg(all(test, loom))]
pub(crate) const PLUGINS_MAX: usize = 64;
/// The length of the first table of ids; each further one is twice as long.
const TABLE_LEN_MIN: usize = 128;
const TABLES: usize = 15;

const _: () = assert!(PLUGINS_MAX <= crate::append_list::LEN_MAX);
const _: () = assert!(2 * PLUGINS_MAX <= TABLE_LEN_MIN << (TABLES - 1));

/// All cells. Cells are added, never removed, so an index stays good for the life of the engine.
pub(crate) struct Registry {
    cells: AppendList<Arc<Cell>>,
    len: AtomicUsize,
    /// Hash tables from ids to indexes plus one, at most half full. When one is full a larger one is made, and the old one is left to
    /// whoever still reads it.
    tables: [OnceLock<Box<[AtomicU32]>>; TABLES],
    /// Which table is the current one.
    table: AtomicUsize,
    adding: Mutex<()>,
    hasher: FixedState,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            cells: AppendList::new(),
            len: AtomicUsize::new(0),
            tables: std::array::from_fn(|_| OnceLock::new()),
            table: AtomicUsize::new(0),
            adding: Mutex::new(()),
            hasher: FixedState::default(),
        }
    }

    /// The cell with this index.
    #[inline]
    pub(crate) fn at(&self, index: u32) -> Option<&Arc<Cell>> {
        self.cells.get(index as usize)
    }

    /// Asks for the place where [`Registry::at`] looks.
    #[inline]
    pub(crate) fn prefetch(&self, index: u32) {
        self.cells.prefetch(index as usize);
    }

    /// The cell of this id.
    #[inline]
    pub(crate) fn find(&self, id: &str) -> Option<&Arc<Cell>> {
        let table = self.tables[self.table.load(Ordering::Acquire)].get()?;
        for place in self.places(table.len(), id) {
            // An index is stored after its cell, so whoever sees it finds the cell.
            let index = table[place].load(Ordering::Acquire).checked_sub(1)?;
            let cell = self.at(index)?;
            if cell.id == id {
                return Some(cell);
            }
        }
        None
    }

    /// Where an id may stand in a table of that length, one place after another.
    #[inline]
    fn places(&self, len: usize, id: &str) -> impl Iterator<Item = usize> + use<> {
        let start = self.hasher.hash_one(id) as usize;
        (0..len).map(move |step| start.wrapping_add(step) & (len - 1))
    }

    /// The cell of this id, made by `make` if there is none. `None` if there is no room.
    pub(crate) fn find_or_insert(
        &self,
        id: &PluginId,
        make: impl FnOnce(u32) -> Cell,
    ) -> Option<&Arc<Cell>> {
        // Whoever makes a cell may take its lock, to enter what is remembered of the plugin.
        let _adding = waiting::take_turn(&self.adding);
        if let Some(cell) = self.find(id.as_str()) {
            return Some(cell);
        }
        let len = self.len.load(Ordering::Relaxed);
        if len >= PLUGINS_MAX {
            return None;
        }
        let index = u32::try_from(len).ok()?;
        let cell = Arc::new(make(index));
        if self.cells.set(len, cell).is_err() {
            return None;
        }
        self.len.store(len + 1, Ordering::Release);
        self.enter(id, index);
        self.at(index)
    }

    /// Enters an id into the current table, or makes a larger one of all ids if that would be more than half full.
    fn enter(&self, id: &PluginId, index: u32) {
        let current = self.table.load(Ordering::Relaxed);
        let table = self.tables[current].get_or_init(|| empty_table(current));
        if 2 * (index as usize + 1) <= table.len() {
            self.enter_into(table, id.as_str(), index);
            return;
        }
        let next = current + 1;
        let larger = self.tables[next].get_or_init(|| empty_table(next));
        for cell in self.all() {
            self.enter_into(larger, cell.id.as_str(), cell.index);
        }
        self.table.store(next, Ordering::Release);
    }

    fn enter_into(&self, table: &[AtomicU32], id: &str, index: u32) {
        for place in self.places(table.len(), id) {
            if table[place].load(Ordering::Relaxed) == 0 {
                table[place].store(index + 1, Ordering::Release);
                return;
            }
        }
    }

    /// How many cells there are.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// All cells, in the order in which their ids became known.
    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = &Arc<Cell>> {
        let count = u32::try_from(self.len()).unwrap_or(u32::MAX);
        (0..count).filter_map(|index| self.at(index))
    }
}

fn empty_table(number: usize) -> Box<[AtomicU32]> {
    (0..TABLE_LEN_MIN << number)
        .map(|_| AtomicU32::new(0))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plugin_engine_core::{CallLimits, Machine, Schedule};

    use super::*;

    fn cell(index: u32, id: &PluginId) -> Cell {
        let second = Duration::from_secs(1);
        let limits = CallLimits {
            create: second,
            update: second,
            display: second,
            destroy: second,
            state: second,
        };
        let machine = Machine::new(Schedule::new(second, Duration::ZERO), limits);
        Cell::new(index, id.clone(), machine)
    }

    #[test]
    fn ids_are_found_while_the_table_grows() {
        let registry = Registry::new();
        assert!(registry.find("p0").is_none());
        for n in 0..1_000 {
            let id = PluginId::new(&format!("p{n}")).unwrap();
            let added = registry.find_or_insert(&id, |index| cell(index, &id));
            assert_eq!(added.unwrap().index, n);
            assert_eq!(registry.find(&format!("p{}", n / 2)).unwrap().index, n / 2);
            assert!(registry.find(&format!("p{}", n + 1)).is_none());
        }
        let id = PluginId::new("p7").unwrap();
        let again = registry.find_or_insert(&id, |index| cell(index, &id));
        assert_eq!(again.unwrap().index, 7);
        assert_eq!(registry.len(), 1_000);
    }
}
