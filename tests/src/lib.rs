//! The harness: builds plugin files once per run, drops copies of them into directories, and waits for conditions.

pub mod bad_files;
mod census;
mod contract;
mod every_plugin;
mod files;
pub mod foreign;
mod gate;
mod lines;
mod misconfigured;
mod program;
mod replaced;
mod rig;
mod scripted;
mod server;
mod slim;
mod sources;
mod stall;
mod watched;

pub use census::{ThreadHooks, is_mapped, sealed_copies};
pub use contract::{Contract, VERSION as CONTRACT_VERSION};
pub use every_plugin::write_every_plugin;
pub use files::{built, built_with_abort, patched, program, target_dir};
pub use gate::Gate;
pub use lines::{Line, count_lines, lines_about, lines_of, on_line};
pub use misconfigured::{misconfigured, problem_lines};
pub use program::{Ended, Running, command, ended, objects, threads_of};
pub use replaced::write_other_build;
pub use rig::{Rig, await_late, gated, time_out, wait_for};
pub use scripted::{RunAs, Scripted, Step};
pub use server::Server;
pub use slim::Builds;
pub use stall::StallClock;
pub use watched::{Watched, quick_to_remove, slow_to_remove};
