//! Which plugins have changed in a way that others may wait for. Knows plugins as numbers, and not who waits.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};

/// The plugins that have changed since somebody last looked. Each stands here once, however often it has changed.
#[derive(Default)]
pub(crate) struct Changes {
    /// Whether anybody looks. Set once, by the first plugin that requires another.
    is_watched: AtomicBool,
    changed: Mutex<Changed>,
    came: Condvar,
}

#[derive(Default)]
struct Changed {
    plugins: BTreeSet<u32>,
    closed: bool,
}

impl Changes {
    /// From now on somebody looks.
    pub(crate) fn watch(&self) {
        self.is_watched.store(true, Ordering::SeqCst);
    }

    /// Says that a plugin has changed. After what has changed was published: who looks may look at once.
    pub(crate) fn tell(&self, plugin: u32) {
        if self.is_watched.load(Ordering::SeqCst) {
            self.tell_all([plugin]);
        }
    }

    pub(crate) fn tell_all(&self, plugins: impl IntoIterator<Item = u32>) {
        self.changed.lock().plugins.extend(plugins);
        self.came.notify_one();
    }

    /// Waits for plugins that have changed, and takes them. `None` when there will be no more.
    pub(crate) fn take(&self) -> Option<BTreeSet<u32>> {
        let mut changed = self.changed.lock();
        while changed.plugins.is_empty() && !changed.closed {
            self.came.wait(&mut changed);
        }
        (!changed.closed).then(|| std::mem::take(&mut changed.plugins))
    }

    /// Lets go who waits.
    pub(crate) fn close(&self) {
        self.changed.lock().closed = true;
        self.came.notify_all();
    }
}
