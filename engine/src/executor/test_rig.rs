//! An executor without threads, for tests: what its workers and its watchdog do is done by the test, one step after another, over plugins
//! whose code is a script in this file.

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use plugin_api::abi::{CallFrame, status};
use plugin_engine_core::{
    CallLimits, CreateReason, Event, HistoryFilter, Machine, PluginId, Schedule, Transition,
    WallTime,
};

use super::{Batch, CycleReport, Executor, TaskCall, TaskEnd, Verdict, Waiter, worker};
use crate::board::Board;
use crate::cell::{Cell, Loaded, Requires};
use crate::clock::{Clock, ManualClock, TimeSource};
use crate::host::{HostContext, HostOf};
use crate::ledger::Ledger;
use crate::library::{CallTable, LoadedLibrary};
use crate::manifest::Manifest;
use crate::registry::Registry;
use crate::snapshot::Snapshot;
use crate::threading::atomic::{AtomicBool, Ordering};

/// How often each plugin is called.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);
/// How long an update may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(1);
/// How long any other call may take.
pub(super) const OTHER_TIMEOUT: Duration = Duration::from_secs(2);
/// The slot of the worker that the test is.
pub(super) const WORKER: usize = 0;
/// The slot of one that waits for work, as far as the executor knows.
pub(super) const IDLE: usize = 1;

type Act = Box<dyn FnOnce() -> u8>;

thread_local! {
    /// What the next calls do, in their order; those that come after these complete at once.
    static NEXT: RefCell<VecDeque<Act>> = const { RefCell::new(VecDeque::new()) };
    /// How many instances were created, which are numbered from 1.
    static CREATED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    /// Those that were destroyed.
    static DESTROYED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    /// The calls that were made.
    static MADE: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    /// A panic in one of them, which is the test's.
    static FAILED: std::cell::Cell<Option<Box<dyn Any + Send>>> = const { std::cell::Cell::new(None) };
}

fn called(what: &'static str) -> u8 {
    MADE.with_borrow_mut(|made| made.push(what));
    let act = NEXT.with_borrow_mut(VecDeque::pop_front);
    let Some(act) = act else {
        return status::COMPLETED;
    };
    // Nothing unwinds through the boundary.
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|panic| {
        FAILED.set(Some(panic));
        status::COMPLETED
    })
}

/// Has one of the next calls do this.
pub(super) fn next_call(act: impl FnOnce() -> u8 + 'static) {
    NEXT.with_borrow_mut(|next| next.push_back(Box::new(act)));
}

/// The instances that were destroyed, by number.
pub(super) fn destroyed() -> Vec<usize> {
    DESTROYED.with_borrow(Clone::clone)
}

/// How a call ended that has ended by now.
pub(super) fn ended(waiter: &Waiter) -> TaskEnd {
    let end = waiter.wait_until(std::time::Instant::now());
    end.expect("it has ended")
}

/// The calls that were made since this was asked last.
pub(super) fn made() -> Vec<&'static str> {
    MADE.with_borrow_mut(std::mem::take)
}

extern "C" fn create(_: &CallFrame, instance: &mut *mut ()) -> u8 {
    let number = CREATED.get() + 1;
    CREATED.set(number);
    *instance = std::ptr::without_provenance_mut(number);
    called("create")
}

extern "C" fn update(_: *mut (), _: &CallFrame) -> u8 {
    called("update")
}

extern "C" fn display(_: *mut (), _: &CallFrame) -> u8 {
    called("display")
}

extern "C" fn destroy(instance: *mut (), _: &CallFrame) -> u8 {
    DESTROYED.with_borrow_mut(|destroyed| destroyed.push(instance.addr()));
    called("destroy")
}

const CALLS: CallTable = CallTable {
    create,
    update,
    display,
    destroy,
};

/// The executor, and a clock that stands still.
pub(super) struct Rig {
    pub(super) executor: Arc<Executor>,
    pub(super) clock: ManualClock,
}

impl Rig {
    pub(super) fn new(workers: usize, threads_max: usize) -> Self {
        let clock = ManualClock::new(WallTime::from_unix_nanos(1_767_225_600_000_000_000));
        Self::with(Arc::new(clock.clone()), clock, workers, threads_max)
    }

    /// A rig whose executor asks another clock than that which is moved.
    pub(super) fn with(
        asked: Arc<dyn Clock>,
        clock: ManualClock,
        workers: usize,
        threads_max: usize,
    ) -> Self {
        let time = TimeSource::new(asked);
        let board = Board {
            ledger: Ledger::new(time, 1 << 20),
            registry: Registry::new(),
            crashes: Arc::default(),
            stopping: AtomicBool::new(false),
            backtraces: false,
        };
        let executor = Arc::new(Executor::new(Arc::new(board), workers, threads_max));
        NEXT.with_borrow_mut(VecDeque::clear);
        CREATED.set(0);
        DESTROYED.with_borrow_mut(Vec::clear);
        made();
        let rig = Self { executor, clock };
        rig.use_slots(2.min(threads_max));
        rig
    }

    /// From now on so many slots have been used.
    pub(super) fn use_slots(&self, count: usize) {
        self.executor.slots_used.store(count, Ordering::Relaxed);
    }

    /// A plugin that is mapped and not created.
    pub(super) fn mapped(&self, id: &str) -> Arc<Cell> {
        let board = &self.executor.board;
        let limits = CallLimits {
            create: OTHER_TIMEOUT,
            update: TIMEOUT,
            display: OTHER_TIMEOUT,
            destroy: OTHER_TIMEOUT,
            state: OTHER_TIMEOUT,
        };
        let machine = Machine::new(Schedule::new(INTERVAL, Duration::ZERO), limits);
        let name = PluginId::new(id).expect("it is one");
        let make = |index| Cell::new(index, name.clone(), machine);
        let cell = board.registry.find_or_insert(&name, make);
        let cell = Arc::clone(cell.expect("there is room"));
        let text = format!(
            "manifest=1\nid={id}\nversion=1.0.0\napi=0.1.0\ncompiler=any\ntarget=any\npanic=unwind\ninterval=100ms\ntimeout=1s\n"
        );
        let manifest = Manifest::parse(text.as_bytes()).expect("it is one");
        let number = u64::from(cell.index) + 1;
        let library = LoadedLibrary::unmapped(number, CALLS, None, manifest, [0; 32]);
        let listener: std::sync::Weak<Board> = Arc::downgrade(board);
        let host = HostContext::new(
            listener,
            board.ledger.time.clock(),
            HostOf::Plugin(cell.index),
            name.clone(),
            "{}",
            Arc::default(),
            Arc::default(),
        );
        let loaded = Loaded {
            library: Arc::new(library),
            host,
            preparation: None,
        };
        self.apply(&cell, Event::Mapped);
        cell.set_loaded(&mut cell.lock(), Some(loaded));
        cell
    }

    /// A plugin whose instance is created, and whose first update is due.
    pub(super) fn plugin(&self, id: &str) -> Arc<Cell> {
        let cell = self.mapped(id);
        let end = self.task(&cell, TaskCall::Create(CreateReason::Load));
        assert!(matches!(end, TaskEnd::Ended(Verdict::Completed, None)));
        assert_eq!(made(), ["create"]);
        cell
    }

    pub(super) fn apply(&self, cell: &Cell, event: Event) {
        let now = self.clock.now();
        let ledger = &self.executor.board.ledger;
        let applied = cell.apply(ledger, &mut cell.lock(), now, event);
        assert!(applied.is_ok(), "it is legal");
    }

    /// Has a worker wait for work, as far as the executor knows.
    pub(super) fn idle(&self) {
        let mut queue = self.executor.queue.lock();
        queue.idle.retain(|index| *index != IDLE);
        queue.idle.push(IDLE);
    }

    /// Whether it was called since.
    pub(super) fn was_called(&self) -> bool {
        let queue = self.executor.queue.lock();
        !queue.idle.contains(&IDLE)
    }

    /// Hands over a call, for which no thread is started.
    pub(super) fn submit(&self, cell: &Arc<Cell>, call: TaskCall) -> Arc<Waiter> {
        self.idle();
        self.executor.submit_task(cell, call)
    }

    /// Hands over a batch of these plugins.
    pub(super) fn submit_batch(&self, cells: &[&Arc<Cell>]) -> Arc<Batch> {
        let batch = self.batch(cells);
        self.idle();
        self.executor.submit(&batch);
        batch
    }

    pub(super) fn batch(&self, cells: &[&Arc<Cell>]) -> Arc<Batch> {
        let items = cells.iter().map(|cell| cell.index).collect();
        self.executor
            .batch(items, self.clock.now(), self.clock.wall())
    }

    /// Does what a worker does, until there is no more work.
    pub(super) fn work(&self) {
        let mut queue = self.executor.queue.lock();
        // A worker ends when there is no work and there will be none, and then no thread is started.
        queue.closed = true;
        queue.threads += 1;
        drop(queue);
        worker::run(&self.executor, WORKER);
        let mut queue = self.executor.queue.lock();
        queue.closed = false;
        queue.free_slots.clear();
        drop(queue);
        if let Some(panic) = FAILED.take() {
            resume_unwind(panic);
        }
    }

    /// Makes a call as a command does, and says how it ended.
    pub(super) fn task(&self, cell: &Arc<Cell>, call: TaskCall) -> TaskEnd {
        let waiter = self.submit(cell, call);
        self.work();
        ended(&waiter)
    }

    /// Runs a cycle of these plugins.
    pub(super) fn cycle(&self, cells: &[&Arc<Cell>]) -> CycleReport {
        let batch = self.submit_batch(cells);
        self.work();
        batch.report()
    }

    /// Moves the clock. The watchdog hears nothing of it.
    pub(super) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Moves the clock on and has the watchdog look, in the middle of the next call.
    pub(super) fn next_call_takes(&self, time: Duration) {
        let (clock, executor) = (self.clock.clone(), Arc::clone(&self.executor));
        next_call(move || {
            clock.advance(time);
            executor.watchdog.sweep(&executor);
            status::COMPLETED
        });
    }

    /// Has the next call last long enough to be slow, and says whether the watchdog has seen that.
    pub(super) fn slows_the_next_call(&self) -> Receiver<bool> {
        let executor = Arc::clone(&self.executor);
        let (tell, told) = channel();
        next_call(move || {
            executor.watchdog.sweep(&executor);
            executor.watchdog.age(WORKER);
            executor.watchdog.sweep(&executor);
            let _ = tell.send(executor.slots[WORKER].is_slow());
            status::COMPLETED
        });
        told
    }

    /// The entries of the history, oldest first.
    pub(super) fn history(&self, cell: &Cell) -> Vec<Transition> {
        let all = cell.history(&HistoryFilter::default(), u64::MAX);
        let mut entries = Vec::new();
        all.found.show_all(|entry| entries.push(entry.clone()));
        entries
    }

    pub(super) fn snapshot(&self, cell: &Cell) -> Snapshot {
        cell.snapshot(&self.executor.board.ledger.time)
    }
}

/// From now on the plugin requires one that is not there.
pub(super) fn require_what_is_missing(cell: &Cell) {
    let list = vec!["missing".parse().expect("it is a requirement")];
    cell.lock().requires = Some(Box::new(Requires {
        list: list.into(),
        unmet: None,
    }));
}
