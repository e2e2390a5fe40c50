//! The history that an engine has left in its state directory.

use std::cell::RefCell;
use std::path::Path;

use plugin_engine::{EngineEnd, HistoryFilter, PluginId, WallTime, Why, WhyInput, explain};
use plugin_engine_history_store::{HistoryEntry, Reader, StoreError, StoreErrorKind};
use plugin_engine_wire::{History, LostNumbers, Mark, Time, Transition};

use crate::client::ClientError;
use crate::output;

/// The name of the file in a state directory.
const FILE: &str = "history.db";
/// How many entries of a plugin are looked at to explain it: the newest. An engine that runs remembers fewer.
const ENTRIES_MAX: usize = 10_000;

/// The history of an engine that is not asked itself.
pub(crate) struct Stored(RefCell<Reader>);

impl Stored {
    /// What is in the state directory, which is said on standard error; `None` if there is no history in it.
    pub(crate) fn open(state_dir: &Path) -> Result<Option<Self>, ClientError> {
        match Reader::open(&state_dir.join(FILE)) {
            Ok(reader) => {
                output::note(format_args!(
                    "no engine runs with the state directory {}; this is from the history in it",
                    state_dir.display()
                ));
                Ok(Some(Self(RefCell::new(reader))))
            }
            Err(error) if error.kind() == StoreErrorKind::Missing => Ok(None),
            Err(error) => Err(unreadable(&error)),
        }
    }

    /// What the history says to a filter.
    pub(crate) fn ask(&self, filter: &HistoryFilter) -> Result<History, ClientError> {
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

impl Stored {
    /// What there is to explain why a plugin was as it was when the engine ended.
    pub(crate) fn explain(&self, id: &PluginId, now: WallTime) -> Result<Why, ClientError> {
        let explained = self.explained(id, now);
        explained.map_err(|error| unreadable(&error))
    }

    fn explained(&self, id: &PluginId, now: WallTime) -> Result<Why, StoreError> {
        let mut reader = self.0.borrow_mut();
        let newest = |filter, limit| HistoryFilter {
            newest_first: true,
            limit: Some(limit),
            ..filter
        };
        let last = reader.query(&newest(HistoryFilter::default(), 1), u64::MAX)?;
        let end = match last.first() {
            Some(HistoryEntry::Stopped(stopped)) => EngineEnd::Stopped { at: stopped.at },
            Some(other) => EngineEnd::Killed {
                last_seen: Some(at(other)),
            },
            None => EngineEnd::Killed { last_seen: None },
        };
        let of_plugin = HistoryFilter::of(id.clone());
        let lost = reader.lost(&of_plugin)?;
        let found = reader.query(&newest(of_plugin, ENTRIES_MAX), u64::MAX)?;
        let entries = found.into_iter().rev().filter_map(|entry| match entry {
            HistoryEntry::Transition(transition) => Some(transition),
            _ => None,
        });
        let known = reader.plugins()?;
        let known = known.iter().map(|row| row.id.as_str());
        let input =
            WhyInput::of_ended_engine(id.as_str(), now, end, entries.collect(), lost, known);
        Ok(explain(&input))
    }
}

/// When it was, or the last of what it stands for.
fn at(entry: &HistoryEntry) -> WallTime {
    match entry {
        HistoryEntry::Transition(entry) => entry.at,
        HistoryEntry::Started(started) => started.at,
        HistoryEntry::Stopped(stopped) => stopped.at,
        HistoryEntry::Folded { folded, .. } => folded.last_at,
        HistoryEntry::Gap { gap, .. } => gap.last_at,
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
