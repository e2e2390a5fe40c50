//! Plugin files of which no two are the same, and the bare load of one.

#![allow(dead_code, reason = "what benchmarks share, of which each uses a part")]

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use plugin_engine_tests::built;

/// Copies of one plugin file that differ in their id, and so in their bytes.
pub(crate) struct Files {
    paths: Vec<PathBuf>,
    next: Cell<usize>,
}

impl Files {
    /// As many as one contestant needs, 4,096 at most.
    pub(crate) fn new(dir: &Path, prefix: u8, count: usize) -> Self {
        let whole = dir.join("whole");
        let stripped = Command::new("strip")
            .arg("-s")
            .arg("-o")
            .arg(&whole)
            .arg(built("noop"))
            .status()
            .expect("strip is installed");
        assert!(stripped.success(), "strip has failed");
        let bytes = std::fs::read(&whole).expect("a file can be read");
        let at = bytes
            .windows(8)
            .position(|window| window == b"\nid=noop")
            .expect("the manifest has an id");
        assert!(count <= 4_096, "three digits tell them apart");
        let paths = (0..count).map(|n| {
            let mut bytes = bytes.clone();
            bytes[at + 4] = prefix;
            bytes[at + 5..at + 8].copy_from_slice(format!("{n:03x}").as_bytes());
            let path = dir.join(format!("{}{n:03x}.so", prefix as char));
            std::fs::write(&path, bytes).expect("a file can be written");
            path
        });
        Self {
            paths: paths.collect(),
            next: Cell::new(0),
        }
    }

    /// All of them.
    pub(crate) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    pub(crate) fn next(&self) -> &Path {
        let n = self.next.get();
        self.next.set(n + 1);
        &self.paths[n]
    }

    pub(crate) fn len(&self) -> u64 {
        std::fs::metadata(&self.paths[0]).map_or(0, |metadata| metadata.len())
    }
}

/// What everybody has to do who loads a plugin.
pub(crate) fn dlopen(path: &Path) {
    // SAFETY: the file is a plugin of this workspace, whose constructors do nothing but what Rust's own do.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
    let library = library.expect("the file can be loaded");
    // SAFETY: the symbol is only looked up, never used.
    let symbol = unsafe { library.get::<*const ()>(plugin_api::HEADER_SYMBOL.as_bytes()) };
    symbol.expect("the symbol is there");
    // Code stays mapped, as the engine's does.
    std::mem::forget(library);
}
