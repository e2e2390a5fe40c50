//! Makes background tasks of an engine fail: by a panic, or by hanging.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use plugin_engine::{EngineBuilder, FaultPoint, TaskContext};

use crate::wait_for;

/// The faults of one engine. Clones are the same.
#[derive(Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

struct Shared {
    /// What the panics of this engine say, and no others.
    marker: String,
    state: Mutex<State>,
    changed: Condvar,
    /// How often a helper of a task that hangs has tried to beat for it.
    beats: AtomicU64,
}

#[derive(Default)]
struct State {
    /// The task that panics at this point.
    kill: Option<(String, FaultPoint)>,
    /// The task that hangs at this point.
    hold: Option<(String, FaultPoint)>,
    is_held: bool,
}

impl Faults {
    /// No faults.
    pub fn new() -> Self {
        static ENGINES: AtomicU64 = AtomicU64::new(0);
        let number = ENGINES.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::new(Shared {
                marker: format!("injected fault of engine {number}."),
                state: Mutex::default(),
                changed: Condvar::new(),
                beats: AtomicU64::new(0),
            }),
        }
    }

    /// A builder of an engine that has these faults.
    pub fn inject(&self, builder: EngineBuilder) -> EngineBuilder {
        let shared = Arc::clone(&self.shared);
        builder.inject_faults(move |context, point| at(&shared, context, point))
    }

    /// What a panic of this engine's tasks says.
    pub fn marker(&self) -> &str {
        &self.shared.marker
    }

    /// Has a task panic when it comes there next.
    pub fn kill(&self, task: &str, point: FaultPoint) {
        self.shared.state.lock().unwrap().kill = Some((task.to_owned(), point));
    }

    /// Whether the task that was to panic has done so.
    pub fn has_killed(&self) -> bool {
        self.shared.state.lock().unwrap().kill.is_none()
    }

    /// Has a task hang when it comes there next, until it is let go. Meanwhile a helper thread of it says without end that it makes
    /// progress, is busy, and is in a protected zone.
    pub fn hold(&self, task: &str, point: FaultPoint) {
        self.shared.state.lock().unwrap().hold = Some((task.to_owned(), point));
    }

    /// Waits until the task hangs.
    pub fn await_held(&self) {
        wait_for("the task to hang", || {
            self.shared.state.lock().unwrap().is_held
        });
    }

    /// How often helpers have tried to beat.
    pub fn beats(&self) -> u64 {
        self.shared.beats.load(Ordering::SeqCst)
    }

    /// Lets the task go on.
    pub fn release(&self) {
        self.shared.state.lock().unwrap().hold = None;
        self.shared.changed.notify_all();
        wait_for("the task to go on", || {
            !self.shared.state.lock().unwrap().is_held
        });
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::new()
    }
}

/// What a task does when it comes to a point.
fn at(shared: &Shared, context: &TaskContext, point: FaultPoint) {
    let mut state = shared.state.lock().unwrap();
    let here = (context.name().to_owned(), point);
    if state.kill.as_ref() == Some(&here) {
        state.kill = None;
        drop(state);
        panic!("{}", shared.marker);
    }
    if state.hold.as_ref() != Some(&here) {
        return;
    }
    state.is_held = true;
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::SeqCst) {
                let _zone = context.protect();
                let _busy = context.busy();
                context.record_progress();
                shared.beats.fetch_add(1, Ordering::SeqCst);
                std::thread::yield_now();
            }
        });
        while state.hold.as_ref() == Some(&here) {
            state = shared.changed.wait(state).unwrap();
        }
        state.is_held = false;
        ended.store(true, Ordering::SeqCst);
    });
}
