//! Which plugins have changed in a way that others may wait for. Knows plugins as numbers, and not who waits.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::threading::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};
use crate::waiting::Condvar;

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

    /// Waits until plugins have changed. `false` when there will be no more. `idle` is called before it waits, and says for how long at most; it
    /// is called again after that.
    pub(crate) fn wait(&self, mut idle: impl FnMut() -> Option<Duration>) -> bool {
        let mut changed = self.changed.lock();
        while changed.plugins.is_empty() && !changed.closed {
            match idle() {
                Some(most) => {
                    self.came.wait_for(&mut changed, most);
                }
                None => self.came.wait(&mut changed),
            }
        }
        !changed.closed
    }

    /// Takes the plugins that have changed.
    pub(crate) fn take(&self) -> BTreeSet<u32> {
        std::mem::take(&mut self.changed.lock().plugins)
    }

    /// Has who waits do what it does while it waits.
    pub(crate) fn ring(&self) {
        // Under the lock, so that it is not between having looked and waiting.
        drop(self.changed.lock());
        self.came.notify_all();
    }

    /// Lets go who waits.
    pub(crate) fn close(&self) {
        self.changed.lock().closed = true;
        self.came.notify_all();
    }
}
