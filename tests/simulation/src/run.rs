//! One run: the steps of a seed done to an engine, with a look at everything after each.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use plugin_engine::simulation::{self, ThreadLocals, tamper};
use plugin_engine::{Command, Engine, ManualClock, WallTime, WatchHandle};
use tempfile::TempDir;

use crate::checks::{Checks, Durable, Violation};
use crate::directory::PATH;
use crate::library;
use crate::panics;
use crate::planted::{Planted, load_again_later};
use crate::policy::{id_of, own_directory};
use crate::step::Step;
use crate::world::World;

/// How long a create, a display, a destroy or the handing over of a state may take.
pub(crate) const OTHER_TIMEOUT: Duration = Duration::from_millis(400);
/// How long a load may take.
pub(crate) const LOAD_TIMEOUT: Duration = Duration::from_millis(600);
/// How many workers there are.
pub(crate) const WORKERS: usize = 2;
/// How many threads there may be that call plugins.
pub(crate) const THREADS_MAX: usize = 10;
/// How long an engine that was killed has until nothing of it is left.
const ENDS_WITHIN: Duration = Duration::from_secs(2);
/// When the wall clock begins: 2025-10-09T02:40:00Z.
const WALL: u64 = 1_760_000_000_000_000_000;
/// How many moments a run may have at which something happens: what ticks every 200 ms for hours would take too long.
const MOMENTS_MAX: u64 = 4_000;

/// What somebody asked, and what became of it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The plugin.
    pub plugin: usize,
    /// What; `None` for what a watch of the directory does about a file.
    pub order: Option<Command>,
    /// When.
    pub at: Duration,
    /// When there was an answer, and whether it was a good one.
    pub answer: Option<(Duration, Result<(), String>)>,
}

/// What a run came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    /// How much time has passed in it.
    pub simulated: Duration,
    /// Transitions that were entered.
    pub transitions: u64,
    /// Calls that were made.
    pub calls: u64,
}

/// A run that went wrong.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What was seen that must not be.
    pub violation: Violation,
    /// After how many steps.
    pub steps: usize,
    /// The last entries of the history before it was seen.
    pub entries: Vec<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "after {} steps, {}", self.steps, self.violation)
    }
}

/// How many entries a failure shows.
const ENTRIES_SHOWN: usize = 16;

pub(crate) struct Run {
    pub(crate) world: Rc<World>,
    pub(crate) engine: Engine,
    clock: ManualClock,
    asked: Rc<RefCell<Vec<Asked>>>,
    checks: Checks,
    /// Where the configurations are that are changed in this run, if any is.
    pub(crate) dir: Option<TempDir>,
    /// Who watches the directory, if anybody does.
    pub(crate) watch: Rc<RefCell<Option<WatchHandle>>>,
    moments: u64,
    is_shut_down: bool,
    planted: Option<Planted>,
}

/// Does these steps to an engine, with the behaviour of its plugins drawn from the seed.
///
/// # Errors
/// A promise was not kept.
pub fn run(seed: u64, steps: &[Step], planted: Option<Planted>) -> Result<Report, Failure> {
    let world = World::new(seed);
    panics::listen();
    simulation::set_stage(Some(world.clone()));
    let tampering = planted.and_then(|planted| planted.tampering(&world));
    tamper(tampering);
    world.machine.is_there.set(steps.contains(&Step::OnDisk));
    let clock = ManualClock::new(WallTime::from_unix_nanos(WALL));
    for step in steps {
        if let Step::Watched(watching) = step {
            world.directory.begin(seed, *watching);
        }
    }
    let engine = build(&world, &clock, planted);
    let is_on_disk = world.machine.is_there.get();
    let checks = match is_on_disk {
        true => Checks::of_disk(&world, &engine, Durable::default()),
        false => Ok(Checks::new(&engine)),
    };
    let mut run = Run {
        checks: checks.unwrap_or_else(|_| Checks::new(&engine)),
        world: Rc::clone(&world),
        engine,
        clock,
        asked: Rc::default(),
        dir: own_directory(steps),
        watch: Rc::default(),
        moments: 0,
        is_shut_down: false,
        planted,
    };
    let done = run.all(steps);
    let entries = match &done {
        Ok(()) => Vec::new(),
        Err(_) => {
            let newest = run.engine.history_of_all().newest_first();
            let mut entries: Vec<_> = newest
                .limit(ENTRIES_SHOWN)
                .into_iter()
                .map(|entry| entry.to_string())
                .collect();
            entries.reverse();
            entries
        }
    };
    let report = Report {
        simulated: world.now(),
        transitions: world.transitions.get(),
        calls: world.calls.get(),
    };
    tamper(None);
    world.leave();
    if done.is_err() {
        // Nobody is left who could wait for its end.
        std::mem::forget(run.engine.clone());
    }
    // Shut down, by which it lets go of what it holds; what was left above may hold it for good.
    drop(run);
    ThreadLocals::default().swap();
    simulation::set_stage(None);
    library::set_world(None);
    done.map(|()| report)
        .map_err(|failure| Failure { entries, ..failure })
}

fn build(world: &World, clock: &ManualClock, planted: Option<Planted>) -> Engine {
    let mut builder = Engine::builder();
    if let Some(watching) = world.directory.watching() {
        builder = builder
            .plugin_dir(PATH)
            .watch_settle(match planted {
                Some(Planted::SettlesAtOnce) => Duration::from_millis(1),
                _ => watching.settle,
            })
            .watch_grace(match planted {
                Some(Planted::NoGrace) => Duration::from_millis(1),
                _ => watching.grace,
            })
            .watch_rescan(watching.rescan);
    }
    builder
        .workers(match planted {
            Some(Planted::TooManyWorkers) => 4 * WORKERS,
            _ => WORKERS,
        })
        .threads_max(THREADS_MAX)
        .create_timeout(OTHER_TIMEOUT)
        .display_timeout(OTHER_TIMEOUT)
        .destroy_timeout(OTHER_TIMEOUT)
        .state_timeout(OTHER_TIMEOUT)
        .load_timeout(LOAD_TIMEOUT)
        .backtraces(false)
        .clock(clock.clone())
        .build()
        .expect("an engine without files or threads can be built")
}

impl Run {
    fn all(&mut self, steps: &[Step]) -> Result<(), Failure> {
        let at = |steps| {
            move |violation| Failure {
                violation,
                steps,
                entries: Vec::new(),
            }
        };
        let engine = self.engine.clone();
        self.world.start_of_own("cycles", move || engine.run());
        self.begin_watch();
        self.look().map_err(at(0))?;
        for (number, step) in steps.iter().enumerate() {
            self.step(*step).map_err(at(number + 1))?;
        }
        self.end().map_err(at(steps.len()))
    }

    fn step(&mut self, step: Step) -> Result<(), Violation> {
        match step {
            Step::Pass(time) => return self.pass(time),
            // What is forgotten before anybody has seen it would be a gap.
            Step::Ask(_, Command::Forget)
                if self.is_anything_open()
                    || self.world.is_slow()
                    || self.world.directory.watching().is_some() =>
            {
                return Ok(());
            }
            Step::Ask(plugin, order) => self.ask(plugin, order),
            Step::File(plugin, change) => self.change_file(plugin, change),
            Step::Require(plugin, requires) => self.require(plugin, &requires),
            Step::SetWall(by) => {
                use plugin_engine::Clock as _;
                let wall = self.clock.wall().as_unix_nanos();
                let wall = wall.wrapping_add_signed(by * 1_000_000_000);
                self.clock.set_wall(WallTime::from_unix_nanos(wall));
                if self.planted == Some(Planted::WallClockSchedules) && by > 0 {
                    self.clock.advance(Duration::from_secs(by.unsigned_abs()));
                }
            }
            Step::NoThreads(time) => {
                let until = self.world.now() + time;
                self.world.no_threads_until.set(until);
            }
            Step::ThreadPanics(plugin) => simulation::thread_panics(&self.engine, &id_of(plugin)),
            Step::ShutDown(budget) => self.shut_down(budget),
            Step::Directory(what) => self.happens(what),
            Step::OnDisk | Step::Watched(_) => {}
            Step::Disk(trouble, time) => {
                let until = self.world.now() + time;
                self.world.machine.trouble.set(Some((trouble, until)));
            }
            Step::Kill => return self.kill(),
        }
        self.look()
    }

    fn is_anything_open(&self) -> bool {
        let asked = self.asked.borrow();
        asked.iter().any(|asked| asked.answer.is_none())
    }

    /// The process ends where it is, and another one begins on what is on the disk.
    fn kill(&mut self) -> Result<(), Violation> {
        self.look()?;
        let Some(durable) = self.checks.take_durable().filter(|_| !self.is_shut_down) else {
            return Ok(());
        };
        drop(self.watch.take());
        let on_disk = self.world.machine.stored.borrow().clone();
        // Nobody sees what it still does: it ends in good order only so that nothing of it is left.
        self.world.be_calm();
        let engine = self.engine.clone();
        self.world.start_of_own("shutdown", move || {
            let _ = engine.shutdown(ENDS_WITHIN);
        });
        let end = self.world.now() + 2 * ENDS_WITHIN;
        loop {
            self.settle();
            let now = self.world.now();
            if now >= end || self.world.thread_names().is_empty() {
                break;
            }
            let next = self.world.next_wake().filter(|next| *next > now);
            self.move_to(next.unwrap_or(end).min(end));
        }
        self.world.begin_anew();
        self.world.machine.stored.replace(on_disk);
        self.asked = Rc::default();
        let wall = plugin_engine::Clock::wall(&self.clock);
        self.clock = ManualClock::new(wall);
        self.clock.advance(self.world.now());
        self.clock.set_wall(wall);
        self.engine = build(&self.world, &self.clock, self.planted);
        self.checks = Checks::of_disk(&self.world, &self.engine, durable)?;
        let engine = self.engine.clone();
        self.world.start_of_own("cycles", move || engine.run());
        self.begin_watch();
        let files: Vec<_> = self.world.files.borrow().keys().copied().collect();
        for plugin in files {
            self.look_at_file(plugin);
        }
        self.look()
    }

    fn shut_down(&mut self, budget: Duration) {
        if std::mem::replace(&mut self.is_shut_down, true) {
            return;
        }
        let (engine, world) = (self.engine.clone(), Rc::clone(&self.world));
        let taken = match self.planted {
            Some(Planted::ShutdownWaits) => budget * 2 + Duration::from_secs(1),
            _ => budget,
        };
        self.checks.shutting_down(self.world.now(), budget);
        self.world.start_of_own("shutdown", move || {
            let _ = engine.shutdown(taken);
            world.shut_down_at.set(Some(world.now()));
        });
    }

    fn ask(&mut self, plugin: usize, order: Command) {
        let id = id_of(plugin);
        let comes_back =
            (self.planted == Some(Planted::Resurrected)).then(|| Rc::clone(&self.world));
        self.ask_for(plugin, Some(order), move |engine| {
            let done = match order {
                Command::Load => engine.load(&id).map(drop),
                Command::Enable => engine.enable(&id),
                Command::Disable => engine.disable(&id),
                Command::Reset => engine.reset(&id),
                Command::Update => engine.update(&id),
                Command::Display => engine.display(&id).map(drop),
                Command::Unload => engine.unload(&id).map(|()| {
                    if let Some(world) = comes_back {
                        load_again_later(&world, engine.clone(), id.clone());
                    }
                }),
                Command::Reload => engine.reload(&id).map(drop),
                Command::Forget => engine.forget(&id),
            };
            done.map_err(|error| error.to_string())
        });
    }

    pub(crate) fn ask_for(
        &mut self,
        plugin: usize,
        order: Option<Command>,
        act: impl FnOnce(&Engine) -> Result<(), String> + 'static,
    ) {
        let (engine, world) = (self.engine.clone(), Rc::clone(&self.world));
        let asked = Rc::clone(&self.asked);
        let number = asked.borrow().len();
        asked.borrow_mut().push(Asked {
            plugin,
            order,
            at: world.now(),
            answer: None,
        });
        self.world.start_of_own("asks", move || {
            let done = act(&engine);
            asked.borrow_mut()[number].answer = Some((world.now(), done));
        });
    }

    /// Lets time pass, from one moment at which something happens to the next.
    pub(crate) fn pass(&mut self, time: Duration) -> Result<(), Violation> {
        let end = self.world.now() + time;
        loop {
            self.look()?;
            let now = self.world.now();
            if now >= end {
                return Ok(());
            }
            self.moments += 1;
            if self.moments > MOMENTS_MAX {
                return Ok(());
            }
            let tick = simulation::next_tick(&self.engine)
                .map(|tick| Duration::from_nanos(tick.as_nanos()))
                .filter(|tick| *tick > now);
            let next = [self.world.next_wake(), tick, self.checks.next_moment(now)]
                .into_iter()
                .flatten()
                .filter(|next| *next > now)
                .min();
            let next = next.unwrap_or(end).min(end);
            self.move_to(next);
        }
    }

    fn move_to(&mut self, next: Duration) {
        let now = self.world.now();
        self.world.set_now(next);
        self.clock.advance(next - now);
    }

    /// Has everybody do what they can do now.
    fn settle(&mut self) {
        self.world.settle();
        // The watchdog sees calls that have begun only when it looks.
        self.clock.advance(Duration::ZERO);
        self.world.settle();
    }

    /// Has everybody do what they can do now, and looks at what came of it.
    fn look(&mut self) -> Result<(), Violation> {
        self.settle();
        if let Some(panic) = panics::heard() {
            return Err(Violation::new(
                "X",
                format!("a thread of the engine panicked: {panic}"),
            ));
        }
        if let Some(violation) = self.world.violation.borrow_mut().take() {
            return Err(Violation::of_text(violation));
        }
        let asked = self.asked.borrow();
        let wall = plugin_engine::Clock::wall(&self.clock);
        self.checks.look(&self.world, &self.engine, &asked, wall)
    }

    /// Everything comes to its end: nothing goes wrong any more, plugins are unloaded, and the engine is shut down.
    fn end(&mut self) -> Result<(), Violation> {
        self.moments = 0;
        self.world.be_calm();
        self.pass(Duration::from_secs(2))?;
        if let (Some(watching), false) = (self.world.directory.watching(), self.is_shut_down) {
            self.pass(watching.rest())?;
            self.checks.at_rest(&self.engine)?;
        }
        if !self.is_shut_down {
            let known: Vec<_> = self.world.files_known();
            for plugin in known {
                self.ask(plugin, Command::Unload);
                self.pass(Duration::from_secs(2))?;
            }
            let asked = self.asked.borrow();
            self.checks.unloaded(&self.world, &self.engine, &asked)?;
        }
        self.shut_down(Duration::from_secs(2));
        self.pass(Duration::from_secs(3))?;
        let asked = self.asked.borrow();
        self.checks.ended(&self.world, &asked)
    }
}
