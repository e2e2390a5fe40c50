//! What lies in a plugin directory, and how that differs from what was there before.
//!
//! What lives here: what files are known by without reading them, a look at all of them, and what is known from the look before. What never will: reading or judging a
//! file, and anything that is done about a change.

mod known;
mod look;
mod observation;

pub(crate) use known::KnownFiles;
pub(crate) use look::{Places, look};
#[cfg(feature = "watch")]
pub(crate) use observation::DirectoryIdentity;
pub(crate) use observation::{Change, FileGroup, FileIdentity, Observation, Subject};
