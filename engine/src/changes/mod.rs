//! What lies in a plugin directory, and how that differs from what was there before.
//!
//! What lives here: what files are known by without reading them, and a look at all of them. What never will: reading or judging a
//! file, and anything that is done about a change.

mod look;
mod observation;

pub(crate) use look::{Places, look};
pub(crate) use observation::{Change, FileGroup, FileIdentity, Groups, Observation, Subject};
