//! H2–H4 and L12: what follows from what, by which policy, and how often it is said.

mod after_failures;
mod after_panics;
mod back_off;
mod cells;
mod episodes;
mod limits;
mod probation;
mod waiting;
