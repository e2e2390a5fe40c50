//! The disk of the simulated machine: what is written to it outlives the engine, and writing may fail or take long.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use plugin_engine::HistoryFilter;
use plugin_engine::simulation::disk::{
    Batch, Disk, Entry, HistoryEntry, PluginRow, StoreErrorKind,
};
use plugin_engine::simulation::{Pause, Stage};
use plugin_engine_core::{PluginId, PluginState};

use crate::planted::Planted;
use crate::world::World;

/// What is wrong with the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing more goes onto it.
    Full,
    /// It cannot be read or written.
    Broken,
    /// Another process writes to the history.
    Locked,
    /// Each batch takes so long, half of it before it is there and half after.
    Slow(Duration),
}

/// What is on the disk.
#[derive(Clone, Default)]
pub(crate) struct Stored {
    batches: Vec<Rc<Batch>>,
    /// As they were written, with what was forgotten since.
    pub(crate) written: Vec<Rc<Batch>>,
    rows: BTreeMap<PluginId, PluginRow>,
    mark: Vec<u8>,
}

impl Stored {
    /// The last number.
    pub(crate) fn last_seq(&self) -> u64 {
        self.batches.last().map_or(0, |batch| batch.last_seq)
    }

    /// What is there of a plugin.
    pub(crate) fn of(&self, id: &PluginId) -> Vec<HistoryEntry> {
        let filter = HistoryFilter::of(id.clone());
        let batches = self.batches.iter();
        batches
            .flat_map(|batch| batch.history_entries(&filter))
            .collect()
    }

    fn query(&self, filter: &HistoryFilter, up_to: u64) -> Vec<HistoryEntry> {
        let after = filter.after.unwrap_or(0);
        let first = self.batches.partition_point(|one| one.last_seq <= after);
        let end = self.batches.partition_point(|one| one.first_seq <= up_to);
        let mut batches: Vec<_> = self.batches[first.min(end)..end].iter().collect();
        if filter.newest_first {
            batches.reverse();
        }
        let mut found = Vec::new();
        for batch in batches {
            let entries = batch.history_entries(filter).into_iter();
            found.extend(entries.filter(|entry| entry.seq() <= up_to));
            if found.len() >= filter.limit() {
                break;
            }
        }
        found.truncate(filter.limit());
        found
    }
}

/// The disk, and what is done to it.
#[derive(Default)]
pub(crate) struct Machine {
    /// Whether there is one.
    pub(crate) is_there: Cell<bool>,
    pub(crate) stored: RefCell<Stored>,
    /// What is wrong with it until when.
    pub(crate) trouble: Cell<Option<(Trouble, Duration)>>,
    /// What it gets wrong on purpose.
    pub(crate) planted: Cell<Option<Planted>>,
    appended: Cell<u64>,
    /// Whether it could not be opened the last time.
    failed_to_open: Cell<bool>,
}

impl World {
    fn trouble(&self) -> Option<Trouble> {
        let (trouble, until) = self.machine.trouble.get()?;
        (self.now() < until && !self.is_calm.get()).then_some(trouble)
    }

    fn check_disk(&self) -> Result<(), StoreErrorKind> {
        match self.trouble() {
            None | Some(Trouble::Slow(_)) => Ok(()),
            Some(Trouble::Full) => Err(StoreErrorKind::Full),
            Some(Trouble::Broken) => Err(StoreErrorKind::Io),
            Some(Trouble::Locked) => Err(StoreErrorKind::Locked),
        }
    }

    /// Whether what is on it can be read.
    pub(crate) fn can_open(&self) -> bool {
        self.trouble() != Some(Trouble::Broken)
    }

    /// Whether something may still be under way that takes long.
    pub(crate) fn is_slow(&self) -> bool {
        let trouble = self.machine.trouble.get();
        matches!(trouble, Some((Trouble::Slow(time), until)) if self.now() <= until + time)
    }

    /// Lets half of the time pass that a batch takes.
    fn take_time(&self) {
        if let Some(Trouble::Slow(time)) = self.trouble()
            && self.is_on_thread()
        {
            self.pause(Pause::For(time / 2));
        }
    }

    fn put(&self, batch: &Batch) {
        let planted = self.machine.planted.get();
        let count = self.machine.appended.get() + 1;
        self.machine.appended.set(count);
        let mut batch = batch.clone();
        match planted {
            Some(Planted::BatchLost) if count.is_multiple_of(5) => return,
            Some(Planted::WrittenOtherwise) => write_otherwise(&mut batch),
            _ => {}
        }
        let mut stored = self.machine.stored.borrow_mut();
        for row in &batch.rows {
            let mut row = row.clone();
            match planted {
                Some(Planted::SwitchedOffForgotten) => row.off_by_hand = false,
                Some(Planted::GenerationsBeginAnew) => row.generation = 0,
                _ => {}
            }
            stored.rows.insert(row.id.clone(), row);
        }
        let batch = Rc::new(batch);
        stored.written.push(Rc::clone(&batch));
        stored.batches.push(batch);
    }
}

/// Says of the first change that has an error that the plugin went somewhere else.
fn write_otherwise(batch: &mut Batch) {
    let entries = batch.plugins.iter_mut().flat_map(|one| &mut one.entries);
    for entry in entries {
        if let Entry::Change(change) = entry
            && change.error.is_some()
        {
            change.to = PluginState::Disabled;
            return;
        }
    }
}

impl Disk for World {
    fn open(&self) -> Result<(u64, Vec<PluginRow>), StoreErrorKind> {
        if !self.can_open() {
            self.machine.failed_to_open.set(true);
            return Err(StoreErrorKind::Io);
        }
        let stored = self.machine.stored.borrow();
        let is_late = self.machine.failed_to_open.replace(false);
        if is_late && self.machine.planted.get() == Some(Planted::ReadTooLate) {
            return Ok((stored.last_seq(), Vec::new()));
        }
        Ok((stored.last_seq(), stored.rows.values().cloned().collect()))
    }

    fn append(&self, batch: &Batch) -> Result<(), StoreErrorKind> {
        self.take_time();
        self.check_disk()?;
        self.put(batch);
        self.take_time();
        Ok(())
    }

    fn forget(&self, id: &PluginId) -> Result<(), StoreErrorKind> {
        self.take_time();
        self.check_disk()?;
        if self.machine.planted.get() == Some(Planted::ForgetLost) {
            return Ok(());
        }
        let mut stored = self.machine.stored.borrow_mut();
        stored.rows.remove(id);
        for batch in &mut stored.batches {
            if batch.plugins.iter().any(|one| one.id == *id) {
                Rc::make_mut(batch).plugins.retain(|one| one.id != *id);
            }
        }
        Ok(())
    }

    fn query(&self, filter: &HistoryFilter, up_to: u64) -> Option<Vec<HistoryEntry>> {
        let stored = self.machine.stored.borrow();
        (!stored.batches.is_empty()).then(|| stored.query(filter, up_to))
    }

    fn mark(&self) -> Vec<u8> {
        self.machine.stored.borrow().mark.clone()
    }

    fn write_mark(&self, bytes: &[u8]) {
        if self.machine.planted.get() != Some(Planted::MarkLost) {
            self.machine.stored.borrow_mut().mark = bytes.to_vec();
        }
    }
}
