//! The simulated world: its threads, its time, its files, and what is known of every call that was made.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use plugin_engine::simulation::directory::Directory;
use plugin_engine::simulation::disk::Disk;
use plugin_engine::simulation::{File, Pause, Refused, Stage};
use plugin_engine_core::{CallKind, PluginId};

use crate::behaviour::{Build, Content, Ends, Turn};
use crate::chance::Chance;
use crate::directory::PluginDirectory;
use crate::disk::Machine;
use crate::fiber::{self, Fiber, Turned, Wait};
use crate::library::{self, BUILDS_MAX};
use crate::policy::{plugin_of_path, policy_of};
use crate::run::LOAD_TIMEOUT;

/// How many turns there may be at one moment of time until nobody has anything to do any more.
const TURNS_MAX: u64 = 200_000;

/// Something that the world knows to have happened in a plugin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fact {
    /// When.
    pub at: Duration,
    /// The plugin.
    pub plugin: usize,
    /// Which instance of all.
    pub instance: u64,
    /// The call.
    pub call: CallKind,
    /// Its number, as the engine has it.
    pub id: u64,
    /// Whether it is a call of a worker; else it is one beside those of the plugin.
    pub by_worker: bool,
    /// What happened.
    pub what: What,
}

/// What happened to a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    /// It began, with this deadline.
    Began(Duration),
    /// It ended.
    Ended(Ends),
}

/// What is known of an instance.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) plugin: usize,
    pub(crate) build: Build,
    pub(crate) in_call: Option<CallKind>,
    /// Whether it is there: created, and not destroyed.
    pub(crate) lives: bool,
}

/// The world.
pub(crate) struct World {
    seed: u64,
    now: Cell<Duration>,
    stirred: Cell<u64>,
    fibers: RefCell<Vec<Fiber>>,
    /// Whoever has the turn.
    current: RefCell<Option<Rc<str>>>,
    order: RefCell<Chance>,
    /// Its disk.
    pub(crate) machine: Machine,
    /// Its plugin directory, where that is watched.
    pub(crate) directory: PluginDirectory,
    /// How often, of a hundred times, somebody else comes in between before a lock is taken.
    pub(crate) brief_percent: Cell<u64>,
    pub(crate) files: RefCell<BTreeMap<usize, Content>>,
    pub(crate) builds: RefCell<BTreeMap<u64, Build>>,
    pub(crate) no_threads_until: Cell<Duration>,
    /// Whether any plugin of this run requires another.
    pub(crate) has_requirements: Cell<bool>,
    /// Whether all that is called returns at once, and well.
    pub(crate) is_calm: Cell<bool>,
    pub(crate) instances: RefCell<BTreeMap<u64, Instance>>,
    pub(crate) facts: RefCell<Vec<Fact>>,
    pub(crate) calls_made: RefCell<BTreeMap<(usize, u64, CallKind), u64>>,
    last_instance: Cell<u64>,
    /// What was seen by the world itself that must not be.
    pub(crate) violation: RefCell<Option<String>>,
    /// How many transitions were seen.
    pub(crate) transitions: Cell<u64>,
    /// How many calls there were.
    pub(crate) calls: Cell<u64>,
    /// How many calls beside those of plugins were not made for want of a thread.
    pub(crate) asides_refused: Cell<usize>,
    /// When the engine said that it was shut down.
    pub(crate) shut_down_at: Cell<Option<Duration>>,
    /// Whether a call is made twice at once, on purpose.
    pub(crate) doubles_calls: Cell<bool>,
    /// Whether destroys are not made, likewise.
    pub(crate) loses_destroys: Cell<bool>,
    /// Whether workers do not end, likewise.
    pub(crate) keeps_threads: Cell<bool>,
    /// Whether who asks is never woken, likewise.
    pub(crate) loses_wake_ups: Cell<bool>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Rc<Self> {
        let mut order = Chance::new(seed, &[2]);
        let brief_percent = order.one_of(&[0, 2, 10, 50]);
        let world = Rc::new(Self {
            seed,
            now: Cell::new(Duration::ZERO),
            stirred: Cell::new(1),
            fibers: RefCell::default(),
            current: RefCell::default(),
            order: RefCell::new(order),
            machine: Machine::default(),
            directory: PluginDirectory::default(),
            brief_percent: Cell::new(brief_percent),
            files: RefCell::default(),
            builds: RefCell::default(),
            no_threads_until: Cell::new(Duration::ZERO),
            has_requirements: Cell::new(false),
            is_calm: Cell::new(false),
            instances: RefCell::default(),
            facts: RefCell::default(),
            calls_made: RefCell::default(),
            last_instance: Cell::new(0),
            violation: RefCell::default(),
            transitions: Cell::new(0),
            calls: Cell::new(0),
            asides_refused: Cell::new(0),
            shut_down_at: Cell::new(None),
            doubles_calls: Cell::new(false),
            loses_destroys: Cell::new(false),
            keeps_threads: Cell::new(false),
            loses_wake_ups: Cell::new(false),
        });
        library::set_world(Some(Rc::clone(&world)));
        world
    }

    pub(crate) fn now(&self) -> Duration {
        self.now.get()
    }

    /// Moves the time of the world, which is not yet that of the engine's clock.
    pub(crate) fn set_now(&self, now: Duration) {
        self.now.set(now);
        self.stir();
    }

    pub(crate) fn violate(&self, what: impl FnOnce() -> String) {
        self.violation.borrow_mut().get_or_insert_with(what);
    }

    pub(crate) fn new_instance(&self, plugin: usize, build: Build) -> u64 {
        let number = self.last_instance.get() + 1;
        self.last_instance.set(number);
        let instance = Instance {
            plugin,
            build,
            in_call: None,
            lives: false,
        };
        self.instances.borrow_mut().insert(number, instance);
        number
    }

    /// How the next call of this kind turns out.
    pub(crate) fn turn(&self, plugin: usize, build: &Build, call: CallKind) -> Turn {
        let number = {
            let mut made = self.calls_made.borrow_mut();
            let made = made.entry((plugin, build.number, call)).or_default();
            *made += 1;
            *made
        };
        if self.is_calm.get() {
            return Turn {
                ends: Ends::Completes,
                lasts: Duration::ZERO,
                heeds_cancel: false,
            };
        }
        let purpose = [3, plugin as u64, build.number, call as u64, number];
        let mut chance = Chance::new(self.seed, &purpose);
        build.character.turn(&mut chance, call, &policy_of(plugin))
    }

    pub(crate) fn is_worker(&self) -> bool {
        let current = self.current.borrow();
        current
            .as_deref()
            .is_some_and(|name| name == "plugin-worker")
    }

    /// The name of whoever has the turn.
    pub(crate) fn current_name(&self) -> Option<Rc<str>> {
        self.current.borrow().clone()
    }

    /// Starts a thread that is none of the engine's.
    pub(crate) fn start_of_own(&self, name: &str, body: impl FnOnce() + 'static) {
        self.fibers
            .borrow_mut()
            .push(Fiber::new(name, Box::new(body)));
    }

    /// How many threads there are whose name this is.
    pub(crate) fn threads(&self, name: &str) -> usize {
        let fibers = self.fibers.borrow();
        fibers.iter().filter(|fiber| &*fiber.name == name).count()
    }

    /// The plugins of which there ever was a file.
    pub(crate) fn files_known(&self) -> Vec<usize> {
        let builds = self.builds.borrow();
        let mut known: Vec<_> = builds
            .keys()
            .filter_map(|number| usize::try_from(number / BUILDS_MAX).ok())
            .collect();
        known.dedup();
        known
    }

    /// The names of all threads.
    pub(crate) fn thread_names(&self) -> Vec<Rc<str>> {
        let fibers = self.fibers.borrow();
        fibers.iter().map(|fiber| Rc::clone(&fiber.name)).collect()
    }

    /// The next time at which somebody wakes up.
    pub(crate) fn next_wake(&self) -> Option<Duration> {
        let fibers = self.fibers.borrow();
        let times = fibers.iter().filter_map(|fiber| match fiber.wait {
            Wait::Until(time) | Wait::StirredOr(_, time) => Some(time),
            _ => None,
        });
        times.min()
    }

    /// From now on nothing goes wrong by itself, and what is under way comes to its end.
    pub(crate) fn be_calm(&self) {
        self.is_calm.set(true);
        self.no_threads_until.set(Duration::ZERO);
        for fiber in self.fibers.borrow_mut().iter_mut() {
            fiber.wait = Wait::Turn;
        }
    }

    /// Lets everybody do what they can do at this moment, in an order that is drawn.
    pub(crate) fn settle(&self) {
        for turns in 0.. {
            if turns == TURNS_MAX {
                self.violate(|| format!("nobody comes to rest: {:?}", self.thread_names()));
                return;
            }
            let Some(fiber) = self.next_fiber() else {
                return;
            };
            *self.current.borrow_mut() = Some(Rc::clone(&fiber.name));
            let turned = fiber.turn();
            *self.current.borrow_mut() = None;
            match turned {
                Turned::Waits(mut fiber) => {
                    let is_told = matches!(fiber.wait, Wait::Stirred(_));
                    if is_told && self.loses_wake_ups.get() && &*fiber.name == "asks" {
                        fiber.wait = Wait::Until(Duration::MAX);
                    }
                    self.fibers.borrow_mut().push(fiber);
                }
                // Whoever waits for a thread waits for its end.
                Turned::Ended => self.stir(),
            }
        }
    }

    fn next_fiber(&self) -> Option<Fiber> {
        let mut fibers = self.fibers.borrow_mut();
        let (now, stirred) = (self.now.get(), self.stirred.get());
        let is_ready = |fiber: &Fiber| match fiber.wait {
            Wait::Turn => true,
            Wait::Stirred(seen) => seen < stirred,
            Wait::StirredOr(seen, time) => seen < stirred || time <= now,
            Wait::Until(time) => time <= now,
        };
        let count = fibers.iter().filter(|fiber| is_ready(fiber)).count();
        if count == 0 {
            return None;
        }
        let pick = self.order.borrow_mut().index(count);
        let mut ready = (0..fibers.len()).filter(|at| is_ready(&fibers[*at]));
        let at = ready.nth(pick)?;
        Some(fibers.remove(at))
    }

    /// Forgets everything of an engine that is no more, but not what is outside of it.
    pub(crate) fn begin_anew(&self) {
        self.leave();
        self.instances.borrow_mut().clear();
        self.facts.borrow_mut().clear();
        self.asides_refused.set(0);
        self.shut_down_at.set(None);
        self.violation.take();
        self.directory.begin_anew();
        self.is_calm.set(false);
    }

    /// Leaves everything as it is, because the run is over.
    pub(crate) fn leave(&self) {
        for fiber in self.fibers.borrow_mut().drain(..) {
            fiber.leave();
        }
    }
}

fn plugin_id(plugin: usize) -> Result<PluginId, Refused> {
    PluginId::new(&crate::policy::id_of(plugin)).map_err(|_| Refused::Bad)
}

impl Stage for World {
    fn pause(&self, pause: Pause) {
        let wait = match pause {
            Pause::UntilStirred => Wait::Stirred(self.stirred.get()),
            Pause::UntilStirredFor(time) => {
                self.round_is_over();
                Wait::StirredOr(self.stirred.get(), self.now.get() + time)
            }
            Pause::For(time) => Wait::Until(self.now.get() + time),
            Pause::Briefly => {
                let percent = self.brief_percent.get();
                if percent == 0 || !self.order.borrow_mut().percent(percent) {
                    return;
                }
                Wait::Turn
            }
        };
        fiber::wait(wait);
    }

    fn is_on_thread(&self) -> bool {
        fiber::has_turn()
    }

    fn stir(&self) {
        self.stirred.set(self.stirred.get() + 1);
    }

    fn start(&self, name: &str, body: Box<dyn FnOnce()>) -> io::Result<()> {
        if name == "plugin-watchdog" {
            // It looks whenever the clock is moved.
            return Ok(());
        }
        if self.now.get() < self.no_threads_until.get() {
            if name == "plugin-aside" {
                self.asides_refused.set(self.asides_refused.get() + 1);
            }
            return Err(io::Error::other("no thread can be had"));
        }
        let never_ends = self.keeps_threads.get() && name == "plugin-worker";
        let body: Box<dyn FnOnce()> = if never_ends {
            Box::new(move || {
                body();
                fiber::wait(Wait::Until(Duration::MAX));
            })
        } else {
            body
        };
        self.fibers.borrow_mut().push(Fiber::new(name, body));
        Ok(())
    }

    fn load(&self, path: &Path) -> Result<File, Refused> {
        let was_mounted = self.directory.mounted();
        self.pause(Pause::For(Duration::from_micros(200)));
        // Read once, after it was waited for: what is there changes at any time.
        let content = match self.directory.watching() {
            Some(_) => self.read(path, was_mounted),
            None => {
                let plugin = plugin_of_path(path).ok_or(Refused::Bad)?;
                self.files.borrow().get(&plugin).copied()
            }
        };
        match content {
            Some(Content::Build(build)) => Ok(File {
                id: plugin_id(build.plugin())?,
                version: format!("1.{}.0", build.version),
                build: build.number,
                state_version: u32::from(build.has_state),
                requires: build.requires.iter().map(|one| one.to_string()).collect(),
                calls: library::calls_of(&build),
            }),
            Some(Content::Unfit(plugin)) => Err(Refused::Unfit(plugin_id(plugin)?)),
            Some(Content::Hangs) if !self.is_calm.get() => {
                self.pause(Pause::For(LOAD_TIMEOUT));
                Err(Refused::Hangs(LOAD_TIMEOUT))
            }
            _ => Err(Refused::Bad),
        }
    }

    fn directory(&self) -> Option<&dyn Directory> {
        let watching = self.directory.watching();
        watching.is_some().then_some(self)
    }

    fn disk(&self) -> Option<&dyn Disk> {
        self.machine.is_there.get().then_some(self)
    }

    fn elapsed(&self) -> Duration {
        self.now.get()
    }
}
