//! What a thread and another one cost that wake each other: the least that a cycle of one plugin can cost which is called on a worker.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

#[derive(Default)]
struct Desk {
    /// How many were asked for and how many are done; the end is that nobody can ask for so many.
    counts: Mutex<(u64, u64)>,
    asked: Condvar,
    done: Condvar,
}

pub(crate) struct HandOver(Arc<Desk>);

impl HandOver {
    pub(crate) fn new() -> Self {
        let desk = Arc::new(Desk::default());
        let worker = Arc::clone(&desk);
        std::thread::spawn(move || {
            loop {
                let mut counts = worker.counts.lock();
                while counts.0 == counts.1 {
                    worker.asked.wait(&mut counts);
                }
                if counts.0 == u64::MAX {
                    return;
                }
                counts.1 += 1;
                worker.done.notify_one();
            }
        });
        Self(desk)
    }

    pub(crate) fn there_and_back(&self, count: usize) {
        for _ in 0..count {
            let mut counts = self.0.counts.lock();
            counts.0 += 1;
            self.0.asked.notify_one();
            while counts.0 != counts.1 {
                self.0.done.wait(&mut counts);
            }
        }
    }
}

impl Drop for HandOver {
    fn drop(&mut self) {
        self.0.counts.lock().0 = u64::MAX;
        self.0.asked.notify_one();
    }
}
