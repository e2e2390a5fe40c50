//! Writes what was taken, and goes on when that fails: what was taken is kept until it is written, and nothing more is taken meanwhile.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use plugin_engine_core::WallTime;
use plugin_engine_history_store::{
    Batch, EngineRecord, PluginRow, Started, Stopped, StoreError, StoreErrorKind,
};

use super::collect::Collector;
use super::disk::{Store, set_aside};
use super::sequence_mark::SequenceMark;
use super::status::HistoryError;
use super::{Durable, Kept};
use crate::board::Board;
use crate::cell::Cell;
use crate::code::Code;
use crate::waiting;

/// How often it is looked whether entries are to leave.
const TRIM_EVERY: Duration = Duration::from_secs(60);
/// How soon a file is tried again that could not be opened or written to.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// The side of the history that writes.
pub(super) struct Writer {
    file: PathBuf,
    /// `None` while the file cannot be opened.
    store: Option<Store>,
    mark: SequenceMark,
    kept: Kept,
    collector: Collector,
    /// What the file remembers of plugins from before.
    pub(super) remembered: Vec<PluginRow>,
    /// Whether the file was read since this engine was started. Until then nobody knows what it remembers.
    was_read: bool,
    /// What is to be remembered of plugins with the next batch: a file that was damaged took it along, or it could not be read before.
    missing: Vec<PluginRow>,
    /// The start of this engine.
    started: Option<Started>,
    /// The last number in the file when it was opened.
    last_before: u64,
    /// Not before this is anything tried again.
    retry_at: Option<Instant>,
    trim_at: Instant,
    /// What was last said of a problem.
    told: Option<String>,
}

impl Writer {
    pub(super) fn open(file: PathBuf, mark: SequenceMark, kept: Kept) -> Self {
        if !mark.is_readable() {
            tracing::warn!(target: "plugin_engine::history", file = %file.display(), "the mark of the numbers beside it cannot be read; numbers are skipped [{}]", Code::HISTORY_MARK);
        }
        let mut writer = Self {
            file,
            store: None,
            mark,
            kept,
            collector: Collector::new(0),
            remembered: Vec::new(),
            was_read: false,
            missing: Vec::new(),
            started: None,
            last_before: 0,
            retry_at: None,
            trim_at: waiting::now() + TRIM_EVERY,
            told: None,
        };
        if let Err(error) = writer.reopen() {
            writer.told = Some(error.to_string());
            tracing::error!(target: "plugin_engine::history", %error, "history is kept in memory only, until the file can be used [{}]", Code::HISTORY_NOT_WRITTEN);
        }
        writer
    }

    /// The last number that may have been used before this engine.
    pub(super) fn numbers_used(&self) -> u64 {
        self.mark.used_before(self.last_before)
    }

    /// Enters the start of this engine, which has the first number of it.
    pub(super) fn started(&mut self, seq: u64, at: WallTime) {
        self.collector = Collector::new(seq - 1);
        self.mark.begin_after(seq - 1);
        let started = Started {
            seq,
            at,
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
            lost: None,
        };
        self.started = Some(started.clone());
        self.collector.engine.push(EngineRecord::Started(started));
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        let opened = match Store::open(&self.file) {
            Err(error) if error.kind() == StoreErrorKind::Corrupt => {
                let aside = set_aside(&self.file, WallTime::from(std::time::SystemTime::now()))?;
                tracing::error!(target: "plugin_engine::history", %error, "set aside as {}, and a new history begun [{}]", aside.display(), Code::HISTORY_SET_ASIDE);
                Store::open(&self.file)
            }
            opened => opened,
        };
        let (store, found) = opened?;
        self.last_before = found.last_seq;
        self.remembered = found.plugins;
        self.was_read = true;
        self.store = Some(store);
        Ok(())
    }

    /// [`Writer::reopen`] in mid-life: what the file remembers of plugins holds from now on if it could not be read before, and what it has
    /// lost is to be written again.
    fn reopen_for(&mut self, durable: &Durable, board: &Board) -> Result<(), StoreError> {
        let is_first = !self.was_read;
        self.reopen()?;
        let found = std::mem::take(&mut self.remembered);
        if is_first {
            durable.recall(&found, board);
        }
        let mut rows = self.collector.rows(board);
        rows.extend(durable.remembered.lock().values().cloned());
        if !is_first {
            let found: HashMap<_, _> = found.iter().map(|row| (&row.id, row)).collect();
            rows.retain(|row| found.get(&row.id) != Some(&row));
        }
        // Else all of them, after what is held: that was taken before it was known what was remembered.
        self.missing = rows;
        Ok(())
    }

    /// Sets numbers apart, takes what is new unless something is held already, and writes it. The problem, if there is one.
    fn round(&mut self, durable: &Durable, board: &Board) -> Option<String> {
        durable.settle_recalled(board);
        let last = board.ledger.next_seq.load(Ordering::SeqCst);
        let mut problem = self.mark.keep_ahead_of(last).err().map(|error| {
            format!("cannot set numbers apart, so some may be used again after a crash: {error}")
        });
        let held = {
            let mut held = waiting::take_turn(&durable.held);
            if held.is_none() {
                *held = self.collector.collect(board).map(Arc::new);
            }
            held.clone()
        };
        if let Some(batch) = held {
            match self.write(&batch, durable, board) {
                Ok(true) => {
                    *durable.held.lock() = None;
                    durable.durable_seq.store(batch.last_seq, Ordering::Release);
                }
                Ok(false) => problem = self.told.clone(),
                Err(error) => problem = Some(error.to_string()),
            }
        }
        problem
    }

    /// Whether it is written. If not, it is not yet time to try again.
    fn write(
        &mut self,
        batch: &Batch,
        durable: &Durable,
        board: &Board,
    ) -> Result<bool, StoreError> {
        let now = waiting::now();
        if self.retry_at.is_some_and(|at| now < at) {
            return Ok(false);
        }
        self.retry_at = Some(now + RETRY_EVERY);
        if self.store.is_none() {
            self.reopen_for(durable, board)?;
        }
        let Some(store) = &mut self.store else {
            return Ok(false);
        };
        let mut batch = with_what_was_lost(batch, store.last_seq(), self.started.as_ref());
        if !self.missing.is_empty() {
            batch.to_mut().rows.extend(self.missing.iter().cloned());
        }
        match store.append(&batch) {
            Ok(()) => {
                self.retry_at = None;
                self.missing.clear();
                Ok(true)
            }
            Err(error) => {
                // Opened again, by which a damaged file is set aside. Whoever only waits for another writer keeps it.
                if error.kind() != StoreErrorKind::Locked && error.kind() != StoreErrorKind::Full {
                    self.store = None;
                }
                Err(error)
            }
        }
    }

    /// Writes what is held, and then what has come since, now.
    pub(super) fn catch_up(
        &mut self,
        durable: &Durable,
        board: &Board,
    ) -> Result<(), HistoryError> {
        self.retry_at = None;
        for _held_then_new in 0..2 {
            if let Some(problem) = self.round(durable, board) {
                let path = self.file.clone();
                return Err(HistoryError::Behind { path, problem });
            }
        }
        Ok(())
    }

    pub(super) fn forget(
        &mut self,
        durable: &Durable,
        board: &Board,
        cell: &Cell,
    ) -> Result<(), HistoryError> {
        if self.store.is_none() {
            self.reopen_for(durable, board)?;
        }
        match &mut self.store {
            Some(store) => {
                store.forget(&cell.id)?;
                self.collector.forget(cell.index);
                self.missing.retain(|row| row.id != cell.id);
                Ok(())
            }
            None => Err(HistoryError::NotOpen {
                path: self.file.clone(),
            }),
        }
    }

    /// Has the oldest entries leave the file if it is time for that.
    fn trim(&mut self, now: WallTime) -> Option<String> {
        if waiting::now() < self.trim_at {
            return None;
        }
        let kept = self.kept;
        let store = self.store.as_mut()?;
        match store.retain(kept.kept_for, kept.bytes_max, now) {
            // One step at a time, so that what is new does not wait for what is old.
            Ok(retained) if !retained.done => None,
            trimmed => {
                self.trim_at = waiting::now() + TRIM_EVERY;
                trimmed.err().map(|error| error.to_string())
            }
        }
    }
}

/// The batch, in which a start names the numbers between what is in the file and itself: known only now where the file could not be opened before. A file
/// that was begun anew while this engine runs gets its start once more, with what the damaged one took along.
fn with_what_was_lost<'a>(
    batch: &'a Batch,
    last_in_file: u64,
    started: Option<&Started>,
) -> Cow<'a, Batch> {
    let before = batch.first_seq - 1;
    if before <= last_in_file {
        return Cow::Borrowed(batch);
    }
    let mut batch = Cow::Borrowed(batch);
    let starts = |record: &EngineRecord| matches!(record, EngineRecord::Started(_));
    if let Some(at) = batch.engine.iter().position(starts) {
        if let EngineRecord::Started(started) = &mut batch.to_mut().engine[at] {
            started.lost = Some((last_in_file + 1, before));
        }
    } else if let Some(started) = started.filter(|started| started.seq > last_in_file) {
        let of_this_engine = started.seq + 1..=before;
        let started = Started {
            lost: (!of_this_engine.is_empty()).then(|| of_this_engine.into_inner()),
            ..started.clone()
        };
        let again = EngineRecord::Started(started);
        batch.to_mut().engine.insert(0, again);
    }
    batch
}

impl Durable {
    /// One round of the writer.
    pub(super) fn write_what_is_new(&self, board: &Board) {
        let mut writer = waiting::take_turn(&self.writer);
        let mut problem = writer.round(self, board);
        if problem.is_none() {
            problem = writer.trim(board.ledger.time.wall_at(board.ledger.time.now()));
        }
        if writer.told != problem {
            match &problem {
                Some(problem) => {
                    tracing::error!(target: "plugin_engine::history", %problem, "history is kept in memory only, until it can be written [{}]", Code::HISTORY_NOT_WRITTEN);
                }
                None => {
                    tracing::info!(target: "plugin_engine::history", "history is written to disk again");
                }
            }
            writer.told.clone_from(&problem);
        }
        *self.problem.lock() = problem;
    }

    /// Enters the end of the engine, writes all that is left, and says which number was the last, unless calls are left behind: each takes a number when it
    /// returns, which the next engine must not use again, so that it begins above what is set apart.
    pub(super) fn write_the_end(&self, board: &Board, calls_left: bool) {
        let ledger = &board.ledger;
        // What could not be written before and is held goes first; nothing is taken beside it.
        self.write_what_is_new(board);
        let mut writer = waiting::take_turn(&self.writer);
        writer.retry_at = None;
        let seq = ledger.next_seq.fetch_add(1, Ordering::SeqCst) + 1;
        let at = ledger.time.wall_at(ledger.time.now());
        writer
            .collector
            .engine
            .push(EngineRecord::Stopped(Stopped { seq, at }));
        drop(writer);
        self.write_what_is_new(board);
        let mut writer = waiting::take_turn(&self.writer);
        let last = ledger.next_seq.load(Ordering::SeqCst);
        if !calls_left
            && self.durable_seq.load(Ordering::Acquire) == last
            && let Err(error) = writer.mark.end_at(last)
        {
            tracing::warn!(target: "plugin_engine::history", %error, "numbers will be skipped at the next start");
        }
        // The last connection that is closed brings all of it into one file.
        self.readers.lock().clear();
        if let Some(store) = writer.store.take()
            && let Err(error) = store.close()
        {
            tracing::warn!(target: "plugin_engine::history", %error, "the history is not closed in order; nothing of it is lost");
        }
    }
}
