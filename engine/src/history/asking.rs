//! Which entries of one plugin a question takes. Made under the lock of the plugin, so what many entries share is not copied for each of them: a plugin is kept
//! from its update for no longer than it takes to copy a few words an entry. Never in which order they are shown.

use std::ops::Range;

use plugin_engine_core::{Cause, HistoryFilter, PluginId, PluginState};

use super::{Entry, Found, NotableEntry, PlainUpdate, PluginHistory};

/// What a question asks of entries beside their numbers, looked at once.
struct Wanted {
    /// Whether nothing is.
    any: bool,
    /// Whether starts of good updates may be wanted.
    starts: bool,
    /// And their completions.
    completions: bool,
    /// Only what has a larger number.
    after: u64,
    up_to: u64,
}

impl Wanted {
    fn by(filter: &HistoryFilter, up_to: u64) -> Self {
        use PluginState::{Enabled, Running};
        let takes = |from, to, cause| !filter.errors_only && filter.takes_move(from, to, cause);
        let any_move = filter.from_states.is_empty()
            && filter.to_states.is_empty()
            && filter.causes.is_empty();
        let any_time = filter.since.is_none() && filter.until.is_none();
        Self {
            any: any_move && any_time && !filter.errors_only && filter.generations.is_none(),
            starts: takes(Enabled, Running, Cause::UpdateStarted),
            completions: takes(Running, Enabled, Cause::UpdateCompleted),
            after: filter.after.unwrap_or(0),
            up_to,
        }
    }

    fn takes_number(&self, seq: u64) -> bool {
        seq > self.after && seq <= self.up_to
    }
}

impl PluginHistory {
    /// The entries that `filter` takes, of those with a number up to `up_to`, and no more than may be wanted in its order. Of which plugin they are is not asked.
    pub(crate) fn query(&self, id: &PluginId, filter: &HistoryFilter, up_to: u64) -> Found {
        let wanted = Wanted::by(filter, up_to);
        let updates = self.updates_for(filter, &wanted);
        let changes = self.changes_for(filter, &wanted);
        let seqs = [
            updates.first().map(PlainUpdate::first_seq),
            updates.last().map(PlainUpdate::last_seq),
            changes.first().map(|change| change.entry.seq),
            changes.last().map(|change| change.entry.seq),
        ];
        let low = seqs.iter().flatten().min();
        let high = seqs.iter().flatten().max();
        let generations = match (low, high) {
            (Some(&low), Some(&high)) => self.generations_between(low, high),
            _ => Vec::new(),
        };
        Found::new(id.clone(), generations, updates, changes, filter)
    }

    /// Good updates, oldest first; of one whose other half is not taken only the one.
    fn updates_for(&self, filter: &HistoryFilter, wanted: &Wanted) -> Vec<PlainUpdate> {
        if !(wanted.starts || wanted.completions) {
            return Vec::new();
        }
        let all = &self.routine.entries;
        let first = all.partition_point(|update| update.last_seq() <= wanted.after);
        let end = all.partition_point(|update| update.first_seq() <= wanted.up_to);
        let range = first..end.max(first);
        if wanted.any {
            // As many as there would be if each were one transition.
            let mut found: Vec<_> = all.range(nearest(range, filter)).copied().collect();
            for edge in [0, found.len().saturating_sub(1)] {
                if let Some(update) = found.get_mut(edge) {
                    *update = update.only(
                        wanted.takes_number(update.start_seq),
                        wanted.takes_number(update.end_seq),
                    );
                }
            }
            return found;
        }
        let only = |update: &PlainUpdate| {
            let takes = |half: Option<Entry>| {
                half.is_some_and(|half| self.is_taken(&half, false, filter, wanted))
            };
            let only = update.only(takes(update.half(0)), takes(update.half(1)));
            (only.transitions() > 0).then_some(only)
        };
        in_order(all.range(range).filter_map(only), filter)
    }

    /// All other entries, oldest first.
    fn changes_for(&self, filter: &HistoryFilter, wanted: &Wanted) -> Vec<NotableEntry> {
        let all = &self.rest.notable.entries;
        let first = all.partition_point(|notable| notable.entry.seq <= wanted.after);
        let end = all.partition_point(|notable| notable.entry.seq <= wanted.up_to);
        let range = first..end.max(first);
        if wanted.any {
            return all.range(nearest(range, filter)).cloned().collect();
        }
        let taken = all.range(range).filter(|notable| {
            self.is_taken(&notable.entry, notable.error.is_some(), filter, wanted)
        });
        in_order(taken.cloned(), filter)
    }

    fn is_taken(
        &self,
        entry: &Entry,
        has_error: bool,
        filter: &HistoryFilter,
        wanted: &Wanted,
    ) -> bool {
        wanted.takes_number(entry.seq)
            && (has_error || !filter.errors_only)
            && filter.takes_time(entry.at)
            && filter.takes_move(entry.from, entry.to, entry.cause)
            && self.is_of_generation(entry, filter)
    }

    fn is_of_generation(&self, entry: &Entry, filter: &HistoryFilter) -> bool {
        // Looked up only where it is asked for.
        filter.generations.is_none() || {
            let found = self.generation_at(entry.seq);
            filter.takes_generation(found.map_or(0, |(generation, _)| generation))
        }
    }
}

/// The places that come first in the order of the question, as many as it may want.
fn nearest(range: Range<usize>, filter: &HistoryFilter) -> Range<usize> {
    let len = range.len().min(filter.limit());
    if filter.newest_first {
        range.end - len..range.end
    } else {
        range.start..range.start + len
    }
}

/// Those that come first in the order of the question, as many as it may want, oldest first. Room is not made beforehand: a filter may take next to nothing, of
/// very many plugins.
fn in_order<T>(taken: impl DoubleEndedIterator<Item = T>, filter: &HistoryFilter) -> Vec<T> {
    if !filter.newest_first {
        return taken.take(filter.limit()).collect();
    }
    let mut newest: Vec<_> = taken.rev().take(filter.limit()).collect();
    newest.reverse();
    newest
}

impl PlainUpdate {
    /// The smallest number in it.
    pub(super) fn first_seq(&self) -> u64 {
        match self.start_seq {
            0 => self.end_seq,
            start => start,
        }
    }

    /// The update, with those halves only that are said.
    fn only(&self, start: bool, completion: bool) -> Self {
        let mut only = *self;
        if !start && self.start_seq != 0 {
            // Of what has no start, the time is that of the completion.
            only.at = self.half(1).map_or(self.at, |completion| completion.at);
            only.start_seq = 0;
        }
        if !completion {
            only.end_seq = 0;
        }
        only
    }
}
