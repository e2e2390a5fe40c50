//! The history that an engine has left in its state directory.

use std::cell::RefCell;
use std::path::Path;

use plugin_engine::HistoryFilter;
use plugin_engine_history_store::{HistoryEntry, Reader, StoreError, StoreErrorKind};
use plugin_engine_wire::{History, LostNumbers, Mark, Time, Transition};

use crate::client::ClientError;

/// The name of the file in a state directory.
const FILE: &str = "history.db";

/// The history of an engine that is not asked itself.
pub(super) struct Stored(RefCell<Reader>);

impl Stored {
    /// What is in the state directory; `None` if there is no history in it.
    pub(super) fn open(state_dir: &Path) -> Result<Option<Self>, ClientError> {
        match Reader::open(&state_dir.join(FILE)) {
            Ok(reader) => Ok(Some(Self(RefCell::new(reader)))),
            Err(error) if error.kind() == StoreErrorKind::Missing => Ok(None),
            Err(error) => Err(unreadable(&error)),
        }
    }

    /// What the history says to a filter.
    pub(super) fn ask(&self, filter: &HistoryFilter) -> Result<History, ClientError> {
        let mut reader = self.0.borrow_mut();
        let found = reader.query(filter, u64::MAX);
        let mut answer = History {
            lost: reader.lost(filter).map_err(|error| unreadable(&error))?,
            last_seq: reader.last_seq().map_err(|error| unreadable(&error))?,
            ..History::default()
        };
        for entry in found.map_err(|error| unreadable(&error))? {
            match entry {
                HistoryEntry::Transition(entry) => answer.entries.push(Transition::from(&entry)),
                other => answer.marks.push(mark(other)),
            }
        }
        Ok(answer)
    }
}

fn unreadable(error: &StoreError) -> ClientError {
    ClientError::Unreadable(error.to_string())
}

fn mark(entry: HistoryEntry) -> Mark {
    let seq = entry.seq();
    match entry {
        // Those are no marks.
        HistoryEntry::Transition(_) => Mark::Unknown,
        HistoryEntry::Started(started) => Mark::Started {
            seq,
            at: Time(started.at),
            pid: started.pid,
            version: started.version.into(),
            lost: started
                .lost
                .map(|(first, last)| LostNumbers { first, last }),
        },
        HistoryEntry::Stopped(stopped) => Mark::Stopped {
            seq,
            at: Time(stopped.at),
        },
        HistoryEntry::Folded { id, folded, .. } => Mark::Folded {
            seq,
            first_seq: folded.first_seq,
            at: Time(folded.last_at),
            id: id.as_str().to_owned(),
            transitions: folded.transitions,
            updates: folded.updates,
            total_us: u64::try_from(folded.total_duration.as_micros()).unwrap_or(u64::MAX),
        },
        HistoryEntry::Gap { id, gap } => Mark::Gap {
            seq,
            first_seq: gap.first_seq,
            at: Time(gap.last_at),
            id: id.as_str().to_owned(),
            count: gap.count,
        },
    }
}
