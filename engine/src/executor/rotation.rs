//! Workers that leave so that what they ran can be unmapped, and others that take their places.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Executor, Queue};

impl Executor {
    /// Has every worker leave that ran code of a plugin file, when it next looks for work. Returns the workers that have not left yet, as
    /// what each is calling now, if anything: the index of a plugin.
    pub(crate) fn rotate(&self, number: u64) -> Vec<Option<u32>> {
        let mut queue = self.queue.lock();
        let used = self.slots_used.load(Ordering::Relaxed);
        let mut left = Vec::new();
        for (index, slot) in self.slots.iter().enumerate().take(used) {
            if slot.thread.lock().is_none() || !slot.ran.has(number) {
                continue;
            }
            left.push(slot.sample().map(|sample| sample.cell));
            slot.leaves.store(true, Ordering::Relaxed);
            if let Some(at) = queue.idle.iter().position(|idle| *idle == index) {
                queue.idle.remove(at);
                slot.work_came.notify_one();
            }
        }
        left
    }

    /// The last that a worker does.
    pub(super) fn leave(self: &Arc<Self>, index: usize) {
        let mut queue = self.queue.lock();
        let slot = &self.slots[index];
        queue.threads -= 1;
        queue.free_slots.push(index);
        // What it ran goes with its thread: the next worker of this slot has run nothing.
        let (thread, ran) = (slot.thread.lock().take(), slot.ran.take());
        if let Some(thread) = thread {
            self.joining.keep(thread, Arc::new(ran));
        }
        let was_told = slot.leaves.swap(false, Ordering::Relaxed);
        self.replace(&mut queue, was_told);
    }

    /// Sees to it that a worker which has left is not missed: nobody else was called for what it would have taken next.
    fn replace(self: &Arc<Self>, queue: &mut Queue, was_told: bool) {
        if queue.closed {
            return;
        }
        if queue.has_work() {
            self.call_for_hands(queue);
        }
        // One that goes by itself is one too many.
        if was_told && queue.threads < self.workers {
            // If no thread can be had now, the next work asks for one again.
            let _ = self.start_worker(queue);
        }
    }
}
