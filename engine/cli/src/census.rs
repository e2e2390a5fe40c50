//! Hands the count of this program's threads and keys to the engine, so that plugin files can be unmapped.

use plugin_engine::{LiveThread, ThreadCensus, ThreadKey};
use plugin_engine_thread_hooks as hooks;

/// The functions that this program puts in front of the system's; `build.rs` has them exported.
pub(crate) struct ThreadHooks;

impl ThreadCensus for ThreadHooks {
    fn trouble(&self) -> Option<String> {
        hooks::trouble()
    }

    fn threads(&self) -> Vec<LiveThread> {
        let threads = hooks::threads().into_iter();
        threads
            .map(|thread| LiveThread {
                tid: thread.tid,
                start: thread.start,
                started_by: thread.started_by,
                number: thread.number,
            })
            .collect()
    }

    fn keys(&self) -> Vec<ThreadKey> {
        let keys = hooks::keys().into_iter();
        keys.map(|key| ThreadKey {
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
