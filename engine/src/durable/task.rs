//! The thread that writes, under the supervisor.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Durable, FLUSH_EVERY};
use crate::shared::Shared;
use crate::shutdown::stuck_calls;
use crate::supervisor::{IfTaken, SuperviseError, TaskContext};
use crate::waiting;

const NAME: &str = "plugin-history";

/// Starts the thread, if there is a history on disk.
pub(crate) fn start(engine: &Arc<Shared>) -> Result<(), SuperviseError> {
    let Some(durable) = &engine.durable else {
        return Ok(());
    };
    let woken = Arc::downgrade(durable);
    let wake = move || {
        if let Some(durable) = woken.upgrade() {
            // Under the lock, so that it is not between having looked and waiting.
            drop(durable.asked.lock());
            durable.changed.notify_all();
        }
    };
    let entry = engine.supervisor.enter(NAME, IfTaken::Succeeds, wake)?;
    let (durable, board) = (Arc::clone(durable), Arc::clone(&engine.board));
    entry.spawn(NAME, move |context| {
        context.record_progress();
        while let Some(wishes) = durable.wait(context) {
            context.round(|| durable.write_what_is_new(&board));
            durable.fulfilled(wishes);
        }
        let calls_left = durable.asked.lock().calls_left;
        context.round(|| durable.write_the_end(&board, calls_left));
        durable.fulfilled(u64::MAX);
    })
}

/// Has everything written and the thread end, and waits for that until a moment. What is not written by then is named in the log.
pub(crate) fn finish(engine: &Shared, until: Option<Instant>) {
    let Some(durable) = &engine.durable else {
        return;
    };
    {
        let mut asked = durable.asked.lock();
        asked.calls_left = !stuck_calls(engine).is_empty();
        asked.ended = true;
    }
    durable.changed.notify_all();
    if !durable.await_flush(u64::MAX, until) {
        let status = durable.status(&engine.board);
        tracing::warn!(target: "plugin_engine::history", held = status.held, problem = status.problem, "not all of the history is on disk");
    }
}

impl Durable {
    /// Waits until it is time to write. How many wishes there are then; `None` if there will be nothing more to write.
    fn wait(&self, context: &TaskContext) -> Option<u64> {
        let until = waiting::now() + FLUSH_EVERY;
        let mut asked = self.asked.lock();
        while !asked.ended && asked.flushed >= asked.flushes && !context.is_cancelled() {
            if self.changed.wait_until(&mut asked, until).timed_out() {
                break;
            }
        }
        (!asked.ended && !context.is_cancelled()).then_some(asked.flushes)
    }

    fn fulfilled(&self, wishes: u64) {
        self.asked.lock().flushed = wishes;
        self.changed.notify_all();
    }

    fn await_flush(&self, wish: u64, until: Option<Instant>) -> bool {
        let mut asked = self.asked.lock();
        while asked.flushed < wish {
            match until {
                Some(until) => {
                    if self.changed.wait_until(&mut asked, until).timed_out() {
                        return asked.flushed >= wish;
                    }
                }
                None => self.changed.wait(&mut asked),
            }
        }
        true
    }

    /// Has everything written that is entered by now, and waits for that no longer than `limit` of real time.
    pub(crate) fn flush(&self, limit: Duration) -> bool {
        let wish = {
            let mut asked = self.asked.lock();
            asked.flushes += 1;
            asked.flushes
        };
        self.changed.notify_all();
        self.await_flush(wish, waiting::now().checked_add(limit))
    }
}
