//! The observer: asks the engine by nothing but its public interfaces, and judges what it says. It changes nothing.

mod bounds;
mod crashes;
mod entry;
mod episodes;
mod moves;
mod numbers;
mod punctual;
mod rare;
mod retries;
mod snapshots;
mod stored;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plugin_engine_wire::{EngineInfo, Event, Events, History, Mark, Plugins, Snapshot, Transition};

pub(crate) use crashes::End;
use serde::de::DeserializeOwned;

use crate::ask::Way;
use crate::disturbances::{Disturbances, Kind};
use crate::engine::Engine;
use crate::journal::Journal;
use crate::moment::{self, Micros, SECOND};
use crate::site::Site;
use crate::sleeper::Sleeper;
use crashes::Crashes;
use entry::Entry;
use episodes::Episodes;
use moves::Moves;
use numbers::Numbers;
use punctual::{Punctual, allowance};
use retries::Retries;
use snapshots::Snapshots;
use stored::Seen;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many transitions are kept to be compared.
const SEEN_MAX: usize = 50_000;
/// How many entries an answer has at most.
const ENTRIES_MAX: usize = 100_000;
/// How often the history is written, as it is documented, and what a disk may take.
const FLUSH: Micros = 200_000 + SECOND;
/// How often the rarer questions are asked, in rounds.
const RARE: u64 = 5;

/// Events that a stream has brought.
pub(crate) type EventQueue = Arc<Mutex<Vec<(u32, Event)>>>;

pub(crate) struct Observer {
    journal: Arc<Journal>,
    disturbances: Disturbances,
    sleeper: Sleeper,
    way: Way,
    /// The process that runs, with its number.
    process: Option<(u32, u32)>,
    events: EventQueue,
    numbers: Numbers,
    moves: Moves,
    punctual: Punctual,
    retries: Retries,
    episodes: Episodes,
    snapshots: Snapshots,
    crashes: Crashes,
    seen: BTreeMap<u64, Seen>,
    /// The latest transitions, for snapshots to be compared with.
    window: BTreeMap<u64, Transition>,
    /// Up to which number all was told to be durable.
    durable: u64,
    /// Plugins that were forgotten, and how many numbers that may have been.
    forgotten: BTreeSet<String>,
    forgotten_numbers: u64,
    /// How many transitions each plugin has made that may be forgotten.
    counts: BTreeMap<String, u64>,
    /// Whether the numbers of this process were looked at.
    is_begun: bool,
    /// Who was entered as crashed since the last start.
    entered: BTreeSet<String>,
    round: u64,
    last_round: Micros,
    stale_rounds: u32,
    /// Ids that are known, for others to ask for.
    known: Arc<Mutex<Vec<String>>>,
}

impl Observer {
    pub(crate) fn new(
        site: &Site,
        journal: Arc<Journal>,
        sleeper: Sleeper,
        disturbances: Disturbances,
        events: EventQueue,
        known: Arc<Mutex<Vec<String>>>,
    ) -> Self {
        Self {
            way: Way::socket(&site.state()),
            process: None,
            events,
            numbers: Numbers::default(),
            moves: Moves::default(),
            punctual: Punctual::new(sleeper.clone(), disturbances.clone()),
            retries: Retries::new(sleeper.clone(), disturbances.clone()),
            episodes: Episodes::default(),
            snapshots: Snapshots::default(),
            crashes: Crashes::default(),
            seen: BTreeMap::new(),
            window: BTreeMap::new(),
            durable: 0,
            forgotten: BTreeSet::new(),
            forgotten_numbers: 0,
            counts: BTreeMap::new(),
            is_begun: false,
            entered: BTreeSet::new(),
            round: 0,
            last_round: 0,
            stale_rounds: 0,
            journal,
            sleeper,
            disturbances,
            known,
        }
    }

    pub(crate) fn crashes(&mut self) -> &mut Crashes {
        &mut self.crashes
    }

    /// Whether anything durable was seen of a plugin.
    pub(crate) fn has_seen(&self, id: &str) -> bool {
        self.durable > 0 && self.counts.contains_key(id)
    }

    /// A plugin was forgotten just now.
    pub(crate) fn forgot(&mut self, id: &str) {
        self.forgotten.insert(id.to_owned());
        // Beside what was seen of it what came since the last look.
        self.forgotten_numbers += self.counts.remove(id).unwrap_or(0) + 2_000;
        self.moves.forget(id);
        self.snapshots.forget(id);
    }

    /// A process came so far that it says who crashed the one before.
    pub(crate) fn said(&mut self, said: &str) {
        let problems = self.crashes.begun(said);
        self.journal.found_all("crashes", problems);
    }

    /// A start has ended before it answered.
    pub(crate) fn refused(&mut self, said: &str) {
        let problems = self.crashes.refused(said);
        self.journal.found_all("crashes", problems);
    }

    /// A process runs.
    pub(crate) fn begun(&mut self, engine: &Engine) {
        self.process = Some((engine.run, engine.pid()));
        self.snapshots.begun();
        // What was not yet durable may be lost.
        self.seen.split_off(&(self.durable + 1));
        self.moves.begun(self.durable);
        self.is_begun = false;
        self.last_round = moment::now();
    }

    /// The process has ended, and was waited for.
    pub(crate) fn ended(&mut self, end: End, site: &Site) {
        self.process = None;
        self.punctual.ended();
        if let Some(problem) = self.crashes.ended(end) {
            self.journal.found("crashes", problem);
        }
        let now = moment::now();
        if self.disturbances.any(Kind::DiskFull, now - SECOND, now) {
            // To be opened it needs a little room.
            return;
        }
        if !site.history().exists() && self.durable == 0 {
            // It ended before it began.
            return;
        }
        let forgotten = &self.forgotten;
        let checked = stored::check(
            &site.history(),
            &self.seen,
            self.durable,
            self.forgotten_numbers,
            |id| forgotten.contains(id),
        );
        match checked {
            Ok(problems) => self.journal.found_all("stored", problems),
            Err(error) => self
                .journal
                .found("stored", format!("the database cannot be asked: {error}")),
        }
        self.journal.count("databases looked at", 1);
    }

    fn json<T: DeserializeOwned>(&self, path: &str) -> io::Result<T> {
        let reply = self.way.ask("GET", path, PATIENCE)?;
        serde_json::from_slice(&reply.body).map_err(|error| {
            io::Error::other(format!(
                "{path}: {}: {error}: {}",
                reply.status,
                reply.text()
            ))
        })
    }

    /// Asks for everything that is new, and judges it. An error is an engine that does not answer, which it may have every right to.
    pub(crate) fn look(&mut self) -> io::Result<()> {
        let Some((run, pid)) = self.process else {
            return Ok(());
        };
        let begin = moment::now();
        let events: Vec<_> =
            std::mem::take(&mut *self.events.lock().expect("nobody panics with it"));
        let plugins: Plugins = self.json("/plugins")?;
        let kept: Events = self.json("/events?follow=false&pattern=plugin.*.unhealthy")?;
        let answer: History = self.json(&format!("/history?after={}", self.numbers.last))?;
        let info: EngineInfo = self.json("/engine")?;
        if info.pid != pid {
            return Ok(());
        }
        if !self.is_begun {
            self.is_begun = true;
            self.journal.found_all(
                "numbers",
                self.numbers.begun(info.last_seq).into_iter().collect(),
            );
        }
        let is_forgetting = self
            .disturbances
            .any(Kind::Forgetting, self.last_round, moment::now());
        let is_whole = !is_forgetting && answer.entries.len() < ENTRIES_MAX;
        if let Some(problem) = &answer.problem
            && !self
                .disturbances
                .any(Kind::DiskFull, begin - 10 * SECOND, begin)
        {
            self.journal
                .found("history", format!("a part is missing: {problem}"));
        }
        self.take(answer, is_whole);
        let snapshots = &plugins.plugins;
        self.take_snapshots(snapshots);
        let told = kept.events.iter().map(|event| (run, event.clone()));
        for (_, event) in events.into_iter().chain(told).filter(|(of, _)| *of == run) {
            let problem = self.episodes.event(&event);
            self.journal
                .found_all("episodes", problem.into_iter().collect());
        }
        self.judge(begin, snapshots, &info);
        self.last_round = begin;
        self.round += 1;
        self.journal.count("rounds of the observer", 1);
        if self.round.is_multiple_of(RARE) {
            self.look_at_the_rare(pid, snapshots, &info)?;
        }
        Ok(())
    }

    /// Takes entries of the history.
    fn take(&mut self, answer: History, is_whole: bool) {
        let last = answer.last_seq;
        let entries = entry::merged(answer);
        let problems = self.numbers.window(&entries, last, is_whole);
        self.journal.found_all("numbers", problems);
        if !is_whole {
            self.moves.lose_track();
            self.punctual.lose_track(moment::now());
            self.retries.lose_track();
        }
        for entry in &entries {
            if let Some(problem) = self.moves.take(entry) {
                self.journal.found("moves", problem);
            }
            if let Some(problem) = self.punctual.take(entry) {
                self.journal.found("punctual", problem);
            }
            if let Some(problem) = self.retries.take(entry) {
                self.journal.found("retries", problem);
            }
            self.episodes.take(entry);
            match entry {
                Entry::Transition(transition) => self.keep(transition),
                Entry::Mark(Mark::Started { lost, .. }) => {
                    self.entered.clear();
                    self.journal.count("starts entered", 1);
                    self.journal.count(
                        "numbers lost by kills",
                        lost.map_or(0, |lost| lost.last + 1 - lost.first),
                    );
                }
                Entry::Mark(Mark::Folded { transitions, .. }) => {
                    self.journal.count("transitions folded", *transitions);
                }
                Entry::Mark(Mark::Gap { count, .. }) => {
                    self.journal.count("transitions in gaps", *count)
                }
                Entry::Mark(_) => {}
            }
        }
        self.journal.most(
            "worst lateness of a control plugin, ms",
            self.punctual.worst / 1_000,
        );
    }

    fn keep(&mut self, entry: &Transition) {
        if let Some(problem) = self.crashes.take(entry) {
            self.journal.found("crashes", problem);
        }
        self.journal.count("transitions", 1);
        let figure = match &*entry.cause {
            "update_started" => Some("updates started"),
            "update_timed_out" => Some("updates timed out"),
            "update_panicked" => Some("updates panicked"),
            "returned_late" => Some("late returns"),
            "reloaded" => Some("reloads taken"),
            "reload_refused" => Some("reloads refused"),
            "load_failed" => Some("loads refused"),
            "unhealthy" | "turned_unhealthy" => Some("times unhealthy"),
            "quarantined" => Some("quarantines"),
            "crashed" => {
                self.entered.insert(entry.id.clone());
                Some("crashes entered")
            }
            _ => None,
        };
        if let Some(figure) = figure {
            self.journal.count(figure, 1);
        }
        *self.counts.entry(entry.id.clone()).or_default() += 1;
        let seen = Seen {
            at: moment::of(entry.at),
            id: entry.id.clone(),
            cause: entry.cause.to_string(),
            to: entry.to.to_string(),
        };
        self.seen.insert(entry.seq, seen);
        if self.seen.len() > SEEN_MAX {
            self.seen.pop_first();
        }
        self.window.insert(entry.seq, entry.clone());
    }

    fn take_snapshots(&mut self, snapshots: &[Snapshot]) {
        for one in snapshots {
            let problems = self.snapshots.take(one);
            self.journal.found_all("snapshots", problems);
            if let Some(entry) = self.window.get(&one.seq)
                && let Some(problem) = Snapshots::compare(one, entry)
            {
                self.journal.found("snapshots", problem);
            }
        }
        // What is older stands in snapshots that were compared already.
        while self.window.len() > 5_000 {
            self.window.pop_first();
        }
        self.journal
            .count("snapshots compared", snapshots.len() as u64);
        let ids = snapshots.iter().map(|one| one.id.clone()).collect();
        *self.known.lock().expect("nobody panics with it") = ids;
    }

    /// Judges what should have happened up to the begin of this round.
    fn judge(&mut self, begin: Micros, snapshots: &[Snapshot], info: &EngineInfo) {
        let journal = Arc::clone(&self.journal);
        journal.found_all("punctual", self.punctual.look(begin));
        journal.found_all("retries", self.retries.look(begin));
        journal.found_all("episodes", self.episodes.look(begin));
        journal.found_all("crashes", self.crashes.look(snapshots));
        journal.found_all("crashes", self.crashes.not_entered(&self.entered));
        let durable = info.history.durable_seq.unwrap_or(0);
        if durable < self.durable && info.history.problem.is_none() {
            journal.found(
                "durable",
                format!("{} was durable, and now {durable}", self.durable),
            );
        }
        self.durable = durable.max(self.durable);
        let allowed = FLUSH + allowance(&self.sleeper, begin.saturating_sub(3 * SECOND), begin);
        let is_undisturbed = [Kind::Stopped, Kind::DiskFull].iter().all(|kind| {
            !self
                .disturbances
                .any(*kind, begin.saturating_sub(5 * SECOND + allowed), begin)
        });
        let mut waiting = self.seen.range(durable + 1..);
        if is_undisturbed
            && let Some((seq, seen)) = waiting.next()
            && seen.at + allowed < begin
        {
            journal.found(
                "durable",
                format!(
                    "{seq} is {} ms old and not written; {} ms are allowed; {:?}",
                    (begin - seen.at) / 1_000,
                    allowed / 1_000,
                    info.history
                ),
            );
        }
    }
}
