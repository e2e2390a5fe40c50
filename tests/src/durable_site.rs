//! A plugin directory and a state directory for tests of what outlives an engine.

use std::path::PathBuf;
use std::time::Duration;

use plugin_engine::{Engine, ManualClock, WallTime};
use tempfile::TempDir;

use crate::files::built;

const BUDGET: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

/// A plugin directory and a state directory, which several engines have one after another.
pub struct DurableSite {
    pub dir: TempDir,
    pub clock: ManualClock,
}

impl DurableSite {
    /// Two empty directories.
    #[allow(clippy::new_without_default, reason = "a test says what it makes")]
    pub fn new() -> Self {
        let site = Self {
            dir: TempDir::new().unwrap(),
            clock: ManualClock::new(WallTime::from_unix_nanos(1_767_225_600_000_000_000)),
        };
        std::fs::create_dir(site.dir.path().join("plugins")).unwrap();
        site
    }

    /// One with these plugins: each the file of a crate, under an id.
    pub fn of(names: &[(&str, &str)]) -> Self {
        let site = Self::new();
        for (name, id) in names {
            let plugins = site.dir.path().join("plugins");
            std::fs::copy(built(name), plugins.join(format!("{id}.so"))).unwrap();
            let config = format!("id = \"{id}\"\ninterval = \"1s\"\n");
            std::fs::write(plugins.join(format!("{id}.toml")), config).unwrap();
        }
        site
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The history.
    pub fn file(&self) -> PathBuf {
        self.state().join("history.db")
    }

    /// An engine over them, with nothing loaded.
    pub fn engine(&self) -> Engine {
        Engine::builder()
            .plugin_dir(self.dir.path().join("plugins"))
            .state_dir(self.state())
            .clock(self.clock.clone())
            .build()
            .unwrap()
    }

    /// An engine that has loaded what there is.
    pub fn loaded(&self) -> Engine {
        let engine = self.engine();
        for outcome in engine.load_all() {
            assert!(outcome.is_good(), "{outcome}");
        }
        engine
    }

    /// So many cycles, a second apart.
    pub fn cycles(&self, engine: &Engine, count: usize) {
        for _ in 0..count {
            engine.run_cycle();
            self.clock.advance(SECOND);
        }
    }

    /// Holds the file so that nobody else can write to it.
    pub fn lock(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.file()).unwrap();
        connection.busy_timeout(BUDGET).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        connection
    }
}
