//! The history of plugins on disk: one SQLite file, written by one thread and read by many.
//!
//! ```
//! use plugin_engine_core::HistoryFilter;
//! use plugin_engine_history_store::{Batch, EngineRecord, Reader, Started, Store};
//! # use plugin_engine_core::WallTime;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let path = dir.path().join("history.db");
//! let (mut store, opened) = Store::open(&path)?;
//! let seq = opened.last_seq + 1;
//! let started = Started { seq, at: WallTime::default(), pid: 1, version: "0.1.0".into(), lost: None };
//! store.append(&Batch {
//!     first_seq: seq,
//!     last_seq: seq,
//!     plugins: Vec::new(),
//!     engine: vec![EngineRecord::Started(started)],
//!     rows: Vec::new(),
//! })?;
//! let entries = Reader::open(&path)?.query(&HistoryFilter::default(), u64::MAX)?;
//! assert_eq!(entries[0].seq(), seq);
//! # Ok(())
//! # }
//! ```
//!
//! An index entry for every transition is what makes a plain table slow. Here a row holds many entries of one plugin, and only
//! rows are in order: by plugin and number, so that the newest entries of a plugin lie together. `SCHEMA.md` describes the
//! file for people with an SQLite shell.
//!
//! What lives here: the file, its format and its limits. What never will: clocks, threads, and when to write.
//!
//! The arrows: error, schema ← batch ← text, runs ← rows ← plugins, engine_runs, history_entry ← merge, retention ← connection ← walk ← reader,
//! store. What lies to the left knows nothing of what lies to the right, and a reader and a store nothing of each other.

mod batch;
mod batch_entries;
mod connection;
mod engine_runs;
mod error;
mod history_entry;
mod merge;
mod plugins;
mod reader;
mod retention;
mod rows;
mod runs;
mod schema;
mod set_aside;
mod store;
mod text;
mod walk;

pub use batch::{
    Batch, Change, EngineRecord, Entry, Folded, Gap, PluginEntries, PluginRow, Started, Stopped,
    Update,
};
pub use connection::StoreOptions;
pub use engine_runs::EngineRun;
pub use error::{StoreError, StoreErrorKind};
pub use history_entry::HistoryEntry;
pub use reader::Reader;
pub use retention::{RETAIN_STEP, Retained};
pub use set_aside::set_aside;
pub use store::{Opened, Store};
