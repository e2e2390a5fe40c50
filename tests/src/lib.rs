//! The harness: builds plugin files once per run, drops copies of them into directories, and waits for conditions.

mod files;
mod gate;
mod rig;

pub use files::{built, program, target_dir};
pub use gate::Gate;
pub use rig::{Rig, wait_for};
