//! Every plugin and every bad file of this repository as the replacement of a healthy plugin that counts: whatever is refused leaves the
//! same instance counting, the reason in the history, and nothing behind.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use plugin_engine::{Cause, LoadOutcome, PluginState};
use plugin_engine_tests::bad_files::write_all;
use plugin_engine_tests::{Gate, Rig, built, wait_for, write_every_plugin};
use tempfile::TempDir;

/// Held by each test: they count what the whole process has open and mapped.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the healthy plugin is told.
const HEALTHY: &str = "id = \"counter\"\nallow_downgrade = true\n";

/// A healthy plugin and how far it has counted.
struct Counter {
    rig: Rig,
    count: u64,
}

impl Counter {
    fn new(rig: Rig) -> Self {
        let mut counter = Self { rig, count: 0 };
        counter.put_healthy();
        counter.rig.load();
        counter.counts_on();
        counter
    }

    fn put_healthy(&self) {
        let copy = self.rig.dir().join("healthy");
        std::fs::copy(built("keeps-state"), &copy).unwrap();
        self.put(&copy, HEALTHY);
    }

    /// Moves a file to the place of the plugin's, and writes this beside it.
    fn put(&self, file: &Path, config: &str) {
        let path = self.rig.dir().join("counter.so");
        let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
        std::fs::rename(file, &path).expect("both directories are on one file system");
        std::fs::write(self.rig.dir().join("counter.toml"), config).unwrap();
    }

    /// It counts one further, and nothing stands against it.
    fn counts_on(&mut self) {
        self.rig.engine.update("counter").expect("it is healthy");
        self.count += 1;
        assert_eq!(self.shown(), self.count);
        assert_eq!(self.rig.error("counter"), None);
        assert_eq!(self.rig.state("counter"), PluginState::Enabled);
    }

    /// How far it says that it has counted.
    fn shown(&self) -> u64 {
        let view = self.rig.engine.display("counter").unwrap();
        let text = view.as_text().expect("it is a text");
        text.parse().expect("it is a number")
    }

    /// Reloads, and says whether the replacement took over; if it did not, the instance of before counts on.
    fn try_reload(&mut self, what: &str) -> bool {
        let path = self.rig.dir().join("counter.so");
        let before = self.rig.snapshot("counter");
        let outcomes = self.rig.engine.reload_file(&path).unwrap();
        let [outcome] = outcomes.as_slice() else {
            panic!("{what}: {outcomes:?}");
        };
        match outcome {
            LoadOutcome::Reloaded { .. } => true,
            LoadOutcome::ReloadRefused { error, .. } => {
                let entry = self.rig.engine.history("counter").newest_first().limit(1);
                let entry = entry.into_iter().next().unwrap();
                assert_eq!(entry.cause, Cause::ReloadRefused, "{what}");
                let said = entry.error.unwrap();
                let reason = error.to_string();
                assert!(reason.len() < 2_000 && !reason.chars().any(char::is_control));
                assert_eq!(*said.type_name, *error.code().as_str(), "{what}: {reason}");
                let after = self.rig.snapshot("counter");
                assert_eq!(after.generation, before.generation, "{what}");
                assert_eq!(after.counts, before.counts, "{what}: {reason}");
                assert_eq!(after.next_update, before.next_update, "{what}");
                self.counts_on();
                false
            }
            other => panic!("{what}: {other}"),
        }
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// How many plugin files are mapped: each is a memory file with the name of its own.
fn mapped() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let starts = |line: &&str| line.contains("memfd:") && line.contains(" 00000000 ");
    maps.lines().filter(starts).count()
}

#[test]
fn a_bad_file_in_the_place_of_a_plugin_that_counts_changes_nothing_and_leaves_nothing() {
    let _alone = alone();
    let dir = TempDir::new().unwrap();
    let files = write_all(dir.path());
    let mut counter = Counter::new(Rig::new());
    let before = (descriptors(), mapped());
    let mut refused = 0;
    let mut kept = 0;
    for file in files.iter().filter(|file| !file.is_taken) {
        counter.put(&dir.path().join(&file.name), HEALTHY);
        assert!(
            !counter.try_reload(&format!("{file:?}")),
            "{file:?} took over"
        );
        refused += 1;
        // Code that was mapped before its contract could be looked at stays mapped.
        kept += usize::from(file.is_mapped);
    }
    assert!(refused > 100, "{refused}");
    assert_eq!(descriptors(), before.0 + kept);
    assert_eq!(mapped(), before.1 + kept);
}

#[test]
fn a_plugin_of_any_kind_takes_over_or_leaves_the_one_that_counts_alone() {
    let _alone = alone();
    let (dir, gate) = (TempDir::new().unwrap(), Gate::new());
    let names = write_every_plugin(dir.path(), &gate);
    let rig = Rig::real(|builder| {
        builder
            .trial_timeout(Duration::from_millis(300))
            .create_timeout(Duration::from_secs(3))
            .destroy_timeout(Duration::from_secs(1))
    });
    let mut counter = Counter::new(rig);
    let (mut refused, mut took_over) = (Vec::new(), Vec::new());
    for name in &names {
        let config = std::fs::read_to_string(dir.path().join(format!("{name}.toml")));
        // What it is told beside its own must not be a reason of its own.
        let config = format!("{HEALTHY}timeout = \"2s\"\n{}", config.unwrap_or_default());
        counter.put(&dir.path().join(format!("{name}.so")), &config);
        if name == "keeps-state" {
            // The same bytes; nothing is reloaded.
            continue;
        }
        if !counter.try_reload(name) {
            refused.push(name.as_str());
            if name == "gated" {
                gate.open_all();
            }
            // What hangs for good keeps its thread; nothing else is left behind.
            wait_for("replacements that return late", || {
                counter.rig.engine.stuck_calls().len() <= 1
            });
            continue;
        }
        took_over.push(name.as_str());
        counter.put_healthy();
        counter.try_reload("what is healthy");
        // From its trial update on, or from where what had taken over has handed its count over.
        counter.count = counter.shown();
        counter.counts_on();
    }
    for name in [
        "fails-in-create",
        "panics-in-create",
        "hangs",
        "gated",
        "schema-is-none",
    ] {
        assert!(refused.contains(&name), "{name}: {refused:?}");
    }
    for name in ["noop", "clock", "system", "versioned-1-1", "current-thread"] {
        assert!(took_over.contains(&name), "{name}: {took_over:?}");
    }
    counter.counts_on();
}
