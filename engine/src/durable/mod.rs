//! History that outlives the process: what plugins enter into their histories is written to a file of the state directory, by one thread, many
//! entries at a time.
//!
//! The histories in memory are the queue: each [`FLUSH_EVERY`] the writer takes what is new from the plugins that have something, up to the last number that was
//! given out, and writes it as one whole. So what is on the disk is complete up to a number, and recording a transition costs no more than a mark. When the
//! disk is slower than the plugins, or takes nothing at all, entries leave the memory before they were taken: good updates are then counted in sums, and other
//! entries in a gap with their number, which are written in their place.
//!
//! What lives here: taking, writing, the number above which none was used, and joining what is in memory with what is on disk. What never will: the
//! format of the file (see the crate `plugin-engine-history-store`).

mod collect;
mod disk;
mod join;
mod recall;
mod sequence_mark;
mod status;
mod task;
mod writer;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use plugin_engine_core::PluginId;
use plugin_engine_history_store::{Batch, PluginRow};

use crate::board::Board;
use crate::cell::Cell;
use crate::state_dir::{StateDir, StateError};
use crate::threading::Mutex;
use crate::waiting::{self, Condvar};
use disk::Reader;
use recall::Recalled;
use sequence_mark::SequenceMark;
use writer::Writer;

pub(crate) use join::InMemory;
pub use status::{HistoryError, HistoryStatus};
pub(crate) use task::{finish, start};

/// What of the history a `kill -9` can take: what is not older than this, and a write.
pub(crate) const FLUSH_EVERY: Duration = Duration::from_millis(200);
/// The file of the history in the state directory.
pub(crate) const FILE: &str = "history.db";
/// The file of the mark.
const MARK: &str = "sequence";

/// What is known of the history on disk.
pub(crate) struct Durable {
    file: PathBuf,
    /// Everything up to this number is on disk.
    durable_seq: AtomicU64,
    /// The number of the start of this engine. What has a smaller one is only on disk.
    started_seq: u64,
    /// What was taken and is not known to be on disk. Its lock is held while it is taken, so that whoever looks here after the memory misses nothing.
    held: Mutex<Option<Arc<Batch>>>,
    /// What keeps it from being written, if something does.
    problem: Mutex<Option<String>>,
    writer: Mutex<Writer>,
    asked: Mutex<Asked>,
    changed: Condvar,
    /// What was remembered of plugins when the engine started, until they are known again.
    remembered: Mutex<HashMap<PluginId, PluginRow>>,
    /// The plugins that are still to be switched off because of what could not be read before; `None` where everything was read at the start.
    recalled: Mutex<Option<Vec<Recalled>>>,
    readers: Mutex<Vec<Reader>>,
}

/// How much is kept on disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    pub(crate) kept_for: Duration,
    pub(crate) bytes_max: u64,
}

/// What is wanted of the writer's thread.
#[derive(Default)]
struct Asked {
    /// How often somebody wanted everything to be written now.
    flushes: u64,
    /// How many of these wishes are fulfilled.
    flushed: u64,
    /// Whether there will be nothing more to write.
    ended: bool,
    /// Whether calls are left behind, whose return is numbered although nobody writes it any more.
    calls_left: bool,
}

impl Durable {
    /// Opens the history, and continues its numbers: the first of this engine is its start, which is on disk when this returns, unless the disk does not
    /// take it.
    pub(crate) fn open(dir: &StateDir, board: &Board, kept: Kept) -> Result<Self, StateError> {
        let mark = SequenceMark::open(&dir.file(MARK)).map_err(dir.cannot("open", MARK))?;
        Ok(Self::begin(dir.file(FILE), mark, board, kept))
    }

    /// Opens the history of a simulated machine, which has no directory.
    #[cfg(feature = "simulation")]
    pub(crate) fn on_stage(board: &Board, kept: Kept) -> Option<Self> {
        let mark = SequenceMark::open(std::path::Path::new(MARK)).ok()?;
        Some(Self::begin(PathBuf::from(FILE), mark, board, kept))
    }

    fn begin(file: PathBuf, mark: SequenceMark, board: &Board, kept: Kept) -> Self {
        let mut writer = Writer::open(file.clone(), mark, kept);
        let ledger = &board.ledger;
        let base = writer.numbers_used();
        // Nothing is numbered yet.
        ledger.next_seq.store(base, Ordering::SeqCst);
        ledger.unsaved.begin();
        let started_seq = ledger.next_seq.fetch_add(1, Ordering::SeqCst) + 1;
        writer.started(started_seq, ledger.time.wall_at(ledger.time.now()));
        let remembered = std::mem::take(&mut writer.remembered);
        let durable = Self {
            file,
            durable_seq: AtomicU64::new(0),
            started_seq,
            held: Mutex::default(),
            problem: Mutex::default(),
            writer: Mutex::new(writer),
            asked: Mutex::default(),
            changed: Condvar::new(),
            remembered: Mutex::new(
                remembered
                    .into_iter()
                    .map(|row| (row.id.clone(), row))
                    .collect(),
            ),
            recalled: Mutex::default(),
            readers: Mutex::default(),
        };
        durable.write_what_is_new(board);
        durable
    }

    /// Takes care of a plugin whose id becomes known now: its history is written, and what was remembered of it holds again.
    pub(crate) fn adopt(&self, cell: &Cell) {
        let mut guarded = cell.lock();
        guarded.write_history();
        let mut remembered = self.remembered.lock();
        if let Some(row) = remembered.remove(&cell.id) {
            guarded.machine.count_generations_from(row.generation);
            guarded.off_by_hand = row.off_by_hand;
            drop(remembered);
            cell.publish(&mut guarded);
        }
    }

    /// Forgets what is on disk of a plugin. What was taken to be written and is not yet there is written first: it would come after.
    pub(crate) fn forget(&self, board: &Board, cell: &Cell) -> Result<(), HistoryError> {
        let mut writer = waiting::take_turn(&self.writer);
        writer.catch_up(self, board)?;
        writer.forget(self, board, cell)
    }

    /// How it stands.
    pub(crate) fn status(&self, board: &Board) -> HistoryStatus {
        let durable_seq = self.durable_seq.load(Ordering::Acquire);
        let last_seq = board.ledger.next_seq.load(Ordering::Acquire);
        HistoryStatus {
            file: self.file.clone(),
            started_seq: self.started_seq,
            durable_seq,
            held: last_seq.saturating_sub(durable_seq),
            problem: self.problem.lock().clone(),
        }
    }
}
