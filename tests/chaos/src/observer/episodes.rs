//! H2: a plugin that becomes unhealthy is told exactly once, and again only after that episode is over.

use std::collections::{BTreeMap, HashMap};

use plugin_engine_wire::{Event, Mark, Transition};

use super::entry::Entry;
use crate::moment::{self, Micros, SECOND};
use crate::roster::sentinel;

/// How long an event may take to be seen.
const PATIENCE: Micros = 10 * SECOND;

/// An entry and its event are of one moment, or nearly so: the wall clock of either may be followed in between.
const SAME: Micros = 50_000;

/// Entries that end an episode, of any plugin: it recovered, was reset, or its code or instance is another one.
const ENDS: [&str; 9] = [
    "recovered",
    "reset",
    "reloaded",
    "rolled_back",
    "unloaded",
    "file_removed",
    "mapped",
    "switched_on",
    "replaced",
];

/// What is known of the episodes of this process.
#[derive(Default)]
pub(crate) struct Episodes {
    /// Events by their numbers.
    events: BTreeMap<u64, (String, Micros)>,
    /// When an episode of each plugin ended, if any did.
    ends: HashMap<String, Vec<Micros>>,
    /// Sentinels whose episode began, with when, until an event is seen.
    begun: HashMap<&'static str, Micros>,
    /// Sentinels that are in an episode.
    inside: HashMap<&'static str, Micros>,
}

impl Episodes {
    /// Nothing is known any more of what began and ended.
    pub(crate) fn lose_track(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn take(&mut self, entry: &Entry) {
        match entry {
            Entry::Transition(transition) => self.transition(transition),
            Entry::Mark(Mark::Started { .. }) => self.lose_track(),
            Entry::Mark(Mark::Gap { .. }) => self.lose_track(),
            Entry::Mark(_) => {}
        }
    }

    fn transition(&mut self, entry: &Transition) {
        let at = moment::of(entry.at);
        if ENDS.contains(&&*entry.cause) {
            self.ends.entry(entry.id.clone()).or_default().push(at);
        }
        let Some(one) = sentinel(&entry.id) else {
            return;
        };
        match &*entry.cause {
            "unhealthy" | "turned_unhealthy" => {
                let is_within = self.inside.insert(one.id, at).is_some();
                if !is_within {
                    self.begun.insert(one.id, at);
                }
            }
            "recovered" | "reset" => {
                self.inside.remove(one.id);
            }
            _ => {}
        }
    }

    /// Takes an event `plugin.<id>.unhealthy`, however often it is told.
    pub(crate) fn event(&mut self, event: &Event) -> Option<String> {
        let id = event.id.clone()?;
        let at = moment::of(event.at);
        if event.topic != format!("plugin.{id}.unhealthy") {
            return Some(format!("the topic {} is said to be of {id}", event.topic));
        }
        self.events.insert(event.seq, (id, at));
        None
    }

    /// Everything up to now was taken: what was told twice, and what was not.
    pub(crate) fn look(&mut self, now: Micros) -> Vec<String> {
        let mut problems = Vec::new();
        let mut last: HashMap<&str, (u64, Micros)> = HashMap::new();
        for (seq, (id, at)) in &self.events {
            if let Some((before, told)) = last.insert(id, (*seq, *at)) {
                let ends = self.ends.get(id).map_or(&[][..], Vec::as_slice);
                let is_over = ends
                    .iter()
                    .any(|end| *end + SAME >= told && *end <= *at + SAME);
                if !is_over {
                    problems.push(format!(
                        "{id} is told to be unhealthy by {before} and {seq} in one episode"
                    ));
                }
            }
        }
        // Each pair is judged once; the newest of each plugin is still needed.
        let newest: Vec<u64> = last.values().map(|(seq, _)| *seq).collect();
        self.events.retain(|seq, _| newest.contains(seq));
        let events = &self.events;
        let mut missed = Vec::new();
        self.begun.retain(|id, begun| {
            let told = events
                .values()
                .any(|(of, at)| of == id && *at + SAME >= *begun);
            if !told && now > *begun + PATIENCE {
                missed.push(format!("{id} became unhealthy, and no event says so"));
                return false;
            }
            !told
        });
        problems.extend(missed);
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::forged::{self, transition};
    use super::*;

    const T: Micros = 1_000 * SECOND;

    fn event(seq: u64, at: Micros) -> Event {
        Event {
            seq,
            at: forged::time(at),
            topic: "plugin.panics-on.unhealthy".to_owned(),
            id: Some("panics-on".to_owned()),
            payload: String::new(),
        }
    }

    fn entry(at: Micros, cause: &str) -> Entry {
        forged::entry(transition(1, at, "panics-on", "", cause, ""))
    }

    #[test]
    fn one_event_for_each_episode_is_good() {
        let mut episodes = Episodes::default();
        for (n, at) in [(1, T), (2, T + 20 * SECOND)] {
            episodes.take(&entry(at, "turned_unhealthy"));
            episodes.event(&event(n, at));
            episodes.event(&event(n, at));
            episodes.take(&entry(at + SECOND, "turned_unhealthy"));
            episodes.take(&entry(at + 10 * SECOND, "recovered"));
        }
        assert_eq!(episodes.look(T + 60 * SECOND), [""; 0]);
    }

    #[test]
    fn a_second_event_in_one_episode_is_found() {
        let mut episodes = Episodes::default();
        episodes.take(&entry(T, "turned_unhealthy"));
        episodes.event(&event(1, T));
        episodes.event(&event(2, T + SECOND));
        assert!(episodes.look(T + 2 * SECOND)[0].contains("by 1 and 2 in one episode"));
        assert_eq!(episodes.look(T + 3 * SECOND), [""; 0], "told once");
    }

    #[test]
    fn an_episode_without_an_event_is_found() {
        let mut episodes = Episodes::default();
        episodes.take(&entry(T, "turned_unhealthy"));
        assert_eq!(episodes.look(T + SECOND), [""; 0]);
        assert!(episodes.look(T + 11 * SECOND)[0].contains("no event says so"));
        assert_eq!(episodes.look(T + 12 * SECOND), [""; 0], "told once");
    }

    #[test]
    fn an_event_of_another_topic_is_found() {
        let mut other = event(1, T);
        other.id = Some("b".to_owned());
        assert!(Episodes::default().event(&other).is_some());
    }
}
