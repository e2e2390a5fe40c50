//! What a worker makes of the work that it takes.

use std::sync::mpsc::channel;

use plugin_api::abi::status;
use plugin_engine_core::{CreateReason, PluginState, RejectReason, WallTime};

use super::*;
use crate::executor::Verdict;
use crate::executor::test_rig::{INTERVAL, Rig, TIMEOUT, WORKER, ended, made, next_call};

const MICROSECOND: Duration = Duration::from_micros(1);

/// Whether the worker has called for others, in a cycle of so many plugins whose calls take that long each.
fn calls_for_others(workers: usize, plugins: usize, each: &[Duration]) -> bool {
    let rig = Rig::new(workers, 9);
    let cells: Vec<_> = (0..plugins).map(|n| rig.plugin(&format!("p{n}"))).collect();
    let cells: Vec<_> = cells.iter().collect();
    for time in each.iter().copied() {
        let clock = rig.clock.clone();
        next_call(move || {
            clock.advance(time);
            status::COMPLETED
        });
    }
    let batch = rig.submit_batch(&cells);
    rig.idle();
    rig.work();
    assert_eq!(batch.report().completed, plugins);
    rig.was_called()
}

#[test]
fn a_worker_calls_for_others_when_a_call_takes_long_and_more_are_left() {
    let (short, long) = (SHORT_CALL, SHORT_CALL + MICROSECOND);
    assert!(!calls_for_others(1, 3, &[short, short, short]));
    assert!(calls_for_others(1, 3, &[long]));
    assert!(calls_for_others(1, 3, &[short, long]));
    assert!(
        !calls_for_others(1, 3, &[short, short, long]),
        "nothing is left"
    );
}

#[test]
fn calls_are_long_that_are_so_on_average_over_a_chunk() {
    // Two in a chunk.
    let none = Duration::ZERO;
    assert!(!calls_for_others(1, 16, &[2 * SHORT_CALL]));
    assert!(!calls_for_others(1, 16, &[none, none, 2 * SHORT_CALL]));
    assert!(calls_for_others(1, 16, &[2 * SHORT_CALL + MICROSECOND]));
    assert!(calls_for_others(
        1,
        16,
        &[none, none, SHORT_CALL, SHORT_CALL + MICROSECOND]
    ));
}

#[test]
fn every_kind_of_task_makes_its_call_and_tells_who_waits_how_it_ended() {
    let rig = Rig::new(1, 3);
    let cell = rig.mapped("a");
    let create = rig.task(&cell, TaskCall::Create(CreateReason::Load));
    assert!(matches!(create, TaskEnd::Ended(Verdict::Completed, None)));
    let update = rig.task(&cell, TaskCall::Update);
    assert!(matches!(update, TaskEnd::Ended(Verdict::Completed, None)));
    // It shows nothing, which is a failure of its own.
    let display = rig.task(&cell, TaskCall::Display);
    assert!(matches!(display, TaskEnd::Ended(Verdict::Failed, None)));
    assert_eq!(made(), ["create", "update", "display"]);
    let cell = rig.plugin("b");
    let instance = cell.lock().instance.take().expect("it is created");
    let destroy = rig.task(
        &cell,
        TaskCall::Destroy {
            instance,
            current: true,
        },
    );
    assert!(matches!(destroy, TaskEnd::Ended(Verdict::Completed, None)));
    assert_eq!(made(), ["destroy"]);
}

#[test]
fn who_waits_for_a_task_hears_of_its_deadline() {
    let rig = Rig::new(1, 3);
    let cell = rig.plugin("a");
    rig.next_call_takes(TIMEOUT);
    assert!(matches!(
        rig.task(&cell, TaskCall::Update),
        TaskEnd::Abandoned
    ));
    assert_eq!(rig.snapshot(&cell).counts.late, 1);
}

#[test]
fn a_worker_whose_call_was_slow_goes_on_with_what_is_there() {
    let rig = Rig::new(1, 3);
    let cells = ["a", "b"].map(|id| rig.plugin(id));
    // Beside another that is fast, so that the work is nobody's to refuse.
    rig.executor.queue.lock().threads = 1;
    let slow = rig.slows_the_next_call();
    let waiters = cells
        .each_ref()
        .map(|cell| rig.submit(cell, TaskCall::Update));
    rig.work();
    for waiter in waiters {
        assert!(matches!(
            ended(&waiter),
            TaskEnd::Ended(Verdict::Completed, None)
        ));
    }
    assert!(slow.recv().unwrap(), "it was slow");
    assert_eq!(rig.executor.threads().1, 0, "and is not any more");
}

#[test]
fn a_worker_that_is_fast_never_leaves_for_being_one_too_many() {
    let rig = Rig::new(1, 9);
    let cells = ["a", "b"].map(|id| rig.plugin(id));
    rig.executor.queue.lock().threads = 5;
    let waiters = cells
        .each_ref()
        .map(|cell| rig.submit(cell, TaskCall::Update));
    rig.work();
    assert_eq!(made(), ["update", "update"]);
    for waiter in waiters {
        assert!(matches!(
            ended(&waiter),
            TaskEnd::Ended(Verdict::Completed, None)
        ));
    }
    // Of those that were slow, it does.
    rig.advance(INTERVAL);
    let slow = rig.slows_the_next_call();
    rig.submit(&cells[0], TaskCall::Update);
    let left = rig.submit(&cells[1], TaskCall::Update);
    rig.work();
    assert!(slow.recv().unwrap());
    assert_eq!(made(), ["update"]);
    assert!(rig.executor.queue.lock().has_work());
    rig.executor.queue.lock().tasks.clear();
    assert!(matches!(ended(&left), TaskEnd::Refused));
}

#[test]
fn what_is_left_of_a_slow_workers_share_is_done_by_others_if_the_watchdog_did_not_take_it() {
    let rig = Rig::new(1, 9);
    // Two in a chunk.
    let cells: Vec<_> = (0..16).map(|n| rig.plugin(&format!("p{n}"))).collect();
    let executor = Arc::clone(&rig.executor);
    next_call(move || {
        // As if it was slow before this share.
        executor.slots[WORKER].set_slow(true);
        executor.slow.store(1, Ordering::Relaxed);
        status::COMPLETED
    });
    let cells: Vec<_> = cells.iter().collect();
    let batch = rig.submit_batch(&cells);
    rig.work();
    assert_eq!(batch.report().completed, 16);
    assert_eq!(made().len(), 16);
}

#[test]
fn an_instance_that_is_to_be_destroyed_after_its_update_holds_up_no_cycle() {
    let rig = Rig::new(1, 3);
    let cell = rig.plugin("a");
    // It is unloaded in the middle of its update, and its destroy hangs.
    let (clock, executor) = (rig.clock.clone(), Arc::clone(&rig.executor));
    let of = Arc::clone(&cell);
    next_call(move || {
        clock.advance(TIMEOUT);
        executor.watchdog.sweep(&executor);
        let applied = of.apply(
            &executor.board.ledger,
            &mut of.lock(),
            executor.board.ledger.time.now(),
            plugin_engine_core::Event::ShutDown,
        );
        assert!(applied.is_ok());
        status::COMPLETED
    });
    let (tell, told) = channel();
    let batch = rig.submit_batch(&[&cell]);
    let seen = Arc::clone(&batch);
    next_call(move || {
        let _ = tell.send(seen.report());
        status::COMPLETED
    });
    rig.work();
    assert_eq!(made(), ["update", "destroy"]);
    let report = told.recv().unwrap();
    assert_eq!(report.timed_out, 1, "counted before the destroy");
    assert_eq!(batch.report(), report);
    assert_eq!(rig.snapshot(&cell).state, PluginState::Unloaded);
}

#[test]
fn a_worker_that_has_to_leave_takes_no_more_work() {
    let rig = Rig::new(1, 3);
    let cell = rig.plugin("a");
    let left = rig.submit(&cell, TaskCall::Update);
    rig.executor.slots[WORKER]
        .leaves
        .store(true, Ordering::Relaxed);
    rig.work();
    assert_eq!(made(), [""; 0]);
    rig.work();
    assert!(matches!(
        ended(&left),
        TaskEnd::Ended(Verdict::Completed, None)
    ));
    let _ = RejectReason::Busy;
}

/// A batch of so many plugins that are quick and so many that are slow.
fn batch(quick: usize, slow: usize) -> Arc<Batch> {
    let items = (0..(quick + slow) as u32).collect();
    let batch = Batch::new(items, quick, 2, Moment::ZERO, WallTime::default());
    Arc::new(batch)
}

/// What is taken, in words.
fn take(queue: &mut Queue) -> Option<String> {
    take_work(queue).map(|work| match work {
        Work::Batch(batch) => {
            batch.take_chunk();
            "a chunk".to_owned()
        }
        Work::Slow(Rest { range, .. }) => format!("slow {}", range.0),
        Work::Rest(_) => "a rest".to_owned(),
        Work::Task(_) | Work::News(_) => "something else".to_owned(),
    })
}

#[test]
fn who_was_slow_the_last_time_is_taken_after_everybody_else_and_one_at_a_time() {
    let mut queue = Queue {
        foreseen_max: 1,
        ..Queue::default()
    };
    let (first, second) = (batch(1, 3), batch(1, 0));
    let (slow, range) = (Arc::clone(&first), first.slow());
    queue.slow.push_back(Rest { batch: slow, range });
    queue.batches.extend([first, Arc::clone(&second)]);
    let range = (0, 1);
    queue.rests.push_back(Rest {
        batch: second,
        range,
    });
    for expected in ["a rest", "a chunk", "a chunk", "slow 1"] {
        assert!(queue.has_work());
        assert_eq!(take(&mut queue).as_deref(), Some(expected));
    }
    // Whoever has taken it counts as slow, until a millisecond has shown whether that is so.
    queue.foreseen = 1;
    assert!(!queue.has_work());
    assert_eq!(take(&mut queue), None);
    queue.batches.push_back(batch(1, 0));
    assert!(queue.has_work(), "of others there is");
    assert_eq!(take(&mut queue).as_deref(), Some("a chunk"));
    queue.foreseen = 0;
    for expected in ["slow 2", "slow 3"] {
        assert_eq!(take(&mut queue).as_deref(), Some(expected));
    }
    assert_eq!(take(&mut queue), None);
}

#[test]
fn who_was_slow_stays_so_until_a_call_was_not() {
    let rig = Rig::new(1, 3);
    let cell = rig.plugin("a");
    let is_slow = || rig.executor.slow_plugins.put_last(&mut vec![cell.index]) == 0;
    for (was_called, stays_slow) in [(1, false), (0, true)] {
        rig.executor.slow_plugins.insert(cell.index);
        // The second time it is not due, as it would not be in the middle of another call.
        let report = rig.cycle(&[&cell]);
        assert_eq!(
            (report.completed, report.skipped),
            (was_called, 1 - was_called)
        );
        assert_eq!(is_slow(), stays_slow);
    }
}

#[test]
fn each_item_is_its_plugin_from_wherever_a_chunk_begins() {
    let rig = Rig::new(1, 3);
    let cells: Vec<_> = (0..11)
        .map(|number| rig.mapped(&format!("p{number}")))
        .collect();
    // In another order than that of the registry.
    let order: Vec<_> = (0..11).map(|at| &cells[at * 7 % 11]).collect();
    let batch = rig.batch(&order);
    for first in 0..11 {
        let mut upcoming = Upcoming::from(&rig.executor.board.registry, &batch, first);
        for item in first..11 {
            let cell = upcoming.take(item).map(|cell| cell.index);
            assert_eq!(
                cell,
                Some(order[item as usize].index),
                "{item} from {first}"
            );
        }
        assert!(upcoming.take(11).is_none());
    }
}
