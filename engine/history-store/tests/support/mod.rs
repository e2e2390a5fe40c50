//! Transitions as an engine would make them, from a seed.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{
    CAUSES, CallKind, Cause, Fault, FaultKind, FaultReport, HistoryFilter, PluginId, PluginState,
    STATES, Transition, WallTime,
};
use plugin_engine_history_store::{HistoryEntry, Reader};

/// 2026-01-01.
pub(crate) const START_NS: u64 = 1_767_225_600_000_000_000;

/// A generator of numbers: xorshift, so that a seed gives the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `count`.
    pub(crate) fn below(&mut self, count: u64) -> u64 {
        self.next() % count
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize].clone()
    }
}

pub(crate) fn id(number: u64) -> PluginId {
    PluginId::new(&format!("plugin-{number}")).unwrap()
}

/// The transitions of an engine with some plugins: mostly plain updates, among them everything else that there is.
pub(crate) struct Engine {
    pub(crate) random: Random,
    pub(crate) seq: u64,
    pub(crate) at: u64,
    plugins: Vec<Plugin>,
}

struct Plugin {
    id: PluginId,
    generation: u32,
    version: Option<Arc<str>>,
    running_since: Option<u64>,
}

impl Engine {
    pub(crate) fn new(seed: u64, plugins: u64) -> Self {
        Self {
            random: Random(seed | 1),
            seq: 0,
            at: START_NS,
            plugins: (0..plugins)
                .map(|number| Plugin {
                    id: id(number),
                    generation: 1,
                    version: Some("1.0.0".into()),
                    running_since: None,
                })
                .collect(),
        }
    }

    pub(crate) fn next(&mut self) -> Transition {
        let random = &mut self.random;
        let count = self.plugins.len() as u64;
        let plugin = &mut self.plugins[random.below(count) as usize];
        self.seq += 1;
        // Now and then the wall clock is set back.
        if random.one_in(200) {
            self.at -= random.below(200_000_000);
        } else {
            self.at += random.below(3_000_000);
        }
        let mut transition = Transition {
            seq: self.seq,
            at: WallTime::from_unix_nanos(self.at),
            id: plugin.id.clone(),
            generation: plugin.generation,
            version: plugin.version.clone(),
            from: PluginState::Enabled,
            to: PluginState::Running,
            cause: Cause::UpdateStarted,
            error: None,
            duration: None,
        };
        if random.one_in(40) {
            transition.from = random.one_of(&STATES);
            transition.to = random.one_of(&STATES);
            transition.cause = random.one_of(CAUSES);
            transition.error = (!random.one_in(3)).then(|| fault(random, transition.at));
            transition.duration = random
                .one_in(2)
                .then(|| Duration::from_nanos(random.below(1 << 40)));
        } else if let Some(since) = plugin.running_since.take() {
            (transition.from, transition.to) = (PluginState::Running, PluginState::Enabled);
            transition.cause = Cause::UpdateCompleted;
            transition.duration = Some(Duration::from_nanos(self.at.saturating_sub(since)));
        } else {
            plugin.running_since = Some(self.at);
        }
        if random.one_in(300) {
            plugin.generation += 1;
            plugin.version = random
                .one_in(2)
                .then(|| format!("1.0.{}", plugin.generation).into());
        }
        transition
    }

    pub(crate) fn some(&mut self, count: u64) -> Vec<Transition> {
        (0..count).map(|_| self.next()).collect()
    }
}

fn fault(random: &mut Random, at: WallTime) -> Arc<Fault> {
    let texts = [
        "",
        "it said \"no\"",
        "line\nbreak \u{0} nul, é, \u{1F980} and \u{202e}",
        &"long ".repeat(400),
    ];
    let report = FaultReport {
        kind: random.one_of(&FaultKind::ALL),
        message: random.one_of(&texts).to_owned(),
        type_name: random.one_of(&texts).to_owned(),
        location: random.one_of(&["", "src/lib.rs:1:2"]).to_owned(),
        backtrace: random.one_of(&texts).to_owned(),
    };
    let call = CallKind::from_code(random.below(7) as u8);
    let consecutive = random.below(9) as u32;
    Arc::new(Fault::new(&report, at, call, random.one_in(2), consecutive))
}

/// A question of any kind to the history of an [`Engine`].
pub(crate) fn filter(random: &mut Random, transitions: &[Transition]) -> HistoryFilter {
    let span = transitions.last().map_or(1, |last| last.seq);
    let some_time = |random: &mut Random| {
        let at = random.one_of(transitions).at.as_unix_nanos();
        WallTime::from_unix_nanos(at + random.below(3))
    };
    let mut filter = HistoryFilter::default();
    if !random.one_in(3) {
        // One of them is of a plugin that nobody has heard of.
        filter.ids = (0..=random.below(3)).map(|_| id(random.below(8))).collect();
    }
    if random.one_in(4) {
        let low = random.below(4) as u32;
        filter.generations = Some(low..=low + random.below(3) as u32);
    }
    if random.one_in(3) {
        filter.since = Some(some_time(random));
    }
    if random.one_in(3) {
        filter.until = Some(some_time(random));
    }
    if random.one_in(6) {
        filter.from_states = vec![random.one_of(&STATES), random.one_of(&STATES)];
    }
    if random.one_in(6) {
        filter.to_states = vec![random.one_of(&STATES)];
    }
    if random.one_in(6) {
        filter.causes = vec![random.one_of(CAUSES), Cause::UpdateCompleted];
    }
    filter.errors_only = random.one_in(6);
    if random.one_in(3) {
        filter.after = Some(random.below(span + 2));
    }
    filter.newest_first = random.one_in(2);
    if random.one_in(2) {
        filter.limit = Some(random.below(60) as usize);
    }
    filter
}

/// What a plain list answers.
pub(crate) fn expected(
    transitions: &[Transition],
    filter: &HistoryFilter,
    upto: u64,
) -> Vec<Transition> {
    let mut found: Vec<_> = transitions
        .iter()
        .filter(|transition| transition.seq <= upto && filter.takes(transition))
        .cloned()
        .collect();
    if filter.newest_first {
        found.reverse();
    }
    found.truncate(filter.limit());
    found
}

/// The transitions that a reader answers with.
pub(crate) fn transitions(
    reader: &mut Reader,
    filter: &HistoryFilter,
    upto: u64,
) -> Vec<Transition> {
    let answer = reader.query(filter, upto).unwrap();
    let transitions = answer.into_iter().map(|entry| match entry {
        HistoryEntry::Transition(transition) => transition,
        other => panic!("no transition: {other:?}"),
    });
    transitions.collect()
}
