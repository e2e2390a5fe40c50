//! Builds of one plugin that differ, each put in the place of the one before as one should.

use std::cell::Cell;
use std::fs::File;
use std::path::{Path, PathBuf};

use plugin_engine_tests::Builds;

/// Builds that were written before anything is measured.
pub(crate) struct Replacements {
    dir: PathBuf,
    count: u64,
    next: Cell<u64>,
}

impl Replacements {
    /// So many, in files in this directory.
    pub(crate) fn written(dir: &Path, count: usize) -> Self {
        let made = Self {
            dir: dir.to_owned(),
            count: count as u64,
            next: Cell::new(0),
        };
        let builds = Builds::of("noop");
        for number in 0..made.count {
            let new = made.file(number, "new");
            builds.write(number, &new);
            // What the system does about files is no part of what is measured: here they are on the disk already, and under a second name
            // there is nothing to delete when the first one is replaced.
            let synced = File::open(&new).and_then(|file| file.sync_all());
            synced.expect("a file can be written to the disk");
            std::fs::hard_link(&new, made.file(number, "kept")).expect("a file can have two names");
        }
        made
    }

    fn file(&self, number: u64, extension: &str) -> PathBuf {
        self.dir.join(format!("{number}.{extension}"))
    }

    /// Puts the next build in the place of `file`.
    pub(crate) fn put(&self, file: &Path) {
        let number = self.next.get();
        assert!(number < self.count, "there is one for each");
        self.next.set(number + 1);
        std::fs::rename(self.file(number, "new"), file).expect("a file can be renamed");
    }
}
