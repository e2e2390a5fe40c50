//! The harness: builds plugin files once per run, drops copies of them into directories, and waits for conditions.

mod files;
mod gate;
mod lines;
mod program;
mod rig;
mod server;
mod stall;

pub use files::{built, patched, program, target_dir};
pub use gate::Gate;
pub use lines::{Line, lines_of, on_line};
pub use program::{Ended, command, ended};
pub use rig::{Rig, await_late, gated, time_out, wait_for};
pub use server::Server;
pub use stall::StallClock;
