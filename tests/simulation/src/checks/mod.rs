//! The promises, each as a check that looks at what can be seen from outside after every step. None knows how the engine does it: each has
//! its own account of what must be.

mod answers;
mod balance;
mod bounds;
mod calls;
mod durable;
mod ending;
mod fold;
mod health;
mod instances;
mod requires;
mod restarts;
mod sequence;
mod table;
mod timing;
mod watch;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use plugin_engine::simulation;
use plugin_engine::{
    Engine, Event, HistoryFilter, HistoryMark, Snapshot, Subscription, Transition, WallTime,
};

pub(crate) use durable::Durable;

use crate::policy::plugin_of;
use crate::run::Asked;
use crate::world::{Fact, World};

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The letter of the promise.
    pub promise: String,
    /// What was seen.
    pub seen: String,
}

impl Violation {
    pub(crate) fn new(promise: &str, seen: impl Into<String>) -> Self {
        Self {
            promise: promise.to_owned(),
            seen: seen.into(),
        }
    }

    /// Of a text that begins with the letter.
    pub(crate) fn of_text(text: String) -> Self {
        match text.split_once(": ") {
            Some((promise, seen)) => Self::new(promise, seen),
            None => Self::new("?", text),
        }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.promise, self.seen)
    }
}

type Checked = Result<(), Violation>;

/// What can be seen at one moment.
pub(crate) struct Seen<'a> {
    pub(crate) now: Duration,
    pub(crate) wall: WallTime,
    /// What has happened in plugins since the last look.
    pub(crate) facts: &'a [Fact],
    /// What was entered since the last look, by number.
    pub(crate) transitions: &'a [Transition],
    /// The numbers of what was entered beside them: starts and stops of the engine.
    pub(crate) marks: &'a [u64],
    /// The unhealthy episodes that were told since the last look.
    pub(crate) unhealthy: &'a [Event],
    /// All plugins that are known.
    pub(crate) snapshots: &'a [Snapshot],
    /// Everything that was asked so far.
    pub(crate) asked: &'a [Asked],
    pub(crate) engine: &'a Engine,
    pub(crate) world: &'a World,
    /// Whether it was told to shut down.
    pub(crate) is_stopping: bool,
    /// The plugins that have lacked something since the last look which they require, once that was looked at.
    pub(crate) lacking: RefCell<BTreeSet<usize>>,
}

impl Seen<'_> {
    /// Whether somebody asks something of a plugin at this moment, or has just had an answer.
    pub(crate) fn is_asked(&self, plugin: usize) -> bool {
        self.asked
            .iter()
            .filter(|asked| asked.plugin == plugin)
            .any(|asked| asked.answer.as_ref().is_none_or(|(at, _)| *at == self.now))
            // Who does something about the directory does it about any plugin.
            || self.world.is_directory_at_work()
    }

    /// Whether a thread might be wanted that cannot be had, or all threads are in calls.
    pub(crate) fn is_short_of_threads(&self) -> bool {
        let (threads, slow) = simulation::threads(self.engine);
        self.now < self.world.no_threads_until.get()
            || slow + crate::run::WORKERS >= crate::run::THREADS_MAX
            || threads >= crate::run::THREADS_MAX
    }
}

/// The plugin that an entry or a snapshot is of.
pub(crate) fn number(id: &plugin_engine::PluginId) -> usize {
    plugin_of(id.as_str()).unwrap_or(usize::MAX)
}

/// All checks, with what they know.
pub(crate) struct Checks {
    heard: Subscription,
    seq: u64,
    facts: usize,
    stopping: Option<(Duration, Duration)>,
    table: table::Table,
    sequence: sequence::Sequence,
    fold: fold::Fold,
    calls: calls::Calls,
    timing: timing::Timing,
    health: health::Healths,
    restarts: restarts::Restarts,
    instances: instances::Instances,
    bounds: bounds::Bounds,
    balance: balance::Balance,
    answers: answers::Answers,
    requirements: requires::Requirements,
    watch: watch::Watch,
    /// Where there is a disk.
    durable: Option<Durable>,
}

impl Checks {
    pub(crate) fn new(engine: &Engine) -> Self {
        Self {
            heard: engine.subscribe("plugin.*.unhealthy"),
            seq: 0,
            facts: 0,
            stopping: None,
            table: table::Table::default(),
            sequence: sequence::Sequence::default(),
            fold: fold::Fold::default(),
            calls: calls::Calls::default(),
            timing: timing::Timing::default(),
            health: health::Healths::default(),
            restarts: restarts::Restarts::default(),
            instances: instances::Instances::default(),
            bounds: bounds::Bounds::default(),
            balance: balance::Balance::default(),
            answers: answers::Answers::default(),
            requirements: requires::Requirements::default(),
            watch: watch::Watch::default(),
            durable: None,
        }
    }

    /// The checks of an engine that was started on what the one before has left on the disk.
    ///
    /// # Errors
    /// It begins in a way that it must not.
    pub(crate) fn of_disk(
        world: &World,
        engine: &Engine,
        mut durable: Durable,
    ) -> Result<Self, Violation> {
        durable.begin(world, engine)?;
        let mut checks = Self::new(engine);
        checks.seq = simulation::last_number(engine);
        checks.fold.before = durable.generations();
        checks.fold.recalled = durable.recallable();
        checks.durable = Some(durable);
        Ok(checks)
    }

    /// What is to be known of the disk when the next engine is started.
    pub(crate) fn take_durable(&mut self) -> Option<Durable> {
        self.durable.take()
    }

    pub(crate) fn shutting_down(&mut self, at: Duration, budget: Duration) {
        self.stopping = Some((at, budget));
    }

    /// The next moment at which something has to be so.
    pub(crate) fn next_moment(&self, now: Duration) -> Option<Duration> {
        let calls = self.calls.next_moment(now);
        let timing = self.timing.next_moment(now);
        // Whoever shuts down looks at the time then.
        let ends = self.stopping.map(|(began, budget)| began + budget);
        let ends = ends.filter(|ends| *ends > now);
        calls.into_iter().chain(timing).chain(ends).min()
    }

    pub(crate) fn look(
        &mut self,
        world: &World,
        engine: &Engine,
        asked: &[Asked],
        wall: WallTime,
    ) -> Checked {
        let last = simulation::last_number(engine);
        let (transitions, marks) = if last == self.seq {
            Default::default()
        } else {
            entered(engine, self.seq)?
        };
        let facts = world.facts.borrow();
        let unhealthy: Vec<_> = std::iter::from_fn(|| self.heard.try_next()).collect();
        let snapshots = engine.snapshots();
        let seen = Seen {
            now: world.now(),
            wall,
            facts: &facts[self.facts..],
            transitions: &transitions,
            marks: &marks,
            unhealthy: &unhealthy,
            snapshots: &snapshots,
            asked,
            engine,
            world,
            is_stopping: self.stopping.is_some(),
            lacking: RefCell::default(),
        };
        self.sequence.look(&seen, self.seq, last)?;
        self.table.look(&seen)?;
        self.fold.look(&seen)?;
        self.calls.look(&seen)?;
        self.instances.look(&seen)?;
        self.requirements.look(&seen)?;
        self.timing.look(&seen)?;
        self.health.look(&seen)?;
        self.restarts.look(&seen)?;
        self.bounds.look(&seen)?;
        self.balance.look(&seen)?;
        self.answers.look(&seen)?;
        self.watch.look(&seen)?;
        if let Some(durable) = &mut self.durable {
            durable.look(&seen)?;
        }
        if let Some((began, budget)) = self.stopping {
            ending::in_time(&seen, began, budget)?;
        }
        let count = world.transitions.get() + transitions.len() as u64;
        world.transitions.set(count);
        self.seq = last;
        self.facts = facts.len();
        Ok(())
    }

    /// All that was to be done about the directory is done.
    pub(crate) fn at_rest(&self, engine: &Engine) -> Checked {
        self.watch.at_rest(engine)
    }

    /// Everything was unloaded, and nothing has gone wrong for a while.
    pub(crate) fn unloaded(&mut self, world: &World, engine: &Engine, asked: &[Asked]) -> Checked {
        ending::all_is_answered(asked)?;
        balance::all_is_given_back(world, engine)
    }

    /// The engine was shut down, and everything had its time.
    pub(crate) fn ended(&mut self, world: &World, asked: &[Asked]) -> Checked {
        ending::ended(world, asked)
    }
}

/// What was entered after a number: transitions, and the numbers of what is none.
fn entered(engine: &Engine, after: u64) -> Result<(Vec<Transition>, Vec<u64>), Violation> {
    let filter = HistoryFilter {
        after: Some(after),
        ..HistoryFilter::default()
    };
    let answer = engine.query(&filter);
    if let Some(problem) = answer.problem {
        return Err(Violation::new("S6", problem));
    }
    let marks = answer.marks.iter().map(HistoryMark::seq).collect();
    Ok((answer.entries, marks))
}
