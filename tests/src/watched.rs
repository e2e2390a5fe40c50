//! An engine that watches its directory, and what it told of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plugin_engine::{EngineBuilder, LoadOutcome, PluginState, WatchHandle};

use crate::{Rig, built, wait_for};

/// A rig whose directory is watched, with changes that count soon.
pub struct Watched {
    /// The rig.
    pub rig: Rig,
    told: Arc<Mutex<Vec<LoadOutcome>>>,
    _watch: WatchHandle,
}

impl Watched {
    /// Watches a directory with these plugin files, each named after its crate: a change counts after 20 ms, a removal after an hour.
    pub fn with(files: &[&str]) -> Self {
        Self::over(Rig::with(slow_to_remove), files)
    }

    /// The same with a removal that counts as soon as any other change.
    pub fn quick(files: &[&str]) -> Self {
        let quick = |builder: EngineBuilder| quick_to_remove(slow_to_remove(builder));
        Self::over(Rig::with(quick), files)
    }

    /// Drops these files into the directory of a rig, loads them, and watches.
    pub fn over(rig: Rig, files: &[&str]) -> Self {
        for name in files {
            let to = rig.dir().join(format!("{name}.so"));
            std::fs::copy(built(name), to).expect("a file can be copied");
        }
        rig.load();
        let told: Arc<Mutex<Vec<LoadOutcome>>> = Arc::default();
        let teller = Arc::clone(&told);
        let watch = rig
            .engine
            .watch(move |outcome| teller.lock().unwrap().push(outcome));
        Self {
            rig,
            told,
            _watch: watch.expect("a thread can be started"),
        }
    }

    /// The path of a file in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.rig.dir().join(name)
    }

    /// Copies the plugin file of a crate over a file of the directory, as `cp` does.
    pub fn copy(&self, name: &str, file: &str) {
        std::fs::copy(built(name), self.path(file)).expect("a file can be copied");
    }

    /// Writes a text file into the directory.
    pub fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).expect("a file can be written");
    }

    /// Removes a file of the directory.
    pub fn remove(&self, file: &str) {
        std::fs::remove_file(self.path(file)).expect("a file can be removed");
    }

    /// Everything that was told so far.
    pub fn told(&self) -> Vec<LoadOutcome> {
        self.told.lock().unwrap().clone()
    }

    /// What was told so far, a word for each: what became of which file.
    pub fn words(&self) -> Vec<String> {
        self.told().iter().map(word).collect()
    }

    /// Waits until this was told of that file, so many times.
    pub fn await_word(&self, word: &str, times: usize) {
        wait_for(word, || {
            let words = self.words();
            words.iter().filter(|told| *told == word).count() == times
        });
    }

    /// Waits until the plugin shows this.
    pub fn await_display(&self, id: &str, text: &str) {
        wait_for(text, || {
            let shown = self.rig.engine.display(id);
            shown.is_ok_and(|shown| shown.as_text() == Some(text))
        });
    }

    /// Waits until everything that was done so far was looked at and has counted, if it counts by now: a file that is dropped in now
    /// counts no sooner.
    pub fn await_looks(&self, count: usize) {
        for _ in 0..count {
            let number = self.rig.engine.usage().plugins;
            let (id, file) = (format!("look-{number}"), format!("look-{number}.so"));
            self.write(&format!("{id}.toml"), &format!("id = \"{id}\"\n"));
            self.copy("noop", &file);
            wait_for("the next look", || {
                self.rig.state(&id) == PluginState::Enabled
            });
        }
    }
}

/// What was told, in two words.
fn word(outcome: &LoadOutcome) -> String {
    let name = |file: &Path| {
        let name = file.file_name().expect("a file has a name");
        name.to_string_lossy().into_owned()
    };
    match outcome {
        LoadOutcome::Enabled { file, .. } => format!("enabled {}", name(file)),
        LoadOutcome::Disabled { file, .. } => format!("disabled {}", name(file)),
        LoadOutcome::Failed { file, .. } => format!("failed {}", name(file)),
        LoadOutcome::Refused { file, .. } => format!("refused {}", name(file)),
        LoadOutcome::Misconfigured { file, .. } => format!("misconfigured {}", name(file)),
        LoadOutcome::Reloaded { file, .. } => format!("reloaded {}", name(file)),
        LoadOutcome::Reconfigured { file, .. } => format!("configured {}", name(file)),
        LoadOutcome::ReloadRefused { file, .. } => format!("kept {}", name(file)),
        LoadOutcome::Unloaded { file, .. } => format!("unloaded {}", name(file)),
        other => other.to_string(),
    }
}

/// A builder of an engine for which a file is gone only after an hour.
pub fn slow_to_remove(builder: EngineBuilder) -> EngineBuilder {
    builder
        .watch_settle(Duration::from_millis(20))
        .watch_grace(Duration::from_secs(3_600))
        .watch_rescan(Duration::from_millis(500))
}

/// A builder of an engine for which a file is gone at once.
pub fn quick_to_remove(builder: EngineBuilder) -> EngineBuilder {
    builder.watch_grace(Duration::from_millis(20))
}
