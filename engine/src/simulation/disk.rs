//! The disk of the simulated machine, as the history sees it: one file of batches, and the mark.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plugin_engine_core::{HistoryFilter, PluginId, WallTime};
use plugin_engine_history_store::{Opened, Retained, StoreError};

pub use plugin_engine_history_store::{
    Batch, Change, Entry, HistoryEntry, PluginRow, Started, StoreErrorKind,
};

use super::stage;

/// A disk.
pub trait Disk {
    /// Opens the history: the last number in it, and what is remembered of plugins.
    ///
    /// # Errors
    /// It cannot be opened.
    fn open(&self) -> Result<(u64, Vec<PluginRow>), StoreErrorKind>;

    /// Writes a batch, all of it or nothing. May pause for as long as that takes.
    ///
    /// # Errors
    /// Nothing of it is written.
    fn append(&self, batch: &Batch) -> Result<(), StoreErrorKind>;

    /// Removes all of a plugin.
    ///
    /// # Errors
    /// It is still there.
    fn forget(&self, id: &PluginId) -> Result<(), StoreErrorKind>;

    /// What is in the history up to a number, in the order asked for; `None` if nothing was ever written.
    fn query(&self, filter: &HistoryFilter, up_to: u64) -> Option<Vec<HistoryEntry>>;

    /// The bytes of the mark.
    fn mark(&self) -> Vec<u8>;

    /// Overwrites the mark.
    fn write_mark(&self, bytes: &[u8]);
}

fn with_disk<T>(act: impl FnOnce(&dyn Disk) -> T) -> Option<T> {
    let stage = stage()?;
    stage.disk().map(act)
}

pub(crate) fn is_there() -> bool {
    with_disk(|_| ()).is_some()
}

/// What the disk says, of which there is none where nobody has one.
fn done<T>(path: &Path, said: Option<Result<T, StoreErrorKind>>) -> Result<T, StoreError> {
    let said = said.unwrap_or(Err(StoreErrorKind::Missing));
    said.map_err(|kind| StoreError::stand_in(kind, path))
}

/// In place of the store.
pub(crate) struct Store {
    path: PathBuf,
    last_seq: u64,
}

impl Store {
    pub(crate) fn open(path: &Path) -> Result<(Self, Opened), StoreError> {
        let (last_seq, plugins) = done(path, with_disk(|disk| disk.open()))?;
        let store = Self {
            path: path.to_owned(),
            last_seq,
        };
        let opened = Opened {
            created: last_seq == 0,
            migrated_from: None,
            last_seq,
            plugins,
            last_run: None,
        };
        Ok((store, opened))
    }

    pub(crate) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    pub(crate) fn append(&mut self, batch: &Batch) -> Result<(), StoreError> {
        batch.check(self.last_seq, &self.path)?;
        done(&self.path, with_disk(|disk| disk.append(batch)))?;
        self.last_seq = batch.last_seq;
        Ok(())
    }

    pub(crate) fn forget(&mut self, id: &PluginId) -> Result<(), StoreError> {
        done(&self.path, with_disk(|disk| disk.forget(id)))
    }

    /// There is room for all of a run.
    pub(crate) fn retain(
        &mut self,
        _: Duration,
        _: u64,
        _: WallTime,
    ) -> Result<Retained, StoreError> {
        let done = true;
        Ok(Retained {
            done,
            ..Retained::default()
        })
    }

    pub(crate) fn close(self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// In place of who reads the store.
pub(crate) struct Reader {
    path: PathBuf,
}

impl Reader {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let path = path.to_owned();
        Ok(Self { path })
    }

    pub(crate) fn query(
        &mut self,
        filter: &HistoryFilter,
        up_to: u64,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let said = with_disk(|disk| disk.query(filter, up_to).ok_or(StoreErrorKind::Missing));
        done(&self.path, said)
    }

    /// Nothing leaves this disk by age or size.
    pub(crate) fn lost(&mut self, _: &HistoryFilter) -> Result<u64, StoreError> {
        Ok(0)
    }
}

/// Nothing is damaged here, so nothing is set aside.
pub(crate) fn set_aside(path: &Path, _: WallTime) -> Result<PathBuf, StoreError> {
    Err(StoreError::stand_in(StoreErrorKind::Other, path))
}

/// In place of the file of the mark.
pub(crate) struct MarkFile;

impl MarkFile {
    pub(crate) fn open(_: &Path) -> io::Result<Self> {
        Ok(Self)
    }

    fn bytes() -> Vec<u8> {
        with_disk(|disk| disk.mark()).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> io::Result<u64> {
        Ok(Self::bytes().len() as u64)
    }

    pub(crate) fn read(&self, into: &mut [u8]) -> io::Result<()> {
        let bytes = Self::bytes();
        if bytes.len() < into.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        into.copy_from_slice(&bytes[..into.len()]);
        Ok(())
    }

    pub(crate) fn overwrite(&self, bytes: &[u8]) -> io::Result<()> {
        with_disk(|disk| disk.write_mark(bytes));
        Ok(())
    }
}
