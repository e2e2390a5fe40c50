//! One run: the steps of a seed done to an engine, with a look at everything after each.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use plugin_engine::simulation::{self, Pause, Stage as _, ThreadLocals, tamper};
use plugin_engine::{Command, Engine, ManualClock, WallTime};
use tempfile::TempDir;

use crate::behaviour::{Build, Content};
use crate::checks::{Checks, Violation};
use crate::library::{self, BUILDS_MAX};
use crate::panics;
use crate::planted::Planted;
use crate::policy::{directory, id_of, path_in, policy_of};
use crate::requires::Requires;
use crate::step::{Change, Step};
use crate::world::World;

/// How long a create, a display, a destroy or the handing over of a state may take.
pub(crate) const OTHER_TIMEOUT: Duration = Duration::from_millis(400);
/// How long a load may take.
pub(crate) const LOAD_TIMEOUT: Duration = Duration::from_millis(600);
/// How many workers there are.
pub(crate) const WORKERS: usize = 2;
/// How many threads there may be that call plugins.
pub(crate) const THREADS_MAX: usize = 10;
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
    dir: Option<TempDir>,
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
    let clock = ManualClock::new(WallTime::from_unix_nanos(WALL));
    let engine = Engine::builder()
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
        .expect("an engine without files or threads can be built");
    let mut run = Run {
        checks: Checks::new(&engine),
        world: Rc::clone(&world),
        engine,
        clock,
        asked: Rc::default(),
        dir: own_directory(steps),
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
        transitions: simulation::last_number(&run.engine),
        calls: world.calls.get(),
    };
    tamper(None);
    world.leave();
    // Shut down, by which it lets go of what it holds; what was left above may hold it for good.
    drop(run);
    ThreadLocals::default().swap();
    simulation::set_stage(None);
    library::set_world(None);
    done.map(|()| report)
        .map_err(|failure| Failure { entries, ..failure })
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
            Step::Ask(_, Command::Forget) if self.is_anything_open() => return Ok(()),
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
        }
        self.look()
    }

    fn is_anything_open(&self) -> bool {
        let asked = self.asked.borrow();
        asked.iter().any(|asked| asked.answer.is_none())
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

    fn ask_for(
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

    /// Something happens to a file, and whoever watches the directory has the engine do something about it.
    fn change_file(&mut self, plugin: usize, change: Change) {
        let before = self.world.files.borrow().get(&plugin).copied();
        let newest = {
            let builds = self.world.builds.borrow();
            let of_plugin = builds
                .values()
                .filter(|build| build.number / BUILDS_MAX == plugin as u64);
            of_plugin.copied().max_by_key(|build| build.number)
        };
        let number = newest.map_or(plugin as u64 * BUILDS_MAX, |newest| newest.number + 1);
        let is_full = number / BUILDS_MAX != plugin as u64;
        let build = |character, has_state, version, requires| Build {
            number,
            version,
            character,
            has_state,
            requires,
        };
        let version = newest.map_or(10, |newest| newest.version);
        let content = match change {
            Change::Build(..) | Change::LowerBuild(_) if is_full => before,
            Change::Build(character, has_state, requires) => {
                self.note_requirements(&requires);
                let version = version + 1;
                Some(Content::Build(build(
                    character, has_state, version, requires,
                )))
            }
            Change::LowerBuild(character) => Some(Content::Build(build(
                character,
                false,
                version.saturating_sub(3),
                Requires::default(),
            ))),
            Change::Half => Some(Content::Bad),
            Change::Hanging => Some(Content::Hangs),
            Change::Gone => None,
            Change::Touched => before,
        };
        match content {
            Some(content) => {
                if let Content::Build(build) = content {
                    self.world.builds.borrow_mut().insert(build.number, build);
                }
                self.world.files.borrow_mut().insert(plugin, content);
                self.look_at_file(plugin);
            }
            None => {
                self.world.files.borrow_mut().remove(&plugin);
                self.ask_for(plugin, None, move |engine| {
                    simulation::file_removed(engine, &id_of(plugin))
                        .map_err(|error| error.to_string())
                });
            }
        }
    }

    /// The configuration of a plugin says something else, which whoever watches the directory notices as well.
    fn require(&mut self, plugin: usize, requires: &Requires) {
        self.note_requirements(requires);
        let path = self.path_of(plugin).with_extension("toml");
        let text = policy_of(plugin).text(requires);
        std::fs::write(path, text).expect("room for a small file");
        if self.world.files.borrow().contains_key(&plugin) {
            self.look_at_file(plugin);
        }
    }

    fn note_requirements(&self, requires: &Requires) {
        if !requires.is_empty() {
            self.world.has_requirements.set(true);
        }
    }

    fn look_at_file(&mut self, plugin: usize) {
        let path = self.path_of(plugin);
        self.ask_for(plugin, None, move |engine| {
            simulation::file_changed(engine, &path)
                .map(drop)
                .map_err(|error| error.to_string())
        });
    }

    fn path_of(&self, plugin: usize) -> PathBuf {
        let own = self.dir.as_ref().map(TempDir::path);
        path_in(own.unwrap_or(directory()), plugin)
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
            self.world.set_now(next);
            self.clock.advance(next - now);
        }
    }

    /// Has everybody do what they can do now, and looks at what came of it.
    fn look(&mut self) -> Result<(), Violation> {
        self.world.settle();
        // The watchdog sees calls that have begun only when it looks.
        self.clock.advance(Duration::ZERO);
        self.world.settle();
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

/// A directory of configurations for this run, if it changes any.
fn own_directory(steps: &[Step]) -> Option<TempDir> {
    let changes = steps.iter().any(|step| matches!(step, Step::Require(..)));
    changes.then(|| {
        let dir = TempDir::with_prefix("plugin-engine-simulation-").expect("a directory");
        for step in steps {
            if let Step::File(plugin, _) = step {
                let path = path_in(dir.path(), *plugin).with_extension("toml");
                let text = policy_of(*plugin).text(&Requires::default());
                std::fs::write(path, text).expect("room for a small file");
            }
        }
        dir
    })
}

/// As somebody might who watches the directory, a moment after there was an answer.
fn load_again_later(world: &Rc<World>, engine: Engine, id: String) {
    let waits = Rc::clone(world);
    world.start_of_own("watch", move || {
        waits.pause(Pause::For(Duration::from_millis(5)));
        let _ = engine.load(&id);
    });
}
