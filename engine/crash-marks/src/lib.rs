//! Which plugin each thread is calling, in a file that outlives the process, and marks in it of how the process came to its end.
//!
//! A [`Record`] is a file mapped into memory. A thread that calls plugins is attached to it ([`Record::attach`]); from then on [`begin`]
//! and [`end`] write what it calls, with a few plain stores. A process that is killed leaves the file as it was at that moment, and
//! [`Remains::read`] says afterwards what that was.
//!
//! That a plugin was being called when the process ended says little: somebody may have killed the process. [`install`] has handlers of
//! fatal signals and of the exit leave a mark on the very thread on which that happened, which says that it was that call.
//!
//! ```
//! use plugin_engine_crash_marks::{Call, Name, Record, Remains, Role, Start, begin, end};
//!
//! # fn main() -> std::io::Result<()> {
//! # let dir = tempfile::tempdir()?;
//! let path = dir.path().join("calls");
//! let record = Record::create(&path, &Start { threads: 8, opened_ns: 1, boot_id: "none" })?;
//! let name = Name { id: "clock".into(), path: "libclock.so".into(), digest: [0; 32] };
//! let number = record.enter(&[name])?;
//! let attached = record.attach(Role::Worker);
//! begin(number, Call::Update, 5);
//! let remains = Remains::read(&std::fs::read(&path)?).expect("it was written just now");
//! end();
//! drop(attached);
//! assert_eq!(remains.calls[0].call, Call::Update);
//! assert!(remains.calls[0].mark.is_none(), "nothing has happened");
//! # Ok(())
//! # }
//! ```
//!
//! What lives here: the file, the marks, and how they are read. What never will: what follows from them.

mod current;
mod handlers;
mod layout;
mod marking;
mod record;
mod remains;

pub use current::{Attached, begin, end};
pub use handlers::install;
pub use layout::{Call, How, Name, Role};
pub use marking::exiting;
pub use record::{Record, Start};
pub use remains::{CallLeft, Mark, Remains, RunId, Unreadable};

/// The most bytes that the names in a record take. What comes later gets no name, and calls of it are not recorded.
pub const NAMES_LEN_MAX: u64 = 256 * 1024 * 1024;
/// The most threads that are attached to one record.
pub const THREADS_MAX: usize = 1 << 17;
