//! The promises of the machine, one sentence each: what it keeps of an error, how a call ends, when a plugin is due.

#[path = "../rig/mod.rs"]
mod rig;

mod breaker;
mod calls;
mod counts;
mod errors;
mod hung;
mod panics;
mod policies;
mod reloads;
mod requirements;
mod stuck;
mod ticks;
