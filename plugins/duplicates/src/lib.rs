//! Finds files with the same content below a directory, and says how much room they take twice.
//!
//! It is a lesson in many threads: the pool belongs to the instance, not to the process, has a bounded size, and ends with it. Work is handed
//! to it in portions, and between two of them the thread that was called asks whether anybody still waits.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use plugin_api::prelude::*;
use rayon::prelude::*;

const FILES_MAX: usize = 100_000; // that are looked at
const PORTION: usize = 64; // files between two looks at the clock

/// Where duplicates are looked for.
#[derive(serde::Deserialize, plugin_api::schemars::JsonSchema)]
#[schemars(crate = "plugin_api::schemars")]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The directory. There is no default.
    #[schemars(length(min = 1))]
    path: PathBuf,
    /// How many threads read, from 1 to 64. Default: 2.
    #[schemars(range(min = 1, max = 64))]
    threads: Option<usize>,
}

struct Twins {
    pool: rayon::ThreadPool,
    path: PathBuf,
    found: String,
}

/// The files below a directory that are as long as another one; links are not followed, and what cannot be read is left out.
fn alike(root: &Path) -> Vec<(u64, PathBuf)> {
    let (mut dirs, mut found) = (vec![root.to_owned()], Vec::new());
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(of) if of.is_dir() => dirs.push(entry.path()),
                Ok(of) if of.is_file() && of.len() > 0 && found.len() < FILES_MAX => {
                    found.push((of.len(), entry.path()));
                }
                _ => {}
            }
        }
    }
    found.sort();
    let by_size = found.chunk_by(|one, next| one.0 == next.0);
    let same = by_size.filter(|files| files.len() > 1);
    same.flatten().cloned().collect()
}

fn digest(path: &Path) -> Option<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(std::fs::File::open(path).ok()?).ok()?;
    Some(hasher.finalize())
}

impl Plugin for Twins {
    fn create(cx: &CreateContext) -> Result<Self, PluginError> {
        let settings: Settings = cx.settings()?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(settings.threads.unwrap_or(2).clamp(1, 64))
            .thread_name(|_| "duplicates".to_owned())
            .build()?;
        let (path, found) = (settings.path, "nothing yet\n".to_owned());
        Ok(Self { pool, path, found })
    }

    fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
        let (mut seen, mut wasted) = (HashSet::new(), 0);
        for portion in alike(&self.path).chunks(PORTION) {
            if cx.is_cancelled() {
                return Err(PluginError::recoverable("not finished"));
            }
            cx.record_progress();
            let read = || portion.par_iter().map(|(_, file)| digest(file)).collect();
            let digests: Vec<_> = self.pool.install(read);
            for ((size, _), digest) in portion.iter().zip(digests) {
                // The first of its kind is no waste.
                wasted += digest.map_or(0, |one| if seen.insert(one) { 0 } else { *size });
            }
        }
        self.found = format!("{wasted} bytes lie there more than once\n");
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

export_plugin!(Twins, id = "duplicates", interval = "1h", timeout = "30s");
