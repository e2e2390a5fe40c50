//! What is told of the plugin files that are mapped.

use std::fmt;
use std::path::PathBuf;

use plugin_engine_core::{PluginId, WallTime, escape_control};

use crate::config::UnmapPolicy;

/// A plugin file whose code is in this process, used or not. A copy: nothing in the engine changes through it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MappedLibrary {
    /// The file, as it was named when it was mapped. It may have been replaced or removed since.
    pub file: PathBuf,
    /// The id in its manifest.
    pub id: PluginId,
    /// The version in its manifest.
    pub version: String,
    /// The hash by which the engine tells files apart (BLAKE3), in hexadecimal.
    pub fingerprint: String,
    /// How much of the address space its code and data take, in bytes; 0 where the system does not say.
    pub bytes: u64,
    /// Since when it is mapped.
    pub mapped_at: WallTime,
    /// Since when nothing uses it; `None` while a plugin does.
    pub retired_at: Option<WallTime>,
    /// What was asked for by those who used it last.
    pub unmap: UnmapPolicy,
    /// Why it is mapped, in words.
    pub why: String,
}

impl fmt::Display for MappedLibrary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, version) = (self.file.display(), escape_control(&self.version));
        write!(f, "{file}: {} {version}: {}", self.id, self.why)
    }
}

/// How many plugin files are mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Count {
    pub(crate) in_use: usize,
    pub(crate) retired: usize,
}

impl Count {
    pub(crate) fn all(self) -> usize {
        self.in_use + self.retired
    }
}
