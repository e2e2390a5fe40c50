//! What the system reports of files that change. It is a reason to look and nothing else: reports get lost, come in bursts, and say
//! little of what there is now.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use notify::Error as NotNoticed;
use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;

use super::signal::Signal;
use crate::changes::{DirectoryIdentity, Places};

/// The reports for one watch.
pub(super) struct Notices {
    watcher: Option<RecommendedWatcher>,
    concerns: Arc<Mutex<Concerns>>,
    /// The directories that are watched, as what they were when that began.
    armed: BTreeMap<PathBuf, DirectoryIdentity>,
}

/// Which reports are a reason to look.
#[derive(Default, PartialEq, Eq)]
struct Concerns {
    directory: PathBuf,
    /// The engine's file and the lock, wherever they are.
    files: Vec<PathBuf>,
}

impl Concerns {
    fn of(places: &Places) -> Self {
        let files = places.engine_config.iter().chain([&places.lock]);
        Self {
            directory: absolute(&places.directory),
            files: files.map(|file| absolute(file)).collect(),
        }
    }

    fn is_meant(&self, event: &Event) -> bool {
        let is_meant = |path: &PathBuf| {
            *path == self.directory
                || path.parent() == Some(&self.directory)
                || self.files.contains(path)
        };
        match event.kind {
            // Somebody has written, and is done.
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
            // Each look opens the directory, and would be the reason for the next one.
            EventKind::Access(_) => return false,
            _ => {}
        }
        event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(is_meant)
    }

    /// The directories in which a change of what is meant shows. The one above the plugin directory tells when that is exchanged.
    fn directories(&self) -> Vec<PathBuf> {
        let above = self.directory.parent();
        let of_files = self.files.iter().filter_map(|file| file.parent());
        let mut directories: Vec<_> = above
            .into_iter()
            .chain(of_files)
            .map(Path::to_owned)
            .collect();
        directories.push(self.directory.clone());
        directories.sort();
        directories.dedup();
        directories
    }
}

/// The system reports what it was told to watch under absolute paths.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl Notices {
    /// Begins to take reports; `signal` is told of each that is a reason to look. Without the means there are none.
    pub(super) fn new(signal: &Arc<Signal>) -> (Self, Result<(), notify::Error>) {
        let concerns = Arc::new(Mutex::new(Concerns::default()));
        let (of_handler, signal) = (Arc::clone(&concerns), Arc::clone(signal));
        let handler = move |report: notify::Result<Event>| {
            // A report that something went wrong may stand for many that were lost.
            if report.map_or(true, |event| of_handler.lock().is_meant(&event)) {
                signal.notice();
            }
        };
        let watcher = careful(|| notify::recommended_watcher(handler));
        let (watcher, begun) = match watcher {
            Ok(watcher) => (Some(watcher), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let notices = Self {
            watcher,
            concerns,
            armed: BTreeMap::new(),
        };
        (notices, begun)
    }

    /// Makes sure that the directories are watched that are there now. To be done before each look, so that whatever comes after it is
    /// reported: a directory that is another one than before has to be watched anew.
    ///
    /// # Errors
    /// One of them cannot be watched; all others are.
    pub(super) fn aim(&mut self, places: &Places) -> Result<(), notify::Error> {
        let Some(watcher) = &mut self.watcher else {
            return Ok(());
        };
        let concerns = Concerns::of(places);
        let directories = concerns.directories();
        {
            let mut known = self.concerns.lock();
            if *known != concerns {
                *known = concerns;
            }
        }
        let mut aimed = Ok(());
        let dropped = self.armed.keys();
        let dropped = dropped.filter(|path| !directories.contains(path)).cloned();
        for path in dropped.collect::<Vec<_>>() {
            self.armed.remove(&path);
            let _ = careful(|| watcher.unwatch(&path));
        }
        for path in directories {
            let now = fs::metadata(&path).ok();
            let now = now.filter(fs::Metadata::is_dir);
            let now = now.map(|metadata| DirectoryIdentity::from(&metadata));
            if self.armed.get(&path).copied() == now {
                continue;
            }
            if self.armed.remove(&path).is_some() {
                // One that is gone is not watched any more anyway.
                let _ = careful(|| watcher.unwatch(&path));
            }
            let Some(now) = now else { continue };
            match careful(|| watcher.watch(&path, RecursiveMode::NonRecursive)) {
                Ok(()) => {
                    self.armed.insert(path, now);
                }
                Err(error) => aimed = Err(error),
            }
        }
        aimed
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        let watcher = self.watcher.take();
        let _ = careful(|| {
            drop(watcher);
            Ok(())
        });
    }
}

/// Without a thread of its own, which the system may not give it, the library panics. Looks go on without it.
fn careful<R>(action: impl FnOnce() -> Result<R, notify::Error>) -> Result<R, notify::Error> {
    catch_unwind(AssertUnwindSafe(action))
        .unwrap_or_else(|_| Err(notify::Error::generic("its thread could not be started")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use notify::event::{CreateKind, Flag};

    use super::*;

    fn concerns() -> Concerns {
        Concerns::of(&Places {
            directory: "/srv/plugins.d".into(),
            engine_config: Some("/etc/engine.toml".into()),
            lock: "/srv/plugins.d/plugins.lock".into(),
        })
    }

    fn event(kind: EventKind, path: &str) -> Event {
        Event::new(kind).add_path(path.into())
    }

    #[test]
    fn only_what_is_about_plugins_and_configurations_is_a_reason_to_look() {
        let concerns = concerns();
        let created = EventKind::Create(CreateKind::Any);
        for (path, is_meant) in [
            ("/srv/plugins.d", true),
            ("/srv/plugins.d/a.so", true),
            ("/srv/plugins.d/..data", true),
            ("/etc/engine.toml", true),
            ("/etc/passwd", false),
            ("/srv/other", false),
            ("/srv/plugins.d/below/a.so", false),
        ] {
            assert_eq!(concerns.is_meant(&event(created, path)), is_meant, "{path}");
        }
    }

    #[test]
    fn looking_is_no_reason_to_look_and_having_written_is() {
        let concerns = concerns();
        let path = "/srv/plugins.d/a.so";
        let close = |mode| EventKind::Access(AccessKind::Close(mode));
        for (kind, is_meant) in [
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), false),
            (close(AccessMode::Read), false),
            (close(AccessMode::Write), true),
        ] {
            assert_eq!(concerns.is_meant(&event(kind, path)), is_meant, "{kind:?}");
        }
        let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert!(concerns.is_meant(&lost));
    }

    #[test]
    fn a_directory_that_is_exchanged_is_watched_anew() {
        let dir = tempfile::TempDir::new().unwrap();
        let plugins = dir.path().join("plugins.d");
        let places = Places {
            directory: plugins.clone(),
            engine_config: None,
            lock: plugins.join("plugins.lock"),
        };
        let signal = Arc::new(Signal::default());
        let (mut notices, begun) = Notices::new(&signal);
        begun.unwrap();
        for round in 0..3 {
            // The exchange itself shows in the directory above.
            notices.aim(&places).unwrap();
            let _ = fs::rename(&plugins, dir.path().join(format!("old-{round}")));
            fs::create_dir(&plugins).unwrap();
            await_notice(&signal);
            notices.aim(&places).unwrap();
            settle(&signal);
            fs::write(plugins.join("a.so"), "").unwrap();
            await_notice(&signal);
        }
    }

    fn await_notice(signal: &Signal) {
        assert!(signal.wait(Duration::ZERO, Duration::from_secs(60), || None));
    }

    /// Takes all notices that are on their way.
    fn settle(signal: &Signal) {
        signal.wait(Duration::from_millis(50), Duration::from_millis(50), || {
            None
        });
    }
}
