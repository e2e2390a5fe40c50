//! An engine over a directory of its own, mostly with a clock that stands still.

use std::path::Path;
use std::time::{Duration, Instant};

use plugin_engine::{
    Cause, Clock, Engine, EngineBuilder, LoadOutcome, ManualClock, PluginState, Snapshot,
    Transition, WallTime,
};
use tempfile::TempDir;

use crate::{Gate, built};

/// Waits until `condition` holds. It is no test of time: a condition that never comes true fails, however slow the machine.
///
/// # Panics
/// The condition has not come true within a minute.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < until, "waited a minute for {what}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_micros(200));
    }
}

/// An engine over a directory of its own.
pub struct Rig {
    /// The engine.
    pub engine: Engine,
    /// Its clock. Meaningless in a rig with the machine's clock.
    pub clock: ManualClock,
    dir: TempDir,
}

/// The wall clock of a rig begins here: 2026-01-01 UTC.
const BEGIN: u64 = 1_767_225_600_000_000_000;

impl Rig {
    /// An engine with a manual clock over an empty directory.
    pub fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// [`Rig::new`], with more said to the builder.
    pub fn with(more: impl FnOnce(EngineBuilder) -> EngineBuilder) -> Self {
        let clock = ManualClock::new(WallTime::from_unix_nanos(BEGIN));
        let same = clock.clone();
        Self::build(clock, |builder| more(builder.clock(same)))
    }

    /// An engine with the machine's clock.
    pub fn real(more: impl FnOnce(EngineBuilder) -> EngineBuilder) -> Self {
        Self::build(ManualClock::new(WallTime::default()), more)
    }

    fn build(clock: ManualClock, more: impl FnOnce(EngineBuilder) -> EngineBuilder) -> Self {
        let dir = TempDir::new().expect("a directory can be made");
        let builder = Engine::builder().plugin_dir(dir.path());
        let engine = more(builder).build().expect("the engine can be built");
        Self { engine, clock, dir }
    }

    /// The plugin directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Drops the plugin file of a crate into the directory, under its own name.
    pub fn drop_in(&self, name: &str) {
        self.drop_as(name, name, "");
    }

    /// Drops the plugin file of a crate into the directory as the plugin `id`, with this configuration beside it.
    pub fn drop_as(&self, name: &str, id: &str, config: &str) {
        std::fs::copy(built(name), self.dir().join(format!("{id}.so")))
            .expect("a file can be copied");
        let config = format!("id = \"{id}\"\n{config}");
        std::fs::write(self.dir().join(format!("{id}.toml")), config)
            .expect("a file can be written");
    }

    /// Loads everything and expects it to be good.
    pub fn load(&self) {
        for outcome in self.engine.load_all() {
            assert!(outcome.is_good(), "{outcome}");
        }
    }

    /// Loads everything.
    pub fn load_any(&self) -> Vec<LoadOutcome> {
        self.engine.load_all()
    }

    /// Moves the clock.
    pub fn advance(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    /// What the wall clock reads.
    pub fn now(&self) -> WallTime {
        self.clock.wall()
    }

    /// A snapshot.
    pub fn snapshot(&self, id: &str) -> Snapshot {
        self.engine.snapshot(id)
    }

    /// The state.
    pub fn state(&self, id: &str) -> PluginState {
        self.snapshot(id).state
    }

    /// The history, oldest first.
    pub fn history(&self, id: &str) -> Vec<Transition> {
        self.engine.history(id).into_iter().collect()
    }

    /// The causes of the history, oldest first.
    pub fn causes(&self, id: &str) -> Vec<Cause> {
        self.history(id).iter().map(|entry| entry.cause).collect()
    }

    /// The error that stands, as `kind: message`.
    pub fn error(&self, id: &str) -> Option<String> {
        self.snapshot(id).error.map(|error| error.to_string())
    }
}

impl Default for Rig {
    fn default() -> Self {
        Self::new()
    }
}

/// A rig with one gated plugin.
pub fn gated(gate: &Gate, id: &str, more: &str) -> Rig {
    let rig = Rig::new();
    rig.drop_as("gated", id, &gate.settings(more));
    rig.load();
    rig
}

/// Starts an update that stands in the gate as its `n`-th call, and lets its deadline pass.
pub fn time_out(rig: &Rig, gate: &Gate, n: u32) {
    let cycle = rig.engine.start_cycle();
    gate.await_entry(n);
    rig.advance(500);
    assert_eq!(cycle.wait().timed_out, 1);
}

/// Waits until so many abandoned calls of a plugin have returned.
pub fn await_late(rig: &Rig, id: &str, count: u64) {
    wait_for("the late return", || rig.snapshot(id).counts.late == count);
}
