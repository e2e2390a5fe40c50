//! Which entries of one plugin a question takes. Made under the lock of the plugin, so what many entries share is not copied for each of them: a plugin is kept
//! from its update for no longer than it takes to copy a few words an entry. Never in which order they are shown.

use plugin_engine_core::{Cause, HistoryFilter, PluginId, PluginState};

use super::{Entry, Found, NotableEntry, PlainUpdate, PluginHistory};

/// What a question takes of good updates, all of which are the same two moves.
struct Wanted {
    starts: bool,
    completions: bool,
    /// Whether nothing but the number is asked of them.
    any: bool,
    after: u64,
    up_to: u64,
}

impl Wanted {
    fn by(filter: &HistoryFilter, up_to: u64) -> Self {
        use PluginState::{Enabled, Running};
        let takes = |from, to, cause| !filter.errors_only && filter.takes_move(from, to, cause);
        let starts = takes(Enabled, Running, Cause::UpdateStarted);
        let completions = takes(Running, Enabled, Cause::UpdateCompleted);
        let any_time = filter.since.is_none() && filter.until.is_none();
        Self {
            starts,
            completions,
            any: starts && completions && any_time && filter.generations.is_none(),
            after: filter.after.unwrap_or(0),
            up_to,
        }
    }

    /// Whether all of an update is taken, by its numbers alone.
    #[inline]
    fn takes_all_of(&self, update: &PlainUpdate) -> bool {
        self.any && update.first_seq() > self.after && update.last_seq() <= self.up_to
    }
}

impl PluginHistory {
    /// The entries that `filter` takes, of those with a number up to `up_to`, and no more than may be wanted in its order. Of which plugin they are is not asked.
    pub(crate) fn query(&self, id: &PluginId, filter: &HistoryFilter, up_to: u64) -> Found {
        let updates = self.updates_for(filter, up_to);
        let changes = self.changes_for(filter, up_to);
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
    fn updates_for(&self, filter: &HistoryFilter, up_to: u64) -> Vec<PlainUpdate> {
        let wanted = Wanted::by(filter, up_to);
        let mut found = Vec::new();
        if !(wanted.starts || wanted.completions) || filter.limit() == 0 {
            return found;
        }
        let all = &self.routine.entries;
        // What is not after the number asked for is not even looked at.
        let first = all.partition_point(|update| update.last_seq() <= wanted.after);
        if wanted.any {
            // Elsewhere room is not made beforehand: a filter may take next to nothing, of very many plugins.
            found.reserve_exact((all.len() - first).min(filter.limit()));
        }
        let mut left = filter.limit();
        let mut keep = |update: &PlainUpdate| {
            let taken = if wanted.takes_all_of(update) {
                *update
            } else {
                let takes = |half: Option<Entry>| {
                    half.is_some_and(|half| self.is_taken(&half, false, filter, up_to))
                };
                update.only(takes(update.half(0)), takes(update.half(1)))
            };
            let transitions = taken.transitions();
            if transitions > 0 {
                found.push(taken);
                left = left.saturating_sub(transitions);
            }
            left > 0
        };
        if filter.newest_first {
            all.range(first..).rev().all(&mut keep);
            found.reverse();
        } else {
            all.range(first..).all(&mut keep);
        }
        found
    }

    /// All other entries, oldest first.
    fn changes_for(&self, filter: &HistoryFilter, up_to: u64) -> Vec<NotableEntry> {
        let all = &self.notable.entries;
        let after = filter.after.unwrap_or(0);
        let first = all.partition_point(|notable| notable.entry.seq <= after);
        let taken = |notable: &&NotableEntry| {
            self.is_taken(&notable.entry, notable.error.is_some(), filter, up_to)
        };
        let wanted = all.range(first..);
        if filter.newest_first {
            let newest = wanted.rev().filter(taken).take(filter.limit());
            let mut found: Vec<_> = newest.cloned().collect();
            found.reverse();
            found
        } else {
            let oldest = wanted.filter(taken).take(filter.limit());
            oldest.cloned().collect()
        }
    }

    fn is_taken(&self, entry: &Entry, has_error: bool, filter: &HistoryFilter, up_to: u64) -> bool {
        entry.seq <= up_to
            && filter.takes_seq(entry.seq)
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
