//! Finds files with the same content below a directory, and says how much room they take twice.
//!
//! It is a lesson in many threads: the pool belongs to the instance, not to the process, has a bounded size, and ends with it. Work is handed
//! to it in portions, and between two of them the thread that was called asks whether anybody still waits.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use plugin_api::prelude::*;
use rayon::prelude::*;

/// The most files that are looked at.
const FILES_MAX: usize = 100_000;
/// How many files are read between two looks at the clock.
const PORTION: usize = 64;

/// Where duplicates are looked for.
#[derive(serde::Deserialize, plugin_api::schemars::JsonSchema)]
#[schemars(crate = "plugin_api::schemars")]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The directory. There is no default.
    #[schemars(length(min = 1))]
    path: PathBuf,
    /// How many threads read, from 1 to 64. Default: 2.
    #[serde(default = "default_threads")]
    #[schemars(range(min = 1, max = 64))]
    threads: usize,
}

fn default_threads() -> usize {
    2
}

struct Duplicates {
    pool: rayon::ThreadPool,
    path: PathBuf,
    found: String,
}

/// The files below a directory by their sizes; links are not followed, and what cannot be read is left out.
fn by_size(root: &Path) -> HashMap<u64, Vec<PathBuf>> {
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    let (mut dirs, mut count) = (vec![root.to_owned()], 0);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(of) if of.is_dir() => dirs.push(entry.path()),
                Ok(of) if of.is_file() && of.len() > 0 && count < FILES_MAX => {
                    count += 1;
                    found.entry(of.len()).or_default().push(entry.path());
                }
                _ => {}
            }
        }
    }
    found
}

fn digest(path: &Path) -> Option<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(std::fs::File::open(path).ok()?).ok()?;
    Some(hasher.finalize())
}

impl Plugin for Duplicates {
    fn create(cx: &CreateContext) -> Result<Self, PluginError> {
        let settings: Settings = cx.settings()?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(settings.threads.clamp(1, 64))
            .thread_name(|_| "duplicates".to_owned())
            .build()?;
        let (path, found) = (settings.path, "nothing yet\n".to_owned());
        Ok(Self { pool, path, found })
    }

    fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
        let sizes = by_size(&self.path);
        let alike = sizes.iter().filter(|(_, files)| files.len() > 1);
        let alike: Vec<_> = alike
            .flat_map(|(size, files)| files.iter().map(move |file| (*size, file)))
            .collect();
        let mut seen: HashMap<blake3::Hash, u64> = HashMap::new();
        let mut wasted = 0;
        for portion in alike.chunks(PORTION) {
            if cx.is_cancelled() {
                return Err(PluginError::recoverable("not finished"));
            }
            cx.record_progress();
            let read = || {
                portion
                    .par_iter()
                    .map(|(size, file)| Some((*size, digest(file)?)))
            };
            let read: Vec<_> = self.pool.install(|| read().collect());
            for (size, digest) in read.into_iter().flatten() {
                let times = seen.entry(digest).or_default();
                *times += 1;
                wasted += if *times > 1 { size } else { 0 };
            }
        }
        let twice = seen.values().filter(|times| **times > 1).count();
        self.found = format!("{twice} contents lie there more than once: {wasted} bytes\n");
        cx.publish("wasted", wasted.to_string());
        Ok(())
    }

    fn display(&mut self, _cx: &DisplayContext) -> Result<View, PluginError> {
        Ok(View::text(&self.found))
    }

    fn settings_schema() -> Option<String> {
        plugin_api::schema::<Settings>()
    }
}

export_plugin!(
    Duplicates,
    id = "duplicates",
    interval = "1h",
    timeout = "30s"
);
