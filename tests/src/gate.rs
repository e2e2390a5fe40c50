//! The test's side of the `gated` fixture: knows when a call has entered, and lets it go on.

use std::path::Path;

use tempfile::TempDir;

use crate::wait_for;

/// A directory through which a test and a gated plugin meet.
pub struct Gate {
    dir: TempDir,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self {
            dir: TempDir::new().expect("a directory can be made"),
        }
    }

    /// The settings of a gated plugin at this gate, as TOML; `more` is added.
    pub fn settings(&self, more: &str) -> String {
        format!("[settings]\ndir = {:?}\n{more}\n", self.path())
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Waits until the `n`-th call, from 1, stands in the gate.
    pub fn await_entry(&self, n: u32) {
        let file = self.path().join(format!("entered-{n}"));
        wait_for("the call to enter the gate", || file.exists());
    }

    /// Whether the `n`-th call has entered.
    pub fn has_entered(&self, n: u32) -> bool {
        self.path().join(format!("entered-{n}")).exists()
    }

    /// Lets the `n`-th call go on.
    pub fn open(&self, n: u32) {
        self.touch(&format!("open-{n}"));
    }

    /// Lets all calls go on.
    pub fn open_all(&self) {
        self.touch("open-all");
    }

    /// Waits until the `n`-th call is about to return.
    pub fn await_exit(&self, n: u32) {
        let file = self.path().join(format!("left-{n}"));
        wait_for("the call to leave the gate", || file.exists());
    }

    fn touch(&self, name: &str) {
        std::fs::write(self.path().join(name), "").expect("a file can be written");
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Gate {
    /// No call stays behind when its test has ended.
    fn drop(&mut self) {
        let _ = std::fs::write(self.path().join("open-all"), "");
    }
}
