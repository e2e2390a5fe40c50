//! Legal transitions only: each is in the table, and begins where the one before of its plugin ended.

use std::collections::{HashMap, HashSet};

use plugin_engine_core::{Cause, PluginState, next_state};
use plugin_engine_wire::{Mark, Transition};

use super::entry::Entry;

/// The state that each plugin is in, as its entries say; `None` where some of them are missing.
#[derive(Default)]
pub(crate) struct Moves {
    states: HashMap<String, Option<PluginState>>,
    /// The newest generation of each plugin, and the number of the entry that showed it.
    generations: HashMap<String, (u32, u64)>,
    /// Those that were forgotten, and whose generations have not begun anew yet: what was on its way then is still of the old ones.
    forgotten: HashSet<String>,
}

impl Moves {
    pub(crate) fn take(&mut self, entry: &Entry) -> Option<String> {
        match entry {
            Entry::Transition(transition) => self.transition(transition),
            Entry::Mark(Mark::Started { .. }) => {
                self.states.clear();
                None
            }
            Entry::Mark(Mark::Folded { id, .. } | Mark::Gap { id, .. }) => {
                self.states.insert(id.clone(), None);
                None
            }
            Entry::Mark(_) => None,
        }
    }

    /// Nothing is known any more of where the plugins stand, because something was not seen.
    pub(crate) fn lose_track(&mut self) {
        self.states.values_mut().for_each(|state| *state = None);
    }

    /// A process begins that knows only what was durable up to this number: generations that came later may come again.
    pub(crate) fn begun(&mut self, durable: u64) {
        self.generations
            .retain(|_, (_, shown_by)| *shown_by <= durable);
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.generations.remove(id);
        self.forgotten.insert(id.to_owned());
        self.states.insert(id.to_owned(), None);
    }

    fn transition(&mut self, entry: &Transition) -> Option<String> {
        let Transition {
            seq,
            id,
            cause,
            from,
            to,
            generation,
            ..
        } = entry;
        let named = (
            from.parse::<PluginState>(),
            cause.parse::<Cause>(),
            to.parse::<PluginState>(),
        );
        let (Ok(from), Ok(cause), Ok(to)) = named else {
            return Some(format!(
                "{seq} {id}: no such states or cause: {from} by {cause} to {to}"
            ));
        };
        let known = self.states.insert(id.clone(), Some(to));
        let before = known.unwrap_or(Some(PluginState::Unloaded));
        if next_state(from, cause) != Some(to) {
            return Some(format!(
                "{seq} {id}: {from} by {cause} to {to} is not in the table"
            ));
        }
        if before.is_some_and(|before| before != from) {
            let before = before?;
            return Some(format!(
                "{seq} {id}: leaves {from} by {cause}, and was {before}"
            ));
        }
        let error = entry.error.as_ref();
        if cause == Cause::UpdateTimedOut
            && error.is_none_or(|error| error.kind != "timeout" || !error.recoverable)
        {
            return Some(format!("{seq} {id}: timed out with the error {error:?}"));
        }
        // What comes late may be of a generation before.
        let is_of_now = matches!(
            cause,
            Cause::UpdateStarted | Cause::Created | Cause::Reloaded
        );
        let (newest, shown_by) = self.generations.entry(id.clone()).or_default();
        if is_of_now && generation < newest && self.forgotten.remove(id) {
            (*newest, *shown_by) = (*generation, *seq);
        }
        if is_of_now && generation < newest && cause != Cause::UpdateStarted {
            return Some(format!(
                "{seq} {id}: {cause} has generation {generation}, after {newest}"
            ));
        }
        if *generation > *newest {
            (*newest, *shown_by) = (*generation, *seq);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::forged::{self, transition};
    use super::*;

    fn problem(moves: &[(&str, &str, &str)]) -> Option<String> {
        let mut table = Moves::default();
        let mut seq = 0;
        moves.iter().find_map(|(from, cause, to)| {
            seq += 1;
            let mut entry = transition(seq, 0, "a", from, cause, to);
            if *cause == "update_timed_out" {
                entry.error = Some(forged::fault("timeout", true));
            }
            table.take(&forged::entry(entry))
        })
    }

    #[test]
    fn a_generation_that_was_not_durable_may_come_again_and_one_that_was_may_not() {
        let again = |durable| {
            let mut table = Moves::default();
            for (seq, generation) in [(1, 4), (2, 5)] {
                let mut entry = transition(seq, 0, "a", "Enabled", "reloaded", "Enabled");
                entry.generation = generation;
                table.states.insert("a".to_owned(), None);
                assert_eq!(table.take(&forged::entry(entry)), None);
            }
            table.begun(durable);
            table.states.insert("a".to_owned(), None);
            let mut entry = transition(9, 0, "a", "Enabled", "reloaded", "Enabled");
            entry.generation = 4;
            table.take(&forged::entry(entry))
        };
        assert_eq!(again(1), None);
        assert!(again(2).unwrap().contains("generation 4, after 5"));
    }

    #[test]
    fn a_plugin_that_was_forgotten_begins_anew_once_also_if_an_old_entry_comes_late() {
        let mut table = Moves::default();
        let take = |table: &mut Moves, seq, generation| {
            table.states.insert("a".to_owned(), None);
            let mut entry = transition(seq, 0, "a", "Enabled", "reloaded", "Enabled");
            entry.generation = generation;
            table.take(&forged::entry(entry))
        };
        assert_eq!(take(&mut table, 1, 7), None);
        table.forget("a");
        assert_eq!(take(&mut table, 2, 8), None);
        assert_eq!(take(&mut table, 3, 1), None);
        assert_eq!(take(&mut table, 4, 2), None);
        assert!(take(&mut table, 5, 1).is_some());
    }

    const UP: [(&str, &str, &str); 3] = [
        ("Unloaded", "mapped", "Loaded"),
        ("Loaded", "created", "Enabled"),
        ("Enabled", "update_started", "Running"),
    ];

    #[test]
    fn moves_of_the_table_one_after_another_are_good() {
        assert_eq!(problem(&UP), None);
    }

    #[test]
    fn a_timeout_that_ends_in_error_is_found() {
        let moves = [&UP[..], &[("Running", "update_timed_out", "Error")]].concat();
        assert!(problem(&moves).unwrap().contains("is not in the table"));
    }

    #[test]
    fn a_timeout_without_its_error_is_found() {
        let mut table = Moves::default();
        for (n, (from, cause, to)) in UP.iter().enumerate() {
            table.take(&forged::entry(transition(
                n as u64, 0, "a", from, cause, to,
            )));
        }
        let entry = transition(9, 0, "a", "Running", "update_timed_out", "Enabled");
        assert!(
            table
                .take(&forged::entry(entry))
                .unwrap()
                .contains("timed out with the error None")
        );
    }

    #[test]
    fn a_transition_that_begins_where_none_ended_is_found() {
        assert!(
            problem(&[("Loaded", "created", "Enabled")])
                .unwrap()
                .contains("and was Unloaded")
        );
        let moves = [&UP[..], &[("Enabled", "update_started", "Running")]].concat();
        assert!(problem(&moves).unwrap().contains("and was Running"));
    }

    #[test]
    fn a_cause_that_there_is_not_is_found() {
        assert!(
            problem(&[("Unloaded", "by_magic", "Enabled")])
                .unwrap()
                .contains("no such")
        );
    }

    #[test]
    fn a_generation_that_goes_back_is_found() {
        let mut table = Moves::default();
        let mut entry = transition(1, 0, "a", "Unloaded", "mapped", "Loaded");
        entry.generation = 7;
        assert_eq!(table.take(&forged::entry(entry)), None);
        let mut entry = transition(2, 0, "a", "Loaded", "created", "Enabled");
        entry.generation = 6;
        assert!(
            table
                .take(&forged::entry(entry))
                .unwrap()
                .contains("generation 6, after 7")
        );
    }

    #[test]
    fn after_a_start_all_begin_unloaded_and_after_a_gap_anywhere() {
        let mut table = Moves::default();
        for (from, cause, to) in UP {
            table.take(&forged::entry(transition(1, 0, "a", from, cause, to)));
        }
        table.take(&Entry::Mark(Mark::Gap {
            seq: 5,
            first_seq: 4,
            at: forged::time(0),
            id: "a".to_owned(),
            count: 2,
        }));
        let entry = transition(6, 0, "a", "Error", "reset", "Enabled");
        assert_eq!(table.take(&forged::entry(entry)), None);
        table.take(&Entry::Mark(Mark::Started {
            seq: 7,
            at: forged::time(0),
            pid: 1,
            version: String::new(),
            lost: None,
        }));
        let entry = transition(8, 0, "a", "Unloaded", "mapped", "Loaded");
        assert_eq!(table.take(&forged::entry(entry)), None);
    }
}
