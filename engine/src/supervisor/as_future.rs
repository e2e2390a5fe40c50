//! A task that is a future, on the tokio runtime from within which it was started.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use plugin_engine_core::{Moment, RestartPolicy, TaskEnd};

use super::context::TaskContext;
use super::panics::{self, PanicReport};
use super::runs::{Next, Runs};
use super::task::Task;

/// Runs a task until its future is ready, it is cancelled, or it is given up.
pub(super) async fn run<F, Fut>(task: Arc<Task>, policy: RestartPolicy, mut make: F)
where
    F: FnMut(TaskContext) -> Fut + Send,
    Fut: Future<Output = ()> + Send + 'static,
{
    let over = OverOnDrop(&task);
    let mut runs = Runs::new(&task, policy);
    let end = loop {
        let Some(context) = runs.begin() else {
            break TaskEnd::Cancelled;
        };
        let end = match made(&task, &context, &mut make) {
            Ok(()) => match poll_fn(|waits| poll(&task, &context, waits)).await {
                Some(end) => end,
                None => break TaskEnd::Cancelled,
            },
            Err(report) => Err(report),
        };
        match runs.ended(&context, end) {
            Next::Over(end) => break end,
            Next::At(until) => Sleep::until(Arc::clone(&task), until).await,
        }
    };
    task.drop_as_own(make);
    task.finish(end);
    drop(over);
}

/// Makes the future of a run. Under its lock, so that nobody takes the task for one that is at rest.
fn made<Fut>(
    task: &Task,
    context: &TaskContext,
    make: &mut impl FnMut(TaskContext) -> Fut,
) -> Result<(), PanicReport>
where
    Fut: Future<Output = ()> + Send + 'static,
{
    let mut slot = task.future.lock();
    let made = context.as_current(|| panics::caught(|| make(context.clone())));
    *slot = Some(Box::pin(made?));
    Ok(())
}

/// Polls the future of a task. `None` if that was dropped because the task is cancelled.
fn poll(
    task: &Task,
    context: &TaskContext,
    waits: &mut Context<'_>,
) -> Poll<Option<Result<(), PanicReport>>> {
    // Before the look at what was asked: whoever asks later finds whom to wake.
    *task.poller.lock() = Some(waits.waker().clone());
    let mut slot = task.future.lock();
    if task.is_cancelled() {
        let future = slot.take();
        drop(slot);
        task.drop_as_own(future);
        return Poll::Ready(None);
    }
    let Some(future) = slot.as_mut() else {
        return Poll::Ready(None);
    };
    let polled = context.as_current(|| panics::caught(|| future.as_mut().poll(waits)));
    let end = match polled {
        Ok(Poll::Pending) => return Poll::Pending,
        Ok(Poll::Ready(())) => Ok(()),
        Err(report) => Err(report),
    };
    let future = slot.take();
    drop(slot);
    task.drop_as_own(future);
    Poll::Ready(Some(end))
}

/// A runtime that goes away drops what it runs.
struct OverOnDrop<'a>(&'a Task);

impl Drop for OverOnDrop<'_> {
    fn drop(&mut self) {
        let future = self.0.future.try_lock().and_then(|mut slot| slot.take());
        self.0.drop_as_own(future);
        self.0.finish(TaskEnd::Cancelled);
    }
}

/// Waits for a moment of the engine's clock, see [`TaskContext::sleep_async`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    waits: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Sleep {
    /// Waits until a moment, or until the task is to end.
    pub(super) fn until(task: Arc<Task>, until: Moment) -> Self {
        let waits = Box::pin(async move {
            loop {
                let mut rang = std::pin::pin!(task.rang.notified());
                // Before the look at the clock: whatever comes later is heard.
                rang.as_mut().enable();
                if task.is_cancelled() || task.pulse.now() >= until {
                    return;
                }
                if task.pulse.real_time_until(until).is_some() {
                    task.pulse.timer.wake(&task, until);
                }
                rang.await;
            }
        });
        Self { waits }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, waits: &mut Context<'_>) -> Poll<()> {
        self.waits.as_mut().poll(waits)
    }
}

impl std::fmt::Debug for Sleep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}
