//! A supervised task that does what a test tells it to, on a thread or as a future.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plugin_engine::{TaskBuilder, TaskContext, TaskHandle, TaskState};
use tokio::sync::Notify;

use crate::{Rig, wait_for};

/// What the task is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Record progress.
    Progress,
    /// End.
    Return,
    /// Panic.
    Panic,
}

/// How the task is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunAs {
    /// On a thread of its own.
    Thread,
    /// As a future.
    Future,
}

/// What the task and the test share.
#[derive(Default)]
struct Script {
    steps: Mutex<VecDeque<Step>>,
    /// Told of each step that has come, and kept for a task that does not wait yet. A thread looks for itself: it is cancelled without being
    /// told, while a future is dropped.
    came: Notify,
    runs: AtomicU32,
    done: AtomicU32,
}

impl Script {
    /// Does the next step, if there is one. Says whether to go on.
    fn go_on(&self, context: &TaskContext) -> bool {
        let step = self.steps.lock().unwrap().pop_front();
        let Some(step) = step else {
            return true;
        };
        if step == Step::Progress {
            context.record_progress();
        }
        self.done.fetch_add(1, Ordering::SeqCst);
        assert_ne!(step, Step::Panic, "as the script says");
        step != Step::Return
    }
}

/// A supervised task that follows a script.
pub struct Scripted {
    /// Its handle.
    pub handle: TaskHandle,
    script: Arc<Script>,
    told: u32,
}

const LOOK_EVERY: Duration = Duration::from_micros(200);

impl Scripted {
    /// Starts one that does nothing until it is told to. A future has to be started from within a runtime.
    pub fn start(builder: TaskBuilder<'_>, run_as: RunAs) -> Self {
        let script = Arc::<Script>::default();
        let same = Arc::clone(&script);
        let handle = match run_as {
            RunAs::Thread => builder.start(move |context| {
                same.runs.fetch_add(1, Ordering::SeqCst);
                while !context.is_cancelled() && same.go_on(context) {
                    std::thread::park_timeout(LOOK_EVERY);
                }
            }),
            RunAs::Future => builder.start_async(move |context| {
                let script = Arc::clone(&same);
                script.runs.fetch_add(1, Ordering::SeqCst);
                async move {
                    while script.go_on(&context) {
                        script.came.notified().await;
                    }
                }
            }),
        };
        Self {
            handle: handle.expect("the task can be started"),
            script,
            told: 0,
        }
    }

    /// How often it was begun.
    pub fn runs(&self) -> u32 {
        self.script.runs.load(Ordering::SeqCst)
    }

    /// Waits until it was begun so often.
    pub fn await_runs(&self, runs: u32) {
        wait_for("the next run", || self.runs() == runs);
    }

    /// Has it do something, and waits until it has begun to.
    pub fn tell(&mut self, step: Step) {
        self.script.steps.lock().unwrap().push_back(step);
        self.script.came.notify_one();
        self.told += 1;
        let told = self.told;
        wait_for("the task to do as it is told", || {
            self.script.done.load(Ordering::SeqCst) == told
        });
    }

    /// Waits until it stands like this.
    pub fn await_state(&self, state: TaskState) {
        wait_for("the state of the task", || self.handle.state() == state);
    }

    /// Has it panic, and waits until it waits to be begun again in so many milliseconds.
    pub fn panic_and_wait(&mut self, rig: &Rig, millis: u64) {
        use plugin_engine::Clock;
        self.tell(Step::Panic);
        let until = rig.clock.now();
        let until = until.saturating_add(Duration::from_millis(millis));
        self.await_state(TaskState::Waiting { until });
    }
}
