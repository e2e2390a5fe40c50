//! Taking what of one plugin's history is to be written to where it outlives the process.

use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::PluginId;
use plugin_engine_history_store::{Change, Entry as Stored, Folded, Gap, PluginEntries, Update};

use super::unsaved::{Sum, Sums, Taken};
use super::{Entry, NotableEntry, PlainUpdate, PluginHistory};

/// What is to be written of one plugin.
pub(crate) struct Unsaved {
    /// By generation, the older one first.
    pub(crate) entries: Vec<PluginEntries>,
    /// Whether there are entries with larger numbers than were asked for.
    pub(crate) has_more: bool,
}

impl PluginHistory {
    /// From now on what is entered is to be written.
    pub(crate) fn write_from_now_on(&mut self) {
        self.taken = Taken(0);
    }

    /// Takes what is to be written and has a number up to `boundary`, which was drawn for all plugins.
    pub(crate) fn take_unsaved(&mut self, id: &PluginId, boundary: u64) -> Unsaved {
        let taken = self.taken.0;
        let is_wanted = |seq: u64| seq > taken && seq <= boundary;
        let mut entries: Vec<Stored> = Vec::new();
        let plain = &self.routine.entries;
        let first = plain.partition_point(|update| update.last_seq() <= taken);
        for update in plain.range(first..) {
            if update.start_seq > boundary {
                break;
            }
            match (is_wanted(update.start_seq), is_wanted(update.end_seq)) {
                (true, true) => entries.push(Stored::Update(stored_update(update))),
                (true, false) => entries.extend(update.half(0).as_ref().map(stored)),
                (false, true) => entries.extend(update.half(1).as_ref().map(stored)),
                (false, false) => {}
            }
        }
        let other = &self.rest.notable.entries;
        let first = other.partition_point(|notable| notable.entry.seq <= taken);
        for NotableEntry { entry, error } in other.range(first..) {
            if entry.seq > boundary {
                break;
            }
            let mut change = change(entry);
            change.error.clone_from(error);
            entries.push(Stored::Change(change));
        }
        let newest = plain.back().map(PlainUpdate::last_seq);
        let notable = other.back().map(|notable| notable.entry.seq);
        let has_more = newest.max(notable).is_some_and(|newest| newest > boundary);

        let Sums { folded, lost } = self.rest.left.take(boundary);
        entries.extend(folded.map(|sum| Stored::Folded(stored_fold(&sum))));
        entries.extend(lost.map(|sum| Stored::Gap(stored_gap(&sum))));
        // Each ring is in order already.
        entries.sort_by_key(Stored::seq);
        self.taken = Taken(taken.max(boundary));
        Unsaved {
            entries: self.by_generation(id, entries),
            has_more,
        }
    }

    fn by_generation(&self, id: &PluginId, entries: Vec<Stored>) -> Vec<PluginEntries> {
        let mut groups: Vec<PluginEntries> = Vec::new();
        for entry in entries {
            let found = self.generation_at(entry.seq());
            let generation = found.map_or(0, |(generation, _)| generation);
            match groups.last_mut() {
                Some(group) if group.generation == generation => group.entries.push(entry),
                _ => groups.push(PluginEntries {
                    id: id.clone(),
                    generation,
                    version: found.map(|(_, version)| Arc::clone(version)),
                    entries: vec![entry],
                }),
            }
        }
        groups
    }
}

fn stored_update(update: &PlainUpdate) -> Update {
    Update {
        start_seq: update.start_seq,
        end_seq: update.end_seq,
        at: update.at,
        duration: Duration::from_nanos(update.duration_ns),
    }
}

fn stored(entry: &Entry) -> Stored {
    Stored::Change(change(entry))
}

fn change(entry: &Entry) -> Change {
    Change {
        seq: entry.seq,
        at: entry.at,
        from: entry.from,
        to: entry.to,
        cause: entry.cause,
        error: None,
        duration: (entry.duration_ns != u64::MAX).then(|| Duration::from_nanos(entry.duration_ns)),
    }
}

fn stored_fold(sum: &Sum) -> Folded {
    Folded {
        first_seq: sum.first_seq,
        last_seq: sum.last_seq,
        transitions: sum.transitions,
        updates: sum.completions,
        first_at: sum.first_at,
        last_at: sum.last_at,
        total_duration: Duration::from_nanos(sum.total_ns),
    }
}

fn stored_gap(sum: &Sum) -> Gap {
    Gap {
        first_seq: sum.first_seq,
        last_seq: sum.last_seq,
        count: sum.transitions,
        first_at: sum.first_at,
        last_at: sum.last_at,
    }
}
