//! The director: does one thing after another to the engine, as the seed draws them. It judges only what it is answered.

mod commands;
mod files;
mod lifecycle;
mod pressure;
mod streams;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::ask::Way;
use crate::disturbances::{Disturbances, Kind};
use crate::engine::Engine;
use crate::journal::Journal;
use crate::moment;
use crate::observer::{EventQueue, Observer};
use crate::random::Random;
use crate::site::Site;
use crate::sleeper::Sleeper;

pub(crate) use pressure::{burn, hold};

/// How long nobody may answer while the process runs.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How often the observer looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How many things may be done beside each other.
const BESIDE_MAX: usize = 40;

/// What all threads of a run share.
pub(crate) struct World {
    pub(crate) site: Site,
    pub(crate) journal: Arc<Journal>,
    disturbances: Disturbances,
    observer: Mutex<Observer>,
    /// The process that runs and answers.
    up: RwLock<Option<Up>>,
    events: EventQueue,
    /// Ids that are known.
    known: Arc<Mutex<Vec<String>>>,
    /// How many threads do something.
    beside: AtomicUsize,
    is_over: AtomicBool,
}

/// A process that answers.
#[derive(Clone)]
struct Up {
    run: u32,
    socket: Way,
    http: Option<Way>,
}

impl World {
    pub(crate) fn new(site: Site, journal: Arc<Journal>) -> Self {
        let disturbances = Disturbances::default();
        let events = EventQueue::default();
        let known = Arc::default();
        let sleeper = Sleeper::start();
        let observer = Observer::new(
            &site,
            Arc::clone(&journal),
            sleeper,
            disturbances.clone(),
            Arc::clone(&events),
            Arc::clone(&known),
        );
        Self {
            site,
            journal,
            disturbances,
            observer: Mutex::new(observer),
            up: RwLock::new(None),
            events,
            known,
            beside: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    fn observer(&self) -> std::sync::MutexGuard<'_, Observer> {
        self.observer
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn up(&self) -> Option<Up> {
        self.up
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .clone()
    }

    fn set_up(&self, up: Option<Up>) {
        *self
            .up
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = up;
    }

    /// Whether this process still runs and was not kept from its work since that moment: then it has to have answered.
    fn must_answer(&self, run: u32, since: moment::Micros) -> bool {
        let is_up = self.up().is_some_and(|up| up.run == run);
        is_up
            && !self.disturbances.any(
                Kind::Stopped,
                since.saturating_sub(moment::SECOND),
                moment::now(),
            )
    }

    /// Does something on a thread of its own, unless there are too many.
    fn beside(self: &Arc<Self>, what: impl FnOnce(&Arc<Self>) + Send + 'static) {
        if self.beside.fetch_add(1, Ordering::SeqCst) >= BESIDE_MAX {
            self.beside.fetch_sub(1, Ordering::SeqCst);
            return;
        }
        let world = Arc::clone(self);
        thread::spawn(move || {
            what(&world);
            world.beside.fetch_sub(1, Ordering::SeqCst);
        });
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Sleeps, or until all is over.
    fn sleep(&self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end && !self.is_over() {
            thread::sleep(Duration::from_millis(20).min(end - Instant::now().min(end)));
        }
    }
}

/// Lets the observer look again and again.
fn observe(world: &World) {
    let mut silent_since: Option<(u32, Instant)> = None;
    while !world.is_over() {
        thread::sleep(LOOK_EVERY);
        let Some(up) = world.up() else {
            silent_since = None;
            continue;
        };
        let begin = moment::now();
        let looked = world.observer().look();
        match looked {
            Ok(()) => silent_since = None,
            Err(error) if world.must_answer(up.run, begin) => {
                let (run, since) = *silent_since.get_or_insert((up.run, Instant::now()));
                if run == up.run && since.elapsed() > SILENCE_MAX {
                    world
                        .journal
                        .found("answers", format!("nobody answers: {error}"));
                    silent_since = None;
                }
                world
                    .journal
                    .did(format!("the observer is not answered: {error}"));
            }
            Err(_) => silent_since = None,
        }
    }
}

/// Does chaos for so long.
pub(crate) fn direct(world: &Arc<World>, random: &mut Random, time: Duration) {
    let end = Instant::now() + time;
    let observer = {
        let world = Arc::clone(world);
        thread::spawn(move || observe(&world))
    };
    let mut run = 0;
    let mut engine: Option<Engine> = None;
    let mut armed = files::Armed::default();
    let mut calm_until = Instant::now();
    while Instant::now() < end {
        engine = match engine {
            Some(engine) => {
                let is_calm = Instant::now() < calm_until;
                step(world, random, engine, &mut armed, is_calm)
            }
            None => {
                let calm = if random.chance(40) {
                    random.within(0, 3)
                } else {
                    random.within(10, 50)
                };
                calm_until = Instant::now() + Duration::from_secs(calm);
                lifecycle::start(world, random, &mut run, &mut armed)
            }
        };
        if engine.is_none() && run >= lifecycle::FAILED_STARTS_MAX && lifecycle::is_hopeless(world)
        {
            break;
        }
        thread::sleep(Duration::from_millis(random.within(5, 90)));
    }
    if let Some(engine) = engine {
        lifecycle::terminate(world, engine);
    }
    world.is_over.store(true, Ordering::SeqCst);
    let _ = observer.join();
    let begin = Instant::now();
    while world.beside.load(Ordering::SeqCst) > 0 && begin.elapsed() < Duration::from_secs(30) {
        thread::sleep(Duration::from_millis(20));
    }
}

/// Does one thing. `None` is the end of the process, which nobody brings about while `is_calm`: what takes time needs some.
fn step(
    world: &Arc<World>,
    random: &mut Random,
    mut engine: Engine,
    armed: &mut files::Armed,
    is_calm: bool,
) -> Option<Engine> {
    if let Ok(Some(status)) = engine.ended() {
        lifecycle::ended_by_itself(world, engine, status);
        return None;
    }
    match random.within(0, 1_000) {
        0..300 => files::change(world, random),
        300..340 => files::configure_engine(world, random),
        340..352 if !is_calm => armed.arm_one(world, random),
        352..560 => commands::command(world, random),
        560..800 => commands::query(world, random),
        800..820 => commands::run_program(world, random),
        820..900 => streams::open(world, random),
        900..906 => lifecycle::hang_up(world, &engine),
        906..914 => lifecycle::stop_and_continue(world, random, &engine),
        914..924 => pressure::burn_processors(world, random),
        924..929 => pressure::take_memory(world, random),
        929..934 => pressure::fill_disk(world, random),
        955..958 => commands::inspect(world, random),
        934..938 => files::move_directory_away(world, random),
        938..950 => commands::reset_sentinel(world),
        950..955 => commands::forget(world, random),
        958..966 if !is_calm => return lifecycle::kill(world, engine),
        966..970 if !is_calm => return lifecycle::terminate(world, engine),
        _ => {}
    }
    Some(engine)
}
