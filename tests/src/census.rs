//! The count of a test's threads and keys, and what a test sees of mapped files without asking the engine.

use plugin_engine::{LiveThread, ThreadCensus, ThreadKey};
use plugin_engine_thread_hooks as hooks;

/// The functions that this test puts in front of the system's; `build.rs` has them exported.
pub struct ThreadHooks;

impl ThreadCensus for ThreadHooks {
    fn trouble(&self) -> Option<String> {
        hooks::trouble()
    }

    fn threads(&self) -> Vec<LiveThread> {
        hooks::threads()
            .into_iter()
            .map(|thread| LiveThread {
                tid: thread.tid,
                start: thread.start,
                started_by: thread.started_by,
                number: thread.number,
            })
            .collect()
    }

    fn keys(&self) -> Vec<ThreadKey> {
        hooks::keys()
            .into_iter()
            .map(|key| ThreadKey {
                key: key.key,
                destructor: key.destructor,
                created_by: key.created_by,
            })
            .collect()
    }

    fn delete_key(&self, key: ThreadKey) {
        hooks::delete_key(hooks::Key {
            key: key.key,
            destructor: key.destructor,
            created_by: key.created_by,
        });
    }
}

/// Whether code of a plugin file of this name is mapped, as the system says.
pub fn is_mapped(file: &str) -> bool {
    let begin = format!("/memfd:{file} ");
    let maps = std::fs::read_to_string("/proc/self/maps").expect("the system tells what is mapped");
    maps.contains(&begin)
}

/// How many sealed copies of files of this name the process holds.
pub fn sealed_copies(file: &str) -> usize {
    let begin = format!("/memfd:{file} ");
    let links = std::fs::read_dir("/proc/self/fd").expect("the system tells what is open");
    links
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|link| link.to_string_lossy().starts_with(&begin))
        .count()
}
