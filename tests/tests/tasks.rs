//! Tasks of the embedder and of the engine: what is refused, what is told of them, and how they end with their engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use plugin_engine::{
    Cause, Engine, FaultPoint, RunLimit, SuperviseError, TaskContext, TaskEnd, TaskHandle,
    TaskKind, TaskLiveness, TaskState,
};
use plugin_engine_tests::{Faults, Gate, Rig, gated, lines_with, slow_to_remove, wait_for};

const LONG: Duration = Duration::from_secs(60);

fn liveness(engine: &Engine, task: &str) -> Option<TaskLiveness> {
    let mut all = engine.liveness().into_iter();
    all.find(|one| &*one.name == task)
}

fn waits(context: &TaskContext) {
    context.wait_for_cancel();
}

fn code(result: Result<TaskHandle, SuperviseError>) -> String {
    let error = result.expect_err("it is refused");
    format!("{} {error}", error.code())
}

#[test]
fn a_name_that_is_taken_is_refused_until_its_task_has_ended() {
    let rig = Rig::new();
    let first = rig.engine.supervise("feeder", waits).unwrap();
    assert_eq!(
        code(rig.engine.supervise("feeder", waits)),
        "PE0612 feeder: a task of this name runs already"
    );
    assert_eq!(first.state(), TaskState::Running);
    first.cancel();
    first.join();
    rig.engine.supervise("feeder", waits).unwrap();
    let told = rig.engine.liveness();
    let named = told.iter().filter(|task| &*task.name == "feeder");
    assert_eq!(named.count(), 1);
}

#[test]
fn a_name_that_is_none_or_one_of_the_engine_is_refused_in_words() {
    let rig = Rig::new();
    let long = "x".repeat(65);
    for (name, why) in [
        ("", "it must have 1 to 64 bytes"),
        (&*long, "it must have 1 to 64 bytes"),
        ("a\nb", "it has a control character"),
        ("plugin-watch", "names that begin with"),
        ("plugin.clock", "names that begin with"),
    ] {
        let error = code(rig.engine.supervise(name, waits));
        assert!(
            error.starts_with("PE0611") && error.contains(why) && !error.contains('\n'),
            "{error}"
        );
    }
    assert!(rig.engine.supervise(&long[..64], waits).is_ok());
}

#[test]
fn there_is_a_limit_of_tasks_and_beyond_it_they_are_refused_in_words() {
    let rig = Rig::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _within = runtime.enter();
    let tasks: Vec<_> = (0..256)
        .map(|number| {
            let name = format!("task-{number}");
            let task = rig
                .engine
                .supervise_async(&name, |_| std::future::pending());
            task.unwrap()
        })
        .collect();
    assert_eq!(
        code(rig.engine.supervise("one-more", waits)),
        "PE0613 one-more: 256 tasks of this kind run already, which is the most there may be"
    );
    tasks[7].cancel();
    assert!(rig.engine.supervise("one-more", waits).is_ok());
}

#[test]
fn nothing_is_left_of_a_future_that_nobody_would_poll_nor_of_a_task_after_the_end() {
    let rig = Rig::new();
    let error = code(rig.engine.supervise_async("future", |_| async {}));
    assert!(error.starts_with("PE0614 future: "), "{error}");
    assert_eq!(liveness(&rig.engine, "future"), None);
    rig.engine.shutdown(LONG).unwrap();
    assert_eq!(
        code(rig.engine.supervise("late", waits)),
        "PE0405 late: not started, the engine has been shut down"
    );
    assert_eq!(liveness(&rig.engine, "late"), None);
}

#[test]
fn a_shutdown_names_the_tasks_that_do_not_end_and_returns_within_its_budget() {
    assert!(lines_with("has not ended").is_empty());
    let rig = Rig::new();
    let (let_go, gate) = channel::<()>();
    let (begun, begins) = channel::<()>();
    let stubborn = rig.engine.supervise("stubborn", move |_| {
        begun.send(()).unwrap();
        let _ = gate.recv();
    });
    let stubborn = stubborn.unwrap();
    begins.recv().unwrap();
    let obeys = rig.engine.supervise("obeys", waits).unwrap();
    let began = Instant::now();
    rig.engine.shutdown(Duration::from_millis(200)).unwrap();
    assert!(began.elapsed() < LONG);
    assert_eq!(obeys.state(), TaskState::Cancelled);
    assert_eq!(stubborn.state(), TaskState::Running);
    let lines = lines_with("has not ended; its thread is left behind");
    let named: Vec<_> = lines.iter().map(|line| &*line.fields["task"]).collect();
    assert_eq!(named, ["stubborn"]);
    for task in rig.engine.liveness() {
        assert_eq!(task.ended.is_none(), &*task.name == "stubborn", "{task:?}");
    }
    let_go.send(()).unwrap();
    stubborn.join();
    assert_eq!(stubborn.state(), TaskState::Cancelled);
}

#[test]
fn a_task_that_shuts_its_engine_down_does_not_wait_for_itself() {
    let rig = Rig::new();
    let engine = rig.engine.clone();
    let (tell, told) = channel();
    let task = rig.engine.supervise("ends-it", move |context| {
        let began = Instant::now();
        engine.shutdown(LONG * 60).unwrap();
        tell.send((began.elapsed() < LONG * 30, context.is_cancelled()))
            .unwrap();
    });
    assert_eq!(told.recv_timeout(LONG * 2), Ok((true, true)));
    let task = task.unwrap();
    task.join();
    assert_eq!(task.state(), TaskState::Cancelled);
}

#[test]
fn a_task_that_holds_the_last_handle_of_its_engine_ends_with_it_in_time() {
    // Listens from the beginning.
    let _ = lines_with("has not ended");
    let rig = Rig::new();
    let engine = rig.engine.clone();
    let goes = Arc::new(AtomicBool::new(false));
    let gone = Arc::clone(&goes);
    let task = rig.engine.supervise("holds", move |_| {
        let _engine = &engine;
        while !gone.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    });
    let task = task.unwrap();
    drop(rig);
    assert_eq!(task.state(), TaskState::Running);
    goes.store(true, Ordering::SeqCst);
    // Its end drops the engine, which waits for all tasks but this one.
    assert!(task.join_within(LONG));
    assert!(
        lines_with("has not ended")
            .iter()
            .all(|line| line.fields["task"] != "holds")
    );
}

#[test]
fn progress_counts_only_from_the_own_loop_of_a_task() {
    let rig = Rig::new();
    let (hand_over, handed) = channel::<TaskContext>();
    let (go, goes) = channel::<()>();
    let task = rig.engine.task("feeder").period(Duration::ZERO).expected();
    let task = task.start(move |context| {
        hand_over.send(context.clone()).unwrap();
        while goes.recv().is_ok() {
            context.record_progress();
        }
    });
    let context = handed.recv().unwrap();
    let _zone = context.protect();
    let _busy = context.busy();
    context.record_progress();
    let told = liveness(&rig.engine, "feeder").unwrap();
    assert_eq!(
        (
            told.kind,
            told.last_progress,
            told.busy_since,
            told.protected
        ),
        (TaskKind::Embedder, None, None, false)
    );
    assert!(told.stale.is_some(), "it is expected");
    go.send(()).unwrap();
    wait_for("its own progress", || {
        rig.engine.is_healthy(&["feeder"], None).is_ok()
    });
    rig.advance(5_001);
    context.record_progress();
    let stale = rig.engine.is_healthy(&["feeder"], None).unwrap_err();
    let why: Vec<_> = stale.tasks.iter().map(ToString::to_string).collect();
    assert!(why.contains(&"feeder: no progress for 5s 1ms, longer than 5s".to_owned()));
    drop(go);
    let task = task.unwrap();
    task.join();
    let told = liveness(&rig.engine, "feeder").unwrap();
    assert_eq!(told.ended, Some(TaskEnd::Returned));
    assert_eq!((told.stale, told.seconds_ago), (None, Some(5)));
}

#[test]
fn a_clock_that_is_moved_by_hours_leaves_no_task_of_the_engine_stale() {
    let rig = Rig::with(slow_to_remove);
    rig.drop_in("noop");
    rig.load();
    let _watch = rig.engine.watch(|_| ()).unwrap();
    for _ in 0..20 {
        rig.advance(3_600_000);
        wait_for("all to have noticed", || {
            rig.engine.is_healthy(&["plugin-watch"], None).is_ok()
        });
    }
}

#[test]
fn an_idle_engine_makes_progress_by_itself() {
    let rig = Rig::real(|builder| builder);
    rig.drop_in("noop");
    rig.load();
    for task in ["plugin-watchdog", "plugin-loader"] {
        let last = || liveness(&rig.engine, task).and_then(|task| task.last_progress);
        wait_for("the first progress", || last().is_some());
        let before = last();
        wait_for(task, || last() > before);
    }
}

#[test]
fn a_run_on_a_thread_of_the_embedder_goes_on_after_a_panic_and_counts_its_cycles() {
    let faults = Faults::new();
    assert!(lines_with(faults.marker()).is_empty());
    let rig = Rig::with(|builder| faults.inject(builder));
    rig.drop_in("noop");
    rig.load();
    let engine = rig.engine.clone();
    let run = std::thread::spawn(move || engine.run_until(RunLimit::Cycles(3)));
    let updates = || {
        let causes = rig.causes("noop").into_iter();
        causes
            .filter(|cause| *cause == Cause::UpdateCompleted)
            .count()
    };
    wait_for("the first cycle", || updates() == 1);
    faults.kill("plugin-scheduler", FaultPoint::Round);
    rig.advance(1_000);
    wait_for("the panic", || lines_with(faults.marker()).len() == 1);
    assert_eq!(updates(), 1);
    rig.advance(1_000);
    wait_for("the second cycle", || updates() == 2);
    rig.advance(1_000);
    assert_eq!(run.join().unwrap(), 3);
    let told = liveness(&rig.engine, "plugin-scheduler").unwrap();
    assert_eq!((told.restarts, told.ended), (1, Some(TaskEnd::Returned)));
}

#[test]
fn a_run_of_one_cycle_ends_with_it_though_the_clock_stands() {
    let rig = Rig::new();
    rig.drop_in("noop");
    rig.load();
    let engine = rig.engine.clone();
    let run = std::thread::spawn(move || engine.run_until(RunLimit::Cycles(1)));
    wait_for("the end of the run", || run.is_finished());
    assert_eq!(run.join().unwrap(), 1);
}

/// Makes a task of the engine wait for its next start.
fn panicked(rig: &Rig, faults: &Faults, task: &str) {
    faults.kill(task, FaultPoint::Round);
    wait_for("the panic", || {
        rig.advance(2_000);
        !lines_with(faults.marker()).is_empty()
    });
}

#[test]
fn a_run_that_is_dropped_and_a_watch_that_is_dropped_end_also_while_they_wait_to_be_started_again()
{
    let faults = Faults::new();
    let rig = Rig::with(|builder| slow_to_remove(faults.inject(builder)));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let engine = rig.engine.clone();
    let run = runtime.spawn(async move { engine.run_async().await });
    wait_for("the run", || {
        liveness(&rig.engine, "plugin-scheduler").is_some()
    });
    panicked(&rig, &faults, "plugin-scheduler");
    run.abort();
    let ended = |task| liveness(&rig.engine, task).and_then(|task| task.ended);
    wait_for("its end", || {
        ended("plugin-scheduler") == Some(TaskEnd::Cancelled)
    });

    let others = Faults::new();
    let rig = Rig::with(|builder| slow_to_remove(others.inject(builder)));
    let watch = rig.engine.watch(|_| ()).unwrap();
    panicked(&rig, &others, "plugin-watch");
    drop(watch);
    wait_for("its end", || {
        let told = liveness(&rig.engine, "plugin-watch");
        told.and_then(|task| task.ended) == Some(TaskEnd::Cancelled)
    });
}

#[test]
fn several_runs_and_watches_are_told_apart() {
    let rig = Rig::with(slow_to_remove);
    let watches = [(); 2].map(|()| rig.engine.watch(|_| ()).unwrap());
    let names: Vec<_> = rig
        .engine
        .liveness()
        .into_iter()
        .map(|one| one.name)
        .collect();
    for name in ["plugin-watchdog", "plugin-watch", "plugin-watch-2"] {
        assert!(names.iter().any(|one| &**one == name), "{names:?}");
    }
    let [first, second] = watches;
    drop(first);
    wait_for("the end of the first", || {
        liveness(&rig.engine, "plugin-watch").is_some_and(|one| one.ended.is_some())
    });
    assert_eq!(liveness(&rig.engine, "plugin-watch-2").unwrap().ended, None);
    drop(second);
}

#[test]
fn a_plugin_is_told_once_it_has_recorded_progress_and_is_stale_only_in_a_call() {
    let gate = Gate::new();
    let rig = gated(&gate, "talks", "talks = true");
    assert_eq!(liveness(&rig.engine, "plugin.talks"), None);
    gate.open(1);
    assert_eq!(rig.engine.run_cycle().completed, 1);
    let told = liveness(&rig.engine, "plugin.talks").unwrap();
    assert_eq!((told.kind, told.busy_since), (TaskKind::Plugin, None));
    // A clock that stood at its beginning has gone on by a nanosecond when a plugin makes progress.
    rig.advance(60_001);
    let told = liveness(&rig.engine, "plugin.talks").unwrap();
    assert_eq!((told.seconds_ago, told.stale), (Some(60), None));
    let _cycle = rig.engine.start_cycle();
    gate.await_entry(2);
    rig.advance(5_000);
    let told = liveness(&rig.engine, "plugin.talks").unwrap();
    assert!(told.busy_since.is_some() && told.stale.is_none());
    rig.advance(1);
    assert!(
        liveness(&rig.engine, "plugin.talks")
            .unwrap()
            .stale
            .is_some()
    );
    let unwell = || rig.engine.is_healthy(&["plugin.talks"], None).is_err();
    assert!(unwell());
    wait_for("the engine's own tasks", || {
        rig.engine.is_healthy(&[], None).is_ok()
    });
    gate.open(2);
    wait_for("the call to return", || !unwell());
    rig.engine.unload("talks").unwrap();
    let told = liveness(&rig.engine, "plugin.talks").unwrap();
    assert_eq!(told.ended, Some(TaskEnd::Returned));
}
