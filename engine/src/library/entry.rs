//! One mapped file in the ledger.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use plugin_engine_core::{PluginId, WallTime};

use super::ledger::{Arrival, Fit, Retired};
use super::mapped::MappedLibrary;
use super::mapping::Mapping;
use super::{LoadedLibrary, Unfit};
use crate::config::UnmapPolicy;
use crate::digest::{Fingerprint, LazyDigest, hex};
use crate::manifest::Manifest;

/// One mapped file.
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) fingerprint: Fingerprint,
    pub(super) sha256: Arc<LazyDigest>,
    pub(super) found: Result<Fit, Unfit>,
    pub(super) standing: Standing,
    /// What is wanted to become of it, by the last word of each of its users.
    pub(super) wanted: BTreeMap<PluginId, UnmapPolicy>,
    /// `None` while it is being unmapped.
    pub(super) mapping: Option<Mapping>,
    objection: Option<String>,
    bytes: u64,
    mapped_at: WallTime,
}

/// How a mapped file stands.
pub(super) enum Standing {
    /// Used, as long as that lives.
    InUse(Weak<LoadedLibrary>),
    /// Used by nothing.
    Retired {
        since: WallTime,
        stint: u64,
        /// Why it could not be unmapped, as it was found last.
        why: Option<String>,
    },
    /// Being unmapped.
    Leaving { since: WallTime, stint: u64 },
    /// Neither to be used again nor to be unmapped.
    Behind { since: WallTime, why: String },
}

impl Entry {
    /// A file that has no user yet.
    pub(super) fn new(
        arrival: Arrival,
        mapping: Mapping,
        found: Result<Fit, Unfit>,
        now: WallTime,
    ) -> Self {
        Self {
            number: arrival.number,
            path: arrival.path,
            manifest: arrival.manifest,
            fingerprint: arrival.fingerprint,
            sha256: arrival.sha256,
            objection: arrival.objection,
            found,
            standing: Standing::Retired {
                since: now,
                stint: 0,
                why: None,
            },
            wanted: BTreeMap::new(),
            bytes: mapping.len(),
            mapping: Some(mapping),
            mapped_at: now,
        }
    }

    pub(super) fn is_in_use(&self) -> bool {
        matches!(&self.standing, Standing::InUse(library) if library.strong_count() > 0)
    }

    /// What all who used it want; that it stays if nobody has said anything.
    fn unmap(&self) -> UnmapPolicy {
        let mut wanted = self.wanted.values();
        let safe = !self.wanted.is_empty() && wanted.all(|one| *one == UnmapPolicy::WhenSafe);
        if safe {
            UnmapPolicy::WhenSafe
        } else {
            UnmapPolicy::Never
        }
    }

    /// What unmapping it has to know; `None` if it is used, or not to be unmapped.
    pub(super) fn retired(&self) -> Option<Retired> {
        let Standing::Retired { stint, .. } = self.standing else {
            return None;
        };
        (self.unmap() == UnmapPolicy::WhenSafe).then(|| Retired {
            number: self.number,
            stint,
            path: self.path.clone(),
            object: self
                .mapping
                .as_ref()
                .and_then(|mapping| mapping.object().cloned()),
            objection: self.objection.clone(),
        })
    }

    pub(super) fn told(&self) -> MappedLibrary {
        let unmap = self.unmap();
        let (retired_at, why) = match &self.standing {
            Standing::InUse(_) => (None, "in use".to_owned()),
            Standing::Retired { since, why, .. } => {
                let why = match (unmap, why) {
                    (UnmapPolicy::WhenSafe, Some(why)) => why.clone(),
                    (UnmapPolicy::WhenSafe, None) => "it is about to be unmapped".to_owned(),
                    _ => format!("unmap = \"{unmap}\" holds for it"),
                };
                (Some(*since), format!("{}, still mapped: {why}", self.end()))
            }
            Standing::Leaving { since, .. } => {
                let why = format!("{}, is just being unmapped", self.end());
                (Some(*since), why)
            }
            Standing::Behind { since, why } => {
                (Some(*since), format!("{}, still mapped: {why}", self.end()))
            }
        };
        MappedLibrary {
            file: self.path.clone(),
            id: self.manifest.id.clone(),
            version: self.manifest.version.clone(),
            fingerprint: hex(&self.fingerprint),
            bytes: self.bytes,
            mapped_at: self.mapped_at,
            retired_at,
            unmap,
            why,
        }
    }

    /// How it came to be used no more.
    fn end(&self) -> String {
        match &self.found {
            Ok(_) => "unloaded".to_owned(),
            Err(Unfit::Contract(reason) | Unfit::Schema(reason)) => {
                format!("no plugin ({reason})")
            }
        }
    }
}
