//! The pool: who is called for work, how many threads that takes, and what becomes of work for which nobody is there.

use std::sync::mpsc::channel;

use plugin_engine_core::{CallId, FaultKind, Moment, RejectReason};

use super::test_rig::{IDLE, INTERVAL, Rig, WORKER, ended, made, next_call};
use super::*;
use crate::instance::CallTicket;

fn lock(rig: &Rig) -> crate::threading::MutexGuard<'_, Queue> {
    rig.executor.queue.lock()
}

/// So many threads, as far as the executor knows, and how many of them are in slow calls.
fn pretend(rig: &Rig, threads: usize, slow: usize) {
    lock(rig).threads = threads;
    rig.executor.slow.store(slow, Ordering::Relaxed);
}

/// A call that begins in a slot.
fn begin(rig: &Rig, index: usize, cell: u32) -> u64 {
    let ticket = CallTicket {
        id: CallId(1),
        since: Moment::ZERO,
        deadline: Moment::FAR,
    };
    let slot = &rig.executor.slots[index];
    slot.begin(cell, ticket);
    slot.sample().expect("it has begun").ticket
}

/// Ends the threads that were really started.
fn end(rig: &Rig) {
    rig.executor.close();
    while lock(rig).threads > 0 {
        std::thread::yield_now();
    }
}

fn error(rig: &Rig, cell: &PluginCell) -> Option<FaultKind> {
    rig.snapshot(cell).error.map(|error| error.kind)
}

#[test]
fn work_is_whatever_is_left_to_take() {
    let rig = Rig::new(1, 3);
    let cell = rig.plugin("a");
    let batch = rig.batch(&[&cell]);
    assert!(!lock(&rig).has_work());
    rig.submit(&cell, TaskCall::Update);
    assert!(lock(&rig).has_work(), "a task");
    lock(&rig).tasks.clear();
    let no_thread = News::NoThread(std::io::Error::other("none"));
    lock(&rig).news.push_back(no_thread);
    assert!(lock(&rig).has_work(), "news");
    lock(&rig).news.clear();
    let rest = Rest {
        batch: Arc::clone(&batch),
        range: (0, 1),
    };
    lock(&rig).rests.push_back(rest);
    assert!(lock(&rig).has_work(), "what a worker has left");
    lock(&rig).rests.clear();
    lock(&rig).batches.push_back(Arc::clone(&batch));
    assert!(lock(&rig).has_work(), "a batch");
    batch.take_chunk();
    assert!(!lock(&rig).has_work(), "all of it is taken");
}

#[test]
fn the_worker_that_has_waited_least_is_called() {
    let rig = Rig::new(1, 3);
    let mut queue = lock(&rig);
    queue.idle = vec![2, 0, 1];
    rig.executor.call_for_hands(&mut queue);
    assert_eq!(queue.idle, [2, 0]);
}

#[test]
fn no_more_workers_are_at_work_than_wanted_beside_those_that_are_slow() {
    let rig = Rig::new(1, 4);
    let cell = rig.plugin("a");
    // One is at work, and one was left over by a call that was slow once.
    pretend(&rig, 2, 0);
    rig.submit(&cell, TaskCall::Update);
    let batch = rig.submit_batch(&[&cell]);
    assert!(!rig.was_called(), "who is at work will come for it");
    let slow = begin(&rig, WORKER, cell.index);
    rig.executor.relieve(WORKER, slow);
    assert!(rig.was_called(), "who is slow will not");
    lock(&rig).tasks.clear();
    assert_eq!(batch.report().due, 1);
    pretend(&rig, 0, 0);
}

#[test]
fn who_comes_back_from_a_slow_call_takes_nothing_from_those_that_are_at_work_instead() {
    let rig = Rig::new(1, 4);
    let cell = rig.plugin("a");
    let _batch = rig.submit_batch(&[&cell]);
    let takes = |threads, slow, idle: &[usize]| {
        pretend(&rig, threads, slow);
        let mut queue = lock(&rig);
        queue.idle = idle.to_vec();
        worker::wanted_work(&rig.executor, &mut queue).is_some()
    };
    assert!(!takes(2, 0, &[]), "another one is at work");
    assert!(takes(2, 1, &[]), "the other one is slow");
    assert!(takes(2, 0, &[IDLE]), "the other one waits");
    lock(&rig).closed = true;
    assert!(takes(2, 0, &[]), "what there is at the end is answered");
    lock(&rig).closed = false;
    pretend(&rig, 0, 0);
}

#[test]
fn a_worker_that_is_fast_again_calls_nobody_for_what_it_takes_itself() {
    let rig = Rig::new(1, 4);
    let cell = rig.plugin("a");
    rig.submit(&cell, TaskCall::Update);
    pretend(&rig, 2, 0);
    let slot = &rig.executor.slots[WORKER];
    rig.executor.foresee(&mut lock(&rig), slot);
    rig.idle();
    assert!(!rig.executor.recover(WORKER) && !rig.was_called());
    lock(&rig).tasks.clear();
    pretend(&rig, 0, 0);
}

#[test]
fn what_a_worker_that_leaves_would_have_taken_is_taken_by_another() {
    let rig = Rig::new(1, 4);
    let cell = rig.plugin("a");
    // More are idle than may stay, so the one that is at work is to go when it is done.
    pretend(&rig, 3, 0);
    lock(&rig).idle.push(2);
    rig.submit(&cell, TaskCall::Update);
    assert!(rig.executor.recover(WORKER) && !rig.was_called());
    rig.executor.leave(WORKER);
    assert!(rig.was_called());
    lock(&rig).tasks.clear();
    pretend(&rig, 0, 0);
}

#[test]
fn threads_are_as_many_as_wanted_beside_those_that_are_slow_and_no_more_than_the_limit() {
    let rig = Rig::new(2, 4);
    rig.use_slots(0);
    // Inside one lock, so that none that was started comes as far as to wait for work.
    let mut queue = lock(&rig);
    let mut threads_with = |slow: usize| {
        rig.executor.slow.store(slow, Ordering::Relaxed);
        rig.executor.call_for_hands(&mut queue);
        queue.threads
    };
    assert_eq!((threads_with(0), threads_with(0)), (1, 2));
    assert_eq!(threads_with(0), 2, "that is as many as are wanted");
    assert_eq!((threads_with(1), threads_with(1)), (3, 3));
    assert_eq!(
        (threads_with(4), threads_with(4)),
        (4, 4),
        "that is the limit"
    );
    queue.closed = true;
    queue.threads = 0;
    rig.executor.call_for_hands(&mut queue);
    assert_eq!(queue.threads, 0, "nothing is started any more");
    queue.threads = 4;
    drop(queue);
    rig.executor.slow.store(0, Ordering::Relaxed);
    end(&rig);
}

#[test]
fn where_no_thread_is_fast_the_watchdog_answers_for_what_nobody_takes() {
    let rig = Rig::new(1, 2);
    let wakes = |threads, slow| {
        pretend(&rig, threads, slow);
        rig.executor.watchdog.set_deep(true);
        let mut queue = lock(&rig);
        queue.closed = true;
        rig.executor.call_for_hands(&mut queue);
        !rig.executor.watchdog.set_deep(false)
    };
    assert!(wakes(2, 2));
    assert!(!wakes(2, 1));
}

#[test]
fn it_is_crowded_when_only_the_wanted_number_is_left_for_calls_that_hang() {
    let rig = Rig::new(1, 3);
    let crowded = [0, 1, 2, 3].map(|slow| {
        pretend(&rig, 3, slow);
        rig.executor.is_crowded(&rig.executor.slots[WORKER])
    });
    assert_eq!(crowded, [false, false, true, true]);
    let slot = &rig.executor.slots[WORKER];
    slot.set_slow(true);
    let crowded = [1, 2, 3].map(|slow| {
        pretend(&rig, 3, slow);
        rig.executor.is_crowded(slot)
    });
    assert_eq!(
        crowded,
        [false, false, true],
        "it does not crowd out itself"
    );
    slot.set_slow(false);
    pretend(&rig, 0, 0);
}

#[test]
fn a_worker_that_is_fast_again_stays_while_no_more_than_twice_the_wanted_number_are() {
    let rig = Rig::new(3, 9);
    pretend(&rig, 6, 0);
    assert!(!rig.executor.recover(WORKER));
    pretend(&rig, 7, 0);
    assert!(rig.executor.recover(WORKER), "one too many");
    pretend(&rig, 7, 2);
    rig.executor.slots[WORKER].set_slow(true);
    assert!(!rig.executor.recover(WORKER), "another one is slow");
    assert!(!rig.executor.slots[WORKER].is_slow());
    assert_eq!(rig.executor.threads(), (7, 1));
    rig.executor.slots[WORKER].set_slow(true);
    assert!(rig.executor.recover(WORKER));
    assert_eq!(rig.executor.threads(), (7, 0));
}

#[test]
fn what_a_slow_worker_has_not_begun_goes_to_others_and_what_it_has_done_is_counted() {
    let rig = Rig::new(1, 3);
    let cell = rig.plugin("a");
    let batch = rig.batch(&[&cell, &cell, &cell, &cell]);
    let slot = &rig.executor.slots[WORKER];
    slot.work_for(OnBehalf::Cycle(Arc::clone(&batch)));
    slot.set_range((1, 4));
    assert_eq!(slot.next_item(), Some(1));
    slot.count(Verdict::Completed);
    let before = begin(&rig, WORKER, cell.index);
    slot.end();
    rig.idle();
    rig.executor.relieve(WORKER, before);
    assert!(!slot.is_slow(), "that call has ended");
    let now = begin(&rig, WORKER, cell.index);
    rig.executor.relieve(WORKER, before);
    assert!(!slot.is_slow(), "this is another one");
    assert!(!rig.was_called());
    for _ in 0..2 {
        // The second time changes nothing any more.
        rig.executor.relieve(WORKER, now);
        assert!(slot.is_slow() && rig.was_called());
        assert_eq!(rig.executor.threads().1, 1);
        assert_eq!(batch.report().completed, 1);
        let queue = lock(&rig);
        let ranges: Vec<_> = queue.rests.iter().map(|rest| rest.range).collect();
        assert_eq!(ranges, [(2, 4)]);
    }
}

#[test]
fn what_nobody_can_be_had_for_is_refused_in_words() {
    let rig = Rig::new(1, 2);
    let [left, due] = ["a", "b"].map(|id| rig.plugin(id));
    let rest = rig.batch(&[&due, &left, &due]);
    while rest.take_chunk().is_some() {}
    let refuse = |threads, slow| {
        pretend(&rig, threads, slow);
        lock(&rig).idle.clear();
        rig.executor.tend();
    };
    let task = rig.submit(&due, TaskCall::Display);
    let batch = rig.submit_batch(&[&due]);
    let rest_of = Rest {
        batch: Arc::clone(&rest),
        range: (1, 2),
    };
    lock(&rig).rests.push_back(rest_of);
    let is_left = || lock(&rig).has_work();
    pretend(&rig, 2, 2);
    rig.idle();
    rig.executor.tend();
    assert!(is_left(), "somebody waits for work");
    refuse(2, 1);
    assert!(is_left(), "somebody is fast");
    refuse(2, 2);
    assert!(!is_left());
    assert!(matches!(ended(&task), TaskEnd::Refused));
    assert_eq!((batch.report().skipped, rest.report().skipped), (1, 1));
    for cell in [&left, &due] {
        assert_eq!(error(&rig, cell), Some(FaultKind::Refused));
    }
    assert_eq!(made(), [""; 0]);
    pretend(&rig, 0, 0);
}

#[test]
fn where_a_thread_can_be_had_for_work_that_nobody_takes_it_is_started() {
    let rig = Rig::new(1, 3);
    let cell = rig.plugin("a");
    let batch = rig.submit_batch(&[&cell]);
    pretend(&rig, 1, 1);
    lock(&rig).idle.clear();
    rig.use_slots(1);
    rig.executor.tend();
    let report = batch.wait();
    assert_eq!((report.completed, report.skipped), (1, 0));
    lock(&rig).threads -= 1;
    rig.executor.slow.store(0, Ordering::Relaxed);
    end(&rig);
}

#[test]
fn a_worker_that_is_busy_and_fast_will_come_for_the_work_that_is_there() {
    let rig = Rig::new(2, 4);
    let cell = rig.plugin("a");
    rig.submit(&cell, TaskCall::Update);
    let mut queue = lock(&rig);
    queue.idle.clear();
    queue.threads = 1;
    drop(queue);
    rig.executor.tend();
    assert_eq!(rig.executor.threads(), (1, 0));
    assert!(lock(&rig).has_work());
}

#[test]
fn it_starts_with_the_wanted_number_of_workers_and_all_end_with_it() {
    let rig = Rig::new(3, 9);
    rig.use_slots(0);
    assert_eq!(rig.executor.workers(), 3);
    let clock = rig.executor.board.ledger.time.clock();
    let supervisor = Supervisor::new(Arc::clone(clock), None);
    rig.executor.start(&supervisor).expect("threads can be had");
    assert_eq!(rig.executor.threads(), (3, 0));
    rig.executor.watchdog.end();
    let soon = std::time::Instant::now() + std::time::Duration::from_secs(60);
    assert_eq!(supervisor.join_all(Some(soon)), [""; 0].map(Box::from));
    end(&rig);
}

#[test]
fn while_there_is_no_work_nobody_is_started() {
    let rig = Rig::new(1, 3);
    rig.executor.tend();
    assert_eq!(rig.executor.threads(), (0, 0));
}

#[test]
fn an_instance_that_no_thread_can_be_had_to_destroy_is_given_back() {
    let rig = Rig::new(1, 2);
    let cell = rig.plugin("a");
    let instance = cell.lock().instance.take().expect("it is created");
    let call = TaskCall::Destroy {
        instance,
        current: true,
    };
    let task = rig.submit(&cell, call);
    pretend(&rig, 2, 2);
    lock(&rig).idle.clear();
    rig.executor.tend();
    assert!(matches!(ended(&task), TaskEnd::Refused));
    assert!(cell.lock().instance.is_some());
    assert_eq!(made(), [""; 0]);
}

#[test]
fn at_the_end_all_work_is_answered_and_those_who_wait_for_some_go() {
    let rig = Rig::new(1, 3);
    let cells = ["a", "b", "c", "d"].map(|id| rig.plugin(id));
    let [a, b, c, d] = &cells;
    let task = rig.submit(a, TaskCall::Update);
    let batch = rig.submit_batch(&[b]);
    // One worker has made a call, is stuck in the next, and has not begun the third; another has left its whole share.
    let stuck = rig.batch(&[a, b, c]);
    let slot = &rig.executor.slots[2];
    slot.work_for(OnBehalf::Cycle(Arc::clone(&stuck)));
    slot.set_range((2, 3));
    slot.count(Verdict::Failed);
    let left = rig.batch(&[d]);
    let rest = Rest {
        batch: Arc::clone(&left),
        range: (0, 1),
    };
    lock(&rig).rests.push_back(rest);
    rig.idle();
    rig.executor.watchdog.set_deep(true);
    rig.executor.close();
    assert!(rig.was_called() && !lock(&rig).has_work());
    assert!(!rig.executor.watchdog.set_deep(false), "it was woken");
    assert!(matches!(ended(&task), TaskEnd::Refused));
    let reports = [&batch, &stuck, &left].map(|batch| batch.report());
    assert_eq!(reports.map(|report| report.skipped), [1, 1, 1]);
    assert_eq!(reports.map(|report| report.failed), [0, 1, 0]);
    // What comes later is answered at once.
    assert!(matches!(
        ended(&rig.executor.submit_task(a, TaskCall::Update)),
        TaskEnd::Refused
    ));
    let late = rig.batch(&[a]);
    rig.executor.submit(&late);
    assert_eq!(late.report().skipped, 1);
    assert_eq!(made(), [""; 0]);
}

#[test]
fn a_thread_is_in_a_call_of_a_plugin_only_as_a_worker_of_that_executor() {
    let (rig, other) = (Rig::new(1, 3), Rig::new(1, 3));
    let cell = rig.plugin("a");
    begin(&other, WORKER, cell.index);
    let executors = [&rig, &other].map(|rig| Arc::clone(&rig.executor));
    let index = cell.index;
    let (tell, told) = channel();
    next_call(move || {
        let [executor, other] = &executors;
        let here = [
            executor.is_called_by_this_thread(index),
            executor.is_called_by_this_thread(index + 1),
            other.is_called_by_this_thread(index),
        ];
        let elsewhere = std::thread::scope(|scope| {
            let asked = scope.spawn(|| executor.is_called_by_this_thread(index));
            asked.join().unwrap_or(true)
        });
        let _ = tell.send((here, elsewhere));
        0
    });
    rig.task(&cell, TaskCall::Update);
    assert_eq!(told.recv().unwrap(), ([true, false, false], false));
    assert!(
        !rig.executor.is_called_by_this_thread(index),
        "it has ended"
    );
}

#[test]
fn a_call_that_nobody_could_make_was_refused_and_one_that_was_made_was_not() {
    let rig = Rig::new(1, 3);
    let cell = rig.plugin("a");
    let waiter = rig.submit(&cell, TaskCall::Update);
    lock(&rig).tasks.clear();
    assert!(matches!(ended(&waiter), TaskEnd::Refused));
    let end = rig.task(&cell, TaskCall::Update);
    assert!(matches!(end, TaskEnd::Ended(Verdict::Completed, None)));
    assert_eq!(made(), ["update"]);
    rig.advance(INTERVAL);
    assert_eq!(rig.cycle(&[&cell]).completed, 1);
    let mapped = rig.mapped("b");
    let end = rig.task(&mapped, TaskCall::Update);
    assert!(
        matches!(end, TaskEnd::NotMade(RejectReason::Illegal(_))),
        "{end:?}"
    );
    let _ = IDLE;
}
