//! Conformance of one plugin file: what a host would trip over, found by running the real engine over the file alone, in child
//! processes of this program.
//!
//! `conduct` decides which checks are made and what follows from each; `child` starts a process, listens to it and knows what to make of
//! its end; `parts` is what such a process does. A crash or a hang of the plugin ends one child, and is a finding of the check that was
//! being made. What never comes here: an opinion on a file that the engine has none on, and how the command line is read.

mod check;
mod child;
mod conduct;
mod files;
mod parts;
mod settings;
mod show;
mod task;

pub(crate) use child::is_child;
pub(crate) use conduct::{Conclusion, Request, validate};
pub(crate) use parts::run as run_part;
pub(crate) use show::{json, lines};
