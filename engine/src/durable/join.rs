//! Joins what is in memory with what is on disk, without a gap and without a double.
//!
//! In memory everything above a number is there, the floor; up to that number the disk is asked. Who looks into the memory first, then at what is held to be
//! written, and then at the disk, misses nothing: an entry leaves each of these only once it is in the next.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use plugin_engine_core::{HistoryFilter, Transition};
use plugin_engine_history_store::{Batch, HistoryEntry, StoreError, StoreErrorKind};

use super::Durable;
use super::disk::Reader;
use crate::query::{HistoryAnswer, HistoryMark};
use crate::waiting;

/// How many readers are kept open for the next questions.
const READERS_MAX: usize = 4;

/// What memory says to a question.
pub(crate) struct InMemory {
    /// In the order asked for, already cut to the limit.
    pub(crate) entries: Vec<Transition>,
    /// Everything above this number is in memory, of all plugins that were asked for.
    pub(crate) floor: u64,
    /// Above which number it was asked for entries.
    pub(crate) after: u64,
    /// Up to which number memory was looked at.
    pub(crate) last_seq: u64,
}

impl Durable {
    /// What is to be asked of memory, so that the rest can come from the disk.
    ///
    /// Newest first memory may have all that is wanted. Oldest first it is asked only for what is not on disk yet, and for all of that: how far memory reaches
    /// back differs from plugin to plugin, so a limit would cut it short at different numbers.
    pub(crate) fn of_memory(&self, filter: &HistoryFilter) -> HistoryFilter {
        let mut filter = filter.clone();
        if !filter.newest_first {
            let on_disk = self.durable_seq.load(Ordering::Acquire);
            filter.after = filter.after.max(Some(on_disk));
            filter.limit = None;
        }
        filter
    }

    /// The answer of memory, held entries and disk together.
    pub(crate) fn join(&self, filter: &HistoryFilter, memory: InMemory) -> HistoryAnswer {
        let mut floor = memory.floor.max(self.started_seq);
        if !filter.newest_first {
            floor = floor.max(memory.after);
        }
        let mut entries = memory.entries;
        entries.retain(|entry| entry.seq > floor);
        if filter.newest_first {
            entries.truncate(filter.limit());
        }
        let mut answer = HistoryAnswer {
            entries,
            marks: Vec::new(),
            last_seq: memory.last_seq,
            lost: 0,
            problem: None,
        };
        let limit = filter.limit();
        let is_complete = filter.newest_first && answer.entries.len() >= limit;
        if is_complete || filter.after.is_some_and(|after| after >= floor) {
            return answer;
        }
        let held = waiting::take_turn(&self.held).clone();
        let mut older = match self.older(filter, held.as_deref(), floor) {
            Ok((older, lost)) => {
                answer.lost = lost;
                older
            }
            Err(error) => {
                answer.problem = Some(error.to_string());
                Vec::new()
            }
        };
        if let Some(held) = held {
            let from_held = held.history_entries(filter);
            let wanted = from_held.into_iter().filter(|entry| entry.seq() <= floor);
            if filter.newest_first {
                let mut newer: Vec<_> = wanted.collect();
                newer.append(&mut older);
                older = newer;
            } else {
                older.extend(wanted);
            }
        }
        let mut transitions = Vec::new();
        for entry in older {
            match HistoryMark::of(entry) {
                Ok(mark) => answer.marks.push(mark),
                Err(transition) => transitions.push(transition),
            }
        }
        let memory = &mut answer.entries;
        if filter.newest_first {
            memory.append(&mut transitions);
        } else {
            transitions.append(memory);
            *memory = transitions;
        }
        memory.truncate(limit);
        // What stands behind the last entry belongs to the next question.
        if let Some(last) = memory.last().filter(|_| memory.len() == limit) {
            let is_before = |seq| match filter.newest_first {
                true => seq > last.seq,
                false => seq < last.seq,
            };
            answer.marks.retain(|mark| is_before(mark.seq()));
        }
        answer
    }

    /// What the disk says, up to the floor and before what is held. With it how much has left the disk.
    fn older(
        &self,
        filter: &HistoryFilter,
        held: Option<&Batch>,
        floor: u64,
    ) -> Result<(Vec<HistoryEntry>, u64), StoreError> {
        let up_to = held.map_or(floor, |held| floor.min(held.first_seq - 1));
        let kept = self.readers.lock().pop();
        let mut reader = match kept {
            Some(reader) => reader,
            None => match Reader::open(&self.file) {
                // Nothing was ever written.
                Err(error) if error.kind() == StoreErrorKind::Missing => {
                    return Ok((Vec::new(), 0));
                }
                opened => opened?,
            },
        };
        let found = with_marks(&mut reader, filter, up_to)?;
        let lost = reader.lost(filter)?;
        // One that had trouble is not kept.
        let mut readers = self.readers.lock();
        if readers.len() < READERS_MAX {
            readers.push(reader);
        }
        Ok((found, lost))
    }
}

/// Asks for as many transitions as the limit says, and the marks between them, which do not count.
fn with_marks(
    reader: &mut Reader,
    filter: &HistoryFilter,
    up_to: u64,
) -> Result<Vec<HistoryEntry>, StoreError> {
    let mut asked = filter.clone();
    loop {
        let found = reader.query(&asked, up_to)?;
        let is_mark = |entry: &&HistoryEntry| !matches!(entry, HistoryEntry::Transition(_));
        let marks = found.iter().filter(is_mark).count();
        let is_all = found.len() < asked.limit();
        if is_all || found.len() - marks >= filter.limit() {
            return Ok(found);
        }
        asked.limit = Some(filter.limit().saturating_add(marks));
    }
}

/// Keeps the compiler honest about who shares the history on disk.
const _: fn() = || {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Arc<Durable>>();
};
