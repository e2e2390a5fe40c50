//! The engine in one thread: whoever would wait, start a thread, load a file or ask for the time goes through here.
//!
//! Compiled only with the feature `simulation`, for the crate `tests/simulation`; and even then nothing is different on a thread that has
//! no [`Stage`], but that there is no disk for the history. What lives here: what the simulation takes the place of. What never will: anything of the engine's own.

pub mod directory;
pub mod disk;
mod library;
mod tampering;

use std::cell::{Cell, RefCell};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use plugin_engine_core::{Event, FaultKind, FaultReport, Moment, Transition};

use crate::commands;
use crate::engine::Engine;
use crate::error::Error;
use crate::host::{HostOf, Listener};
use crate::plugins::LoadOutcome;
use crate::reload::{self, Trigger};

pub use library::{Calls, File, Refused};
pub use tampering::{Question, Tampering, tamper};

pub(crate) use library::load;
pub(crate) use tampering::{
    is_tampered_with, tampered_answer, tampered_due, tampered_entries_max, tampered_event,
    tampered_number, tampered_publish, tampered_step, tampered_stop_order, tampered_unmet,
};

/// What the simulated world does for the engine.
pub trait Stage {
    /// Gives the turn to others, until there is a reason to look again. Not called where [`Stage::is_on_thread`] says `false`.
    fn pause(&self, pause: Pause);

    /// Whether a simulated thread has the turn, which can wait; else it is who drives the simulation.
    fn is_on_thread(&self) -> bool;

    /// Says that somebody who waits may have a reason to look again.
    fn stir(&self);

    /// Starts a simulated thread.
    ///
    /// # Errors
    /// The simulated machine has no thread left.
    fn start(&self, name: &str, body: Box<dyn FnOnce()>) -> io::Result<()>;

    /// What is in a file. May pause for as long as verifying and mapping it takes.
    ///
    /// # Errors
    /// The file is none that can be loaded.
    fn load(&self, path: &Path) -> Result<File, Refused>;

    /// The disk of the simulated machine; `None` for an engine that keeps its history in memory only.
    fn disk(&self) -> Option<&dyn disk::Disk> {
        None
    }

    /// The plugin directory of the simulated machine; `None` where that is one of the real machine.
    fn directory(&self) -> Option<&dyn directory::Directory> {
        None
    }

    /// How much simulated time has passed.
    fn elapsed(&self) -> Duration;
}

/// Until when the turn is given away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Until anybody was told anything.
    UntilStirred,
    /// Until anybody was told anything, or for so much simulated time.
    UntilStirredFor(Duration),
    /// For so much simulated time.
    For(Duration),
    /// Only so that others may come in between.
    Briefly,
}

/// What of the engine belongs to a thread, for those that share one.
#[derive(Debug, Default)]
pub struct ThreadLocals {
    pub(crate) worker: (usize, usize),
    pub(crate) aside: (usize, u32),
    pub(crate) reloads: Vec<usize>,
    pub(crate) held_log: (usize, Vec<Transition>),
    pub(crate) task: u64,
}

impl ThreadLocals {
    /// Puts these in place of those that are there, and takes those.
    pub fn swap(&mut self) {
        crate::executor::swap_local(&mut self.worker, &mut self.aside);
        crate::turns::swap_local(&mut self.reloads);
        crate::transition_log::swap_local(&mut self.held_log);
        crate::supervisor::swap_local(&mut self.task);
    }
}

thread_local! {
    static STAGE: RefCell<Option<Rc<dyn Stage>>> = const { RefCell::new(None) };
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Has this thread be the stage from now on, or no longer.
pub fn set_stage(stage: Option<Rc<dyn Stage>>) {
    BEGAN.set(stage.as_ref().map(|_| Instant::now()));
    STAGE.set(stage);
}

fn stage() -> Option<Rc<dyn Stage>> {
    STAGE.with_borrow(Clone::clone)
}

/// Whether this is a simulated thread.
pub(crate) fn is_here() -> bool {
    stage().is_some_and(|stage| stage.is_on_thread())
}

/// Gives the turn to others.
pub(crate) fn pause(pause: Pause) {
    if let Some(stage) = stage().filter(|stage| stage.is_on_thread()) {
        stage.pause(pause);
    }
}

pub(crate) fn stir() {
    if let Some(stage) = stage() {
        stage.stir();
    }
}

/// Starts a thread, if there is a stage for it.
pub(crate) fn start(name: &str, body: impl FnOnce() + 'static) -> Option<io::Result<()>> {
    stage().map(|stage| stage.start(name, Box::new(body)))
}

pub(crate) fn is_staged() -> bool {
    stage().is_some()
}

/// The time of the simulation, as if it were that of the machine.
pub(crate) fn instant() -> Option<Instant> {
    let stage = stage()?;
    Some(BEGAN.get()? + stage.elapsed())
}

/// When the next tick comes, whether or not it leads to a call.
#[must_use]
pub fn next_tick(engine: &Engine) -> Option<Moment> {
    engine.shared().board.ledger.timers.lock().next_due()
}

/// How many calls are made beside those of the plugins: that are waited for, and that are not any more.
#[must_use]
pub fn asides(engine: &Engine) -> (usize, usize) {
    let asides = &engine.shared().executor.asides;
    (asides.running(), asides.stuck().len())
}

/// The number of the last transition that was given out.
#[must_use]
pub fn last_number(engine: &Engine) -> u64 {
    let ledger = &engine.shared().board.ledger;
    ledger.next_seq.load(std::sync::atomic::Ordering::SeqCst)
}

/// The threads that call plugins: all, and those in a call that has lasted a millisecond.
#[must_use]
pub fn threads(engine: &Engine) -> (usize, usize) {
    engine.shared().executor.threads()
}

/// What a plugin requires now, by its file and its configuration, one text each.
#[must_use]
pub fn required_by(engine: &Engine, id: &str) -> Vec<String> {
    let list = engine
        .shared()
        .board
        .registry
        .find(id)
        .and_then(|cell| cell.lock().required());
    list.iter()
        .flat_map(|list| list.iter().map(ToString::to_string))
        .collect()
}

/// The build that a plugin is loaded from, if it is loaded.
#[must_use]
pub fn active_build(engine: &Engine, id: &str) -> Option<u64> {
    let cell = engine.shared().board.registry.find(id)?;
    let guarded = cell.lock();
    let (build, _) = guarded
        .loaded
        .as_ref()?
        .library
        .fingerprint
        .split_first_chunk()?;
    Some(u64::from_le_bytes(*build))
}

/// What a look at the directory does about a file that has changed.
///
/// # Errors
/// Those of [`Engine::reload_file`].
pub fn file_changed(engine: &Engine, path: &Path) -> Result<Vec<LoadOutcome>, Error> {
    reload::reload_file(engine.shared(), path, Trigger::Changed)
}

/// What a look at the directory does about the plugin of a file that has gone.
///
/// # Errors
/// Those of [`Engine::unload`].
pub fn file_removed(engine: &Engine, id: &str) -> Result<(), Error> {
    commands::unload_by(engine.shared(), id, Event::FileRemoved)
}

/// A thread that the plugin has started panics, if the plugin is known.
pub fn thread_panics(engine: &Engine, id: &str) {
    let board = &engine.shared().board;
    if let Some(cell) = board.registry.find(id) {
        let report = FaultReport::new(FaultKind::ThreadPanic, "it was drawn to panic");
        board.thread_panicked(&HostOf::Plugin(cell.index), &report);
    }
}
