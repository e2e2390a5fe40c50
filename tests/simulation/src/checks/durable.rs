//! S5, S6, L11: what is on the disk is what has happened, complete up to a number; what was forgotten does not come back; and what an engine
//! has to know of the one before is known to it, whatever became of that.

use std::collections::BTreeMap;
use std::time::Duration;

use plugin_engine::simulation::disk::HistoryEntry;
use plugin_engine::simulation::last_number;
use plugin_engine::{Cause, Command, Engine, HistoryFilter, PluginId, PluginState, Transition};

use super::{Checked, Seen, Violation, number};
use crate::policy::id_of;
use crate::world::World;

/// What may be known of a plugin's generations after a restart: at least the last one that is on the disk, and at most the last one that
/// there was.
pub(super) type Generations = BTreeMap<usize, (u32, u32)>;

#[derive(Default)]
pub(crate) struct Durable {
    /// Everything that has happened, in all engines, but for what is lost.
    happened: BTreeMap<u64, Transition>,
    /// The last generation that there was of each plugin.
    generations: BTreeMap<usize, u32>,
    /// The largest number that was used.
    used: u64,
    /// The number of the start of this engine.
    started: u64,
    /// Whether it could read what is on the disk when it was started.
    knows: bool,
    /// How much was written when it was started, and since when it has written something: it has read what is there then.
    batches_before: usize,
    reads_since: Option<Duration>,
    /// Since when plugins are in no call, as far as that was looked at.
    free_since: BTreeMap<usize, Duration>,
    /// The generations that the disk knew of then.
    stored_generations: Generations,
    batches: usize,
    /// The last number on the disk.
    stored: u64,
    /// What was asked at which number, of what has no answer yet.
    asked: BTreeMap<usize, u64>,
    asks: usize,
    /// Up to which number plugins were forgotten: that of when it was asked. What came until there was an answer may be gone as well.
    forgotten: BTreeMap<usize, (u64, u64)>,
    /// The plugins that a person has switched off, and the number by which that is known.
    off: BTreeMap<usize, u64>,
    /// Those of which the disk said so when this engine was started.
    stays_off: Vec<usize>,
}

/// Within what time something holds that was read late: a round of the writer, and one more where a call was in the way.
const RECALLED_WITHIN: Duration = Duration::from_millis(500);

fn violation(promise: &str, what: String) -> Checked {
    Err(Violation::new(promise, what))
}

fn plugin_id(plugin: usize) -> Option<PluginId> {
    PluginId::new(&id_of(plugin)).ok()
}

impl Durable {
    /// An engine was started on what the one before has left.
    pub(crate) fn begin(&mut self, world: &World, engine: &Engine) -> Checked {
        self.started = last_number(engine);
        if self.started <= self.used {
            return violation(
                "S6",
                format!(
                    "the engine begins with number {}, and {} was used before",
                    self.started, self.used
                ),
            );
        }
        self.used = self.started;
        self.asked.clear();
        self.asks = 0;
        // An engine that cannot read what is there begins without.
        self.knows = world.can_open();
        self.batches_before = self.batches;
        self.reads_since = None;
        self.free_since.clear();
        let stored = self.stored;
        self.happened.retain(|seq, _| *seq <= stored);
        self.stored_generations = self.on_disk();
        self.off.retain(|_, known| *known <= stored);
        self.stays_off = self.off.keys().copied().collect();
        self.forgotten
            .iter()
            .try_for_each(|(plugin, (up_to, _))| is_forgotten(world, engine, *plugin, *up_to))
    }

    /// What the engine that is started next may take the generations to be.
    pub(super) fn generations(&self) -> Generations {
        match self.knows {
            true => self.on_disk(),
            false => {
                let last = self.generations.iter();
                last.map(|(plugin, last)| (*plugin, (0, *last))).collect()
            }
        }
    }

    /// What it may come to know of them when it can read what it could not.
    pub(super) fn recallable(&self) -> Generations {
        match self.knows {
            true => Generations::new(),
            false => self.on_disk(),
        }
    }

    fn on_disk(&self) -> Generations {
        let last = self.generations.iter();
        let mut generations: Generations =
            last.map(|(plugin, last)| (*plugin, (0, *last))).collect();
        for transition in self.happened.values() {
            let plugin = number(&transition.id);
            let forgotten = self.forgotten.get(&plugin);
            if forgotten.is_none_or(|(_, last)| transition.seq > *last) {
                generations.entry(plugin).or_default().0 = transition.generation;
            }
        }
        generations
    }

    pub(super) fn look(&mut self, seen: &Seen<'_>) -> Checked {
        self.note_asks(seen);
        for transition in seen.transitions {
            self.happened.insert(transition.seq, transition.clone());
            let plugin = number(&transition.id);
            let last = self.generations.entry(plugin).or_default();
            *last = transition.generation.max(*last);
            // A call may have been under way when that became known.
            let comes_up = transition.to == PluginState::Enabled
                && !matches!(transition.from, PluginState::Running | PluginState::Enabled);
            if comes_up && self.stays_off.contains(&plugin) && self.knows_by(seen.now) {
                return violation(
                    "L11",
                    format!("{transition}, and a person had switched it off before the restart"),
                );
            }
        }
        self.check_disk(seen)?;
        for transition in seen.transitions {
            self.check_generation(transition, seen.now)?;
        }
        self.check_recalled(seen)?;
        self.follow_answers(seen)?;
        self.used = last_number(seen.engine);
        Ok(())
    }

    /// Whether the engine has known for a while what was on the disk.
    fn knows_by(&self, now: Duration) -> bool {
        self.knows
            || self
                .reads_since
                .is_some_and(|since| now > since + RECALLED_WITHIN)
    }

    /// A load is a generation above those that are known of.
    fn check_generation(&self, transition: &Transition, now: Duration) -> Checked {
        let plugin = number(&transition.id);
        let known = self.stored_generations.get(&plugin);
        let Some((last, _)) = known.filter(|_| self.knows_by(now)) else {
            return Ok(());
        };
        if matches!(transition.cause, Cause::Mapped | Cause::Reloaded)
            && transition.generation <= *last
        {
            return violation(
                "S6",
                format!(
                    "{transition} is generation {}, and {last} were counted before",
                    transition.generation
                ),
            );
        }
        Ok(())
    }

    /// What it could not read at the start holds once it can.
    fn check_recalled(&mut self, seen: &Seen<'_>) -> Checked {
        if self.knows {
            return Ok(());
        }
        if self.batches > self.batches_before {
            self.reads_since.get_or_insert(seen.now);
        }
        if !self.knows_by(seen.now) || seen.is_stopping {
            return Ok(());
        }
        for snapshot in seen.snapshots {
            let is_called = snapshot
                .in_flight
                .as_ref()
                .is_some_and(|call| !call.abandoned);
            let is_off = matches!(
                snapshot.state,
                PluginState::Disabled | PluginState::Unloaded
            );
            let plugin = number(snapshot.id());
            let free_since = self.free_since.entry(plugin).or_insert(seen.now);
            if is_called {
                // It is switched off in the next round after that.
                *free_since = seen.now;
            }
            let is_late = seen.now > *free_since + RECALLED_WITHIN;
            if self.stays_off.contains(&plugin) && !is_off && is_late && !seen.is_asked(plugin) {
                return violation(
                    "L11",
                    format!(
                        "{} is {}, and a person had switched it off before the restart, which is known by now",
                        snapshot.id(),
                        snapshot.state
                    ),
                );
            }
        }
        Ok(())
    }

    /// What was written since the last look, and what is said of it.
    fn check_disk(&mut self, seen: &Seen<'_>) -> Checked {
        let stored = seen.world.machine.stored.borrow();
        for batch in &stored.written[self.batches..] {
            self.batches += 1;
            let entries = batch.history_entries(&HistoryFilter::default());
            let mut next = self.stored + 1;
            for entry in &entries {
                match entry {
                    HistoryEntry::Transition(transition) => self.check(transition)?,
                    HistoryEntry::Started(started) => {
                        let lost = (next < started.seq).then(|| (next, started.seq - 1));
                        if started.seq != self.started || started.lost != lost {
                            return violation(
                                "S6",
                                format!(
                                    "{started:?} is on the disk, which ended at {}; the engine began with number {}",
                                    self.stored, self.started
                                ),
                            );
                        }
                        next = started.seq;
                    }
                    _ => {}
                }
            }
            // What sums stand for may have numbers between those of others.
            let is_summed = entries.iter().any(|entry| {
                matches!(
                    entry,
                    HistoryEntry::Folded { .. } | HistoryEntry::Gap { .. }
                )
            });
            if batch.first_seq != next {
                return violation(
                    "S6",
                    format!(
                        "number {} comes after {} on the disk",
                        batch.first_seq,
                        next - 1
                    ),
                );
            }
            for entry in entries.iter().filter(|_| !is_summed) {
                if entry.seq() != next {
                    return violation("S6", format!("{next} is not on the disk, but {entry:?}"));
                }
                next += 1;
            }
            if !is_summed && next != batch.last_seq + 1 {
                return violation("S6", format!("number {next} is not on the disk"));
            }
            self.stored = batch.last_seq;
        }
        let said = seen.engine.history_status();
        let said = said.map_or(0, |status| status.durable_seq);
        if said > self.stored {
            return violation(
                "S6",
                format!(
                    "{said} is said to be on the disk, which ends at {}",
                    self.stored
                ),
            );
        }
        Ok(())
    }

    /// That this has happened, and was not forgotten.
    fn check(&self, transition: &Transition) -> Checked {
        let forgotten = self.forgotten.get(&number(&transition.id));
        if forgotten.is_some_and(|(up_to, _)| transition.seq <= *up_to) {
            return violation(
                "S5",
                format!("{transition} is written after it was forgotten"),
            );
        }
        let happened = self.happened.get(&transition.seq);
        if happened != Some(transition) {
            let happened = happened.map(ToString::to_string);
            return violation(
                "S6",
                format!("{transition} is on the disk, what happened is {happened:?}"),
            );
        }
        Ok(())
    }

    /// What was asked since the last look.
    fn note_asks(&mut self, seen: &Seen<'_>) {
        for (at, asked) in seen.asked.iter().enumerate().skip(self.asks) {
            if let Some(Command::Forget) = asked.order {
                self.asked.insert(at, self.used);
            }
            if !matches!(
                asked.order,
                None | Some(Command::Update | Command::Display | Command::Disable)
            ) {
                self.off.remove(&asked.plugin);
                self.stays_off.retain(|plugin| *plugin != asked.plugin);
            }
        }
        self.asks = seen.asked.len();
    }

    fn follow_answers(&mut self, seen: &Seen<'_>) -> Checked {
        let answered: Vec<_> = self
            .asked
            .iter()
            .filter_map(|(at, seq)| Some((*at, *seq, seen.asked[*at].answer.as_ref()?)))
            .map(|(at, seq, (_, answer))| (at, seq, answer.is_ok()))
            .collect();
        for (at, seq, is_done) in answered {
            self.asked.remove(&at);
            if is_done {
                let plugin = seen.asked[at].plugin;
                let last = last_number(seen.engine);
                self.forgotten.insert(plugin, (seq, last));
                is_forgotten(seen.world, seen.engine, plugin, seq)?;
            }
        }
        self.note_switched_off(seen);
        Ok(())
    }

    /// A person has switched a plugin off, while nobody asked anything else of it.
    fn note_switched_off(&mut self, seen: &Seen<'_>) {
        for (at, asked) in seen.asked.iter().enumerate() {
            let is_now = asked
                .answer
                .as_ref()
                .is_some_and(|(at, answer)| *at == seen.now && answer.is_ok());
            if asked.order != Some(Command::Disable) || !is_now {
                continue;
            }
            let is_alone = seen.asked.iter().enumerate().all(|(other_at, other)| {
                let is_over = other
                    .answer
                    .as_ref()
                    .is_some_and(|(end, _)| *end < asked.at);
                other_at == at || other.plugin != asked.plugin || is_over
            });
            let entry = seen.transitions.iter().find(|transition| {
                transition.to == PluginState::Disabled && number(&transition.id) == asked.plugin
            });
            if let (true, Some(entry)) = (is_alone, entry) {
                self.off.insert(asked.plugin, entry.seq);
            }
        }
    }
}

/// Nothing up to this number is there of a plugin, neither on the disk nor in what the engine answers.
fn is_forgotten(world: &World, engine: &Engine, plugin: usize, up_to: u64) -> Checked {
    let Some(id) = plugin_id(plugin) else {
        return Ok(());
    };
    let on_disk = world.machine.stored.borrow().of(&id);
    let on_disk = on_disk.iter().find(|entry| entry.seq() <= up_to);
    let said = engine.query(&HistoryFilter::of(id));
    let said = said.entries.iter().find(|entry| entry.seq <= up_to);
    match (on_disk, said) {
        (None, None) => Ok(()),
        (Some(left), _) => violation("S5", format!("{left:?} was forgotten, and is on the disk")),
        (_, Some(left)) => violation("S5", format!("{left} was forgotten, and is still said")),
    }
}
