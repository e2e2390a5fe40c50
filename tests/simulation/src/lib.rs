//! The engine in one thread, over simulated time, plugins and files, with faults drawn from a seed.
//!
//! **Real** is everything that decides: the machine of the core, cells, snapshots, histories, the ledger, timers, the registry, batches,
//! slots, workers and their order of steps, the watchdog's look, calls beside those of plugins, restarts, the breaker, commands and their
//! turns, reloads from the candidate to the takeover or the roll-back, probation, what plugins require of each other, cycles, shutdown, the
//! supervisor, the writer of the history on disk, its numbers and the joining of disk and memory, the reading of the configurations, the load of
//! a directory, the watch of it (its thread, what settles when, what is done about which change, what is tried again and what is told), and
//! the crossing of the boundary into a plugin file and back.
//!
//! **Simulated** are: threads (each is a function with a stack of its own, and only one runs at a time; who is next is drawn, and a turn
//! may also end before any lock of a plugin is taken), condition variables (a wait ends whenever anybody was told anything), the clocks,
//! verifying and mapping files (a file is a line of data), the code of plugins (each call takes a time and ends in a way that is drawn),
//! the disk of the history (a list of batches; it is full, broken, locked or slow for a while, and outlives the engine: a process that is killed
//! ends where it is, and another one begins on what is there), and the plugin directory: in some runs there are names, what each is known by, and
//! texts, all of which change as files do that are written in pieces, replaced, taken away and put back, in a directory that is gone for a
//! while, and what the system reports of that comes, or some of it, or nothing; in the others somebody tells of each change at once. A panic of
//! a plugin is told and returned as the barrier in a plugin file does it; nothing unwinds.
//!
//! **Not covered**: what two processors see of each other's stores, which is for model checking; the format of the history on
//! disk and damage to it; the record of crashes; the engine's own file, a lock and signatures, where the directory is watched, and plugins that
//! require others there; a directory that comes back while its files are being read; files that other threads verify ahead;
//! signals, sockets, and what the system does.
//!
//! A run is a function of its seed and a list of steps, which is itself drawn from the seed: so steps can be left out until only those are
//! left that a failure needs. See [`hunt`].

mod behaviour;
mod chance;
mod checks;
mod directory;
mod disk;
mod fiber;
mod files;
mod hunt;
mod library;
mod panics;
mod planted;
mod policy;
mod requires;
mod run;
mod step;
mod world;

pub use behaviour::Character;
pub use checks::Violation;
pub use directory::Watching;
pub use disk::Trouble;
pub use files::Happens;
pub use hunt::{Found, first_failure, hunt, shrink};
pub use planted::Planted;
pub use requires::Requires;
pub use run::{Asked, Failure, Report, run};
pub use step::{Change, Step, steps_of};
