//! The supervisor, on a clock that is moved by hand: a test for each policy and way of ending, on a thread and as a future.

use std::time::Duration;

use plugin_engine::{Clock, Engine, RestartPolicy, TaskBuilder, TaskHandle, TaskState};
use plugin_engine_tests::{Rig, RunAs, Scripted, Step, wait_for};

/// A runtime for those tasks that are futures.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap()
}

/// As often as it takes: the default.
fn for_ever(builder: TaskBuilder<'_>) -> TaskBuilder<'_> {
    builder
}

/// At most twice in ten minutes.
fn twice(builder: TaskBuilder<'_>) -> TaskBuilder<'_> {
    builder.restart(RestartPolicy {
        jitter_percent: 0,
        max_restarts: Some(2),
        ..RestartPolicy::default()
    })
}

/// Not at all.
fn never(builder: TaskBuilder<'_>) -> TaskBuilder<'_> {
    builder.restart(RestartPolicy {
        max_restarts: Some(0),
        ..RestartPolicy::default()
    })
}

type Policy = for<'a> fn(TaskBuilder<'a>) -> TaskBuilder<'a>;

fn start(engine: &Engine, policy: Policy, run_as: RunAs) -> Scripted {
    let task = Scripted::start(policy(engine.task("scripted")), run_as);
    task.await_runs(1);
    task
}

/// It is over like this, for good.
fn ends(rig: &Rig, task: &TaskHandle, state: TaskState) {
    assert!(task.join_within(Duration::from_secs(60)));
    let restarts = task.restarts();
    rig.advance(3_600_000);
    assert_eq!((task.state(), task.restarts()), (state, restarts));
}

fn returns(policy: Policy, run_as: RunAs) {
    let rig = Rig::new();
    let mut task = start(&rig.engine, policy, run_as);
    task.tell(Step::Return);
    ends(&rig, &task.handle, TaskState::Ended);
    assert_eq!((task.runs(), task.handle.restarts()), (1, 0));
}

fn is_cancelled_while_it_runs(policy: Policy, run_as: RunAs) {
    let rig = Rig::new();
    let task = start(&rig.engine, policy, run_as);
    assert_eq!(task.handle.state(), TaskState::Running);
    task.handle.cancel();
    ends(&rig, &task.handle, TaskState::Cancelled);
    assert_eq!(task.runs(), 1);
}

fn is_cancelled_while_it_waits(policy: Policy, run_as: RunAs) {
    let rig = Rig::new();
    let mut task = start(&rig.engine, policy, run_as);
    task.panic_and_wait(&rig, 1_000);
    task.handle.cancel();
    // The clock stands: nothing but the cancelling ends the wait.
    ends(&rig, &task.handle, TaskState::Cancelled);
    assert_eq!(task.runs(), 1);
}

fn the_engine_is_shut_down_while_it_runs(policy: Policy, run_as: RunAs) {
    let rig = Rig::new();
    let task = start(&rig.engine, policy, run_as);
    rig.engine.shutdown(Duration::from_secs(60)).unwrap();
    assert_eq!(task.handle.state(), TaskState::Cancelled);
    ends(&rig, &task.handle, TaskState::Cancelled);
}

fn the_engine_is_shut_down_while_it_waits(policy: Policy, run_as: RunAs) {
    let rig = Rig::new();
    let mut task = start(&rig.engine, policy, run_as);
    task.panic_and_wait(&rig, 1_000);
    rig.engine.shutdown(Duration::from_secs(60)).unwrap();
    assert_eq!(task.handle.state(), TaskState::Cancelled);
    ends(&rig, &task.handle, TaskState::Cancelled);
}

/// It waits for exactly as long as is said before each of the restarts.
fn restarts_after(rig: &Rig, task: &mut Scripted, delays: &[u64]) {
    for delay in delays {
        let runs = task.runs();
        task.panic_and_wait(rig, delay * 1_000);
        rig.advance(delay * 1_000 - 1);
        assert_eq!(task.runs(), runs);
        rig.advance(1);
        task.await_runs(runs + 1);
        task.await_state(TaskState::Running);
        assert_eq!(task.handle.restarts(), runs);
    }
}

fn panics_for_ever(run_as: RunAs) {
    let rig = Rig::new();
    let mut task = start(&rig.engine, for_ever, run_as);
    restarts_after(&rig, &mut task, &[1, 2, 4, 8, 16, 30, 30, 30]);
}

fn panics_twice(run_as: RunAs) {
    let rig = Rig::new();
    let mut task = start(&rig.engine, twice, run_as);
    restarts_after(&rig, &mut task, &[1, 2]);
    task.tell(Step::Panic);
    ends(&rig, &task.handle, TaskState::GaveUp);
    assert_eq!((task.runs(), task.handle.restarts()), (3, 2));
}

fn panics_never(run_as: RunAs) {
    let rig = Rig::new();
    let mut task = start(&rig.engine, never, run_as);
    task.tell(Step::Panic);
    ends(&rig, &task.handle, TaskState::GaveUp);
    assert_eq!((task.runs(), task.handle.restarts()), (1, 0));
}

fn panics_after_a_healthy_period_for_ever(run_as: RunAs) {
    let rig = Rig::new();
    let mut task = start(&rig.engine, for_ever, run_as);
    restarts_after(&rig, &mut task, &[1, 2, 4]);
    rig.advance(59_999);
    restarts_after(&rig, &mut task, &[8]);
    rig.advance(60_000);
    restarts_after(&rig, &mut task, &[1, 2]);
}

fn panics_after_a_healthy_period_twice(run_as: RunAs) {
    let rig = Rig::new();
    let mut task = start(&rig.engine, twice, run_as);
    restarts_after(&rig, &mut task, &[1]);
    // Health begins the delays anew, and not the count within the window.
    rig.advance(60_000);
    restarts_after(&rig, &mut task, &[1]);
    rig.advance(60_000);
    task.tell(Step::Panic);
    ends(&rig, &task.handle, TaskState::GaveUp);
}

fn panics_after_a_healthy_period_never(run_as: RunAs) {
    let rig = Rig::new();
    let mut task = start(&rig.engine, never, run_as);
    rig.advance(60_000);
    task.tell(Step::Panic);
    ends(&rig, &task.handle, TaskState::GaveUp);
}

/// One test for each cell: the policy, and how the task ends.
macro_rules! cells {
    ($($cell:ident: $test:expr;)+) => {
        mod on_a_thread {
            use super::*;
            $(#[test]
            fn $cell() {
                ($test)(RunAs::Thread);
            })+
        }

        mod as_a_future {
            use super::*;
            $(#[test]
            fn $cell() {
                let runtime = runtime();
                let _within = runtime.enter();
                ($test)(RunAs::Future);
            })+
        }
    };
}

cells! {
    restarted_for_ever_returns_and_is_ended: |run_as| returns(for_ever, run_as);
    restarted_twice_returns_and_is_ended: |run_as| returns(twice, run_as);
    restarted_never_returns_and_is_ended: |run_as| returns(never, run_as);
    restarted_for_ever_panics_and_waits_1_s_doubling_to_30_s: panics_for_ever;
    restarted_twice_panics_and_is_given_up_the_third_time: panics_twice;
    restarted_never_panics_and_is_given_up_at_once: panics_never;
    restarted_for_ever_panics_after_a_healthy_period_and_waits_1_s_again: panics_after_a_healthy_period_for_ever;
    restarted_twice_panics_after_healthy_periods_and_is_given_up_all_the_same: panics_after_a_healthy_period_twice;
    restarted_never_panics_after_a_healthy_period_and_is_given_up: panics_after_a_healthy_period_never;
    restarted_for_ever_is_cancelled_while_it_runs: |run_as| is_cancelled_while_it_runs(for_ever, run_as);
    restarted_twice_is_cancelled_while_it_runs: |run_as| is_cancelled_while_it_runs(twice, run_as);
    restarted_never_is_cancelled_while_it_runs: |run_as| is_cancelled_while_it_runs(never, run_as);
    restarted_for_ever_is_cancelled_in_the_middle_of_a_back_off: |run_as| is_cancelled_while_it_waits(for_ever, run_as);
    restarted_twice_is_cancelled_in_the_middle_of_a_back_off: |run_as| is_cancelled_while_it_waits(twice, run_as);
    restarted_for_ever_ends_with_the_engine_while_it_runs: |run_as| the_engine_is_shut_down_while_it_runs(for_ever, run_as);
    restarted_twice_ends_with_the_engine_while_it_runs: |run_as| the_engine_is_shut_down_while_it_runs(twice, run_as);
    restarted_never_ends_with_the_engine_while_it_runs: |run_as| the_engine_is_shut_down_while_it_runs(never, run_as);
    restarted_for_ever_ends_with_the_engine_in_the_middle_of_a_back_off: |run_as| the_engine_is_shut_down_while_it_waits(for_ever, run_as);
    restarted_twice_ends_with_the_engine_in_the_middle_of_a_back_off: |run_as| the_engine_is_shut_down_while_it_waits(twice, run_as);
}

#[test]
fn a_future_is_over_at_once_when_it_is_cancelled_whatever_it_waits_for() {
    let rig = Rig::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let held = std::sync::Arc::new(());
    let holds = std::sync::Arc::clone(&held);
    let handle = runtime.block_on(async {
        let (polled, first_poll) = tokio::sync::oneshot::channel();
        let mut polled = Some(polled);
        let task = rig.engine.supervise_async("waits", move |_| {
            let (holds, polled) = (std::sync::Arc::clone(&holds), polled.take());
            async move {
                let _holds = holds;
                let _ = polled.map(|polled| polled.send(()));
                std::future::pending::<()>().await;
            }
        });
        first_poll.await.unwrap();
        task.unwrap()
    });
    let shares = std::sync::Arc::strong_count(&held);
    // Nobody polls on this runtime any more.
    handle.cancel();
    assert_eq!(handle.state(), TaskState::Cancelled);
    assert_eq!(std::sync::Arc::strong_count(&held), shares - 1);
}

#[test]
fn a_task_whose_runtime_goes_away_is_cancelled() {
    let rig = Rig::new();
    let runtime = runtime();
    let within = runtime.enter();
    let task = start(&rig.engine, for_ever, RunAs::Future);
    drop(within);
    drop(runtime);
    ends(&rig, &task.handle, TaskState::Cancelled);
}

/// Moves the clock second by second until something comes.
fn advance_until<T>(rig: &Rig, receiver: &std::sync::mpsc::Receiver<T>) -> T {
    loop {
        if let Ok(what) = receiver.try_recv() {
            return what;
        }
        rig.advance(1_000);
        std::thread::yield_now();
    }
}

#[test]
fn a_sleep_follows_the_clock_of_the_engine_and_is_cut_short_by_a_cancel() {
    let rig = Rig::new();
    let clock = rig.clock.clone();
    let (tell, told) = std::sync::mpsc::channel();
    let task = rig.engine.supervise("sleeps", move |context| {
        let began = clock.now();
        let goes_on = context.sleep(Duration::from_secs(10));
        let slept = clock.now().saturating_since(began);
        tell.send((goes_on, slept >= Duration::from_secs(10)))
            .unwrap();
        let goes_on = context.sleep(Duration::MAX);
        tell.send((goes_on, context.is_cancelled())).unwrap();
    });
    let task = task.unwrap();
    assert_eq!(advance_until(&rig, &told), (true, true));
    task.cancel();
    assert_eq!(told.recv().unwrap(), (false, true));
    ends(&rig, &task, TaskState::Cancelled);
}

#[test]
fn a_future_sleeps_by_the_clock_of_the_engine() {
    let rig = Rig::new();
    let runtime = runtime();
    let _within = runtime.enter();
    let clock = rig.clock.clone();
    let (tell, told) = std::sync::mpsc::channel();
    let task = rig.engine.supervise_async("sleeps", move |context| {
        let (clock, tell) = (clock.clone(), tell.clone());
        async move {
            let began = clock.now();
            context.sleep_async(Duration::from_secs(10)).await;
            let slept = clock.now().saturating_since(began);
            tell.send(slept >= Duration::from_secs(10)).unwrap();
        }
    });
    assert!(advance_until(&rig, &told));
    ends(&rig, &task.unwrap(), TaskState::Ended);
}

#[test]
fn futures_sleep_by_the_machines_clock_without_a_timer_of_their_runtime() {
    let rig = Rig::real(|builder| builder);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let _within = runtime.enter();
    let task = rig.engine.supervise_async("sleeps", |context| async move {
        for _ in 0..3 {
            let twice = Duration::from_millis(5);
            context.sleep_async(twice).await;
        }
    });
    let task = task.unwrap();
    assert!(task.join_within(Duration::from_secs(60)));
    assert_eq!(task.state(), TaskState::Ended);
    runtime.block_on(task.ended());
}

#[test]
fn a_future_that_cancels_itself_ends_at_its_next_await() {
    let rig = Rig::new();
    let runtime = runtime();
    let _within = runtime.enter();
    let (hand_over, handed) = std::sync::mpsc::channel::<TaskHandle>();
    let handed = std::sync::Arc::new(std::sync::Mutex::new(handed));
    let went_on = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let goes_on = std::sync::Arc::clone(&went_on);
    let task = rig.engine.supervise_async("itself", move |_| {
        let (handed, goes_on) = (handed.clone(), goes_on.clone());
        async move {
            let itself = handed.lock().unwrap().recv().unwrap();
            itself.cancel();
            tokio::task::yield_now().await;
            goes_on.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    });
    let task = task.unwrap();
    hand_over.send(task.clone()).unwrap();
    ends(&rig, &task, TaskState::Cancelled);
    assert!(!went_on.load(std::sync::atomic::Ordering::SeqCst));
}

#[test]
fn a_future_that_cannot_even_be_made_is_made_again_after_a_second() {
    let rig = Rig::new();
    let runtime = runtime();
    let _within = runtime.enter();
    let mut tries = 0;
    let task = rig.engine.supervise_async("made", move |_| {
        tries += 1;
        assert!(tries > 1, "not the first time");
        async {}
    });
    let task = task.unwrap();
    let until = rig.clock.now().saturating_add(Duration::from_secs(1));
    wait_for("the panic", || task.state() == TaskState::Waiting { until });
    rig.advance(1_000);
    ends(&rig, &task, TaskState::Ended);
    assert_eq!(task.restarts(), 1);
}
