//! What a running engine and those who ask it say to each other, as JSON: the server writes these values, the command line reads them,
//! and `run --json` prints them.
//!
//! The field names are a promise to the programs that read them: fields are added, never renamed or taken away. Whoever reads
//! ignores fields that it does not know, and takes the name of a state, a cause or a kind that it does not know as a text like any other:
//! a newer engine may say more. All values are owned, plain data, `Send + Sync`.
//!
//! What never comes here: sockets, paths of requests, how anything is shown to a person.

#![forbid(unsafe_code)]

mod answer;
mod engine_info;
mod event;
mod fault;
mod liveness;
mod mark;
mod snapshot;
mod time;
mod transition;
mod usage;
mod view;
mod why;

use std::borrow::Cow;

pub use answer::{CommandDone, ErrorBody, ErrorText};
pub use engine_info::{EngineInfo, HistoryInfo, MappedLibrary, RefusedFile, StuckCall};
pub use event::{Event, Events};
pub use fault::Fault;
pub use liveness::{Livez, Readyz, Task, Tasks, Waiting};
pub use mark::{LostNumbers, Mark};
pub use snapshot::{FailuresInARow, InFlightCall, Plugins, Snapshot};
pub use time::Time;
pub use transition::{History, Lost, Transition};
pub use usage::{CallUsage, Percentiles, RecentUsage, Usage};
pub use view::View;
pub use why::Why;

/// One of a set of names that may grow, such as that of a state: not copied where the engine says it, owned where it was read.
pub type Word = Cow<'static, str>;

/// A text that is absent where it is empty.
fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
