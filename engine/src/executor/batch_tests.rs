//! A batch by itself: every item is handed out once, the report adds up, and who waits waits for the last end.

use std::sync::mpsc::channel;

use super::*;

fn batch(len: u32, workers: usize) -> Batch {
    let items = (0..len).map(|item| 100 + item).collect();
    Batch::new(
        items,
        len as usize,
        workers,
        Moment::from_nanos(10),
        WallTime::default(),
    )
}

fn at(nanos: u64) -> impl FnOnce() -> Moment {
    move || Moment::from_nanos(nanos)
}

/// For what must not be asked the time.
fn never() -> Moment {
    panic!("the cycle does not end here")
}

fn verdicts(of: &[Verdict]) -> Tally {
    Tally(of.iter().map(|verdict| Tally::one(*verdict).0).sum())
}

#[test]
fn every_item_is_handed_out_once() {
    for (len, workers) in [(0, 1), (1, 1), (16, 1), (17, 2), (1_000, 2), (100_003, 3)] {
        let batch = batch(len, workers);
        assert_eq!(batch.len(), len as usize);
        let mut next = 0;
        while batch.has_more() {
            let (low, high) = batch.take_chunk().expect("there is more");
            assert_eq!(low, next, "of {len}");
            assert!(low < high && high - low <= CHUNK_LEN_MAX as u32, "of {len}");
            next = high;
        }
        assert_eq!(next, len);
        assert_eq!(batch.take_chunk(), None);
        assert_eq!(batch.take_chunk(), None, "asked once more");
        assert!(!batch.has_more());
    }
}

#[test]
fn each_worker_takes_eight_shares_where_there_are_enough_plugins() {
    assert_eq!(batch(32, 2).take_chunk(), Some((0, 2)));
    assert_eq!(batch(8, 2).take_chunk(), Some((0, 1)));
    assert_eq!(batch(100_000, 2).take_chunk(), Some((0, 64)));
}

#[test]
fn an_item_is_the_plugin_at_that_place() {
    let batch = batch(2, 1);
    let items = [0, 1, 2].map(|at| batch.item(at));
    assert_eq!(items, [Some(100), Some(101), None]);
}

#[test]
fn a_report_adds_up_what_each_worker_says_and_ends_with_the_last() {
    let batch = batch(12, 1);
    let first = verdicts(&[
        Verdict::Completed,
        Verdict::Completed,
        Verdict::Completed,
        Verdict::Failed,
        Verdict::Failed,
        Verdict::Panicked,
        Verdict::Abandoned,
    ]);
    batch.settle(first, 3, never);
    let report = batch.report();
    assert_eq!((report.due, report.completed, report.failed), (12, 3, 2));
    assert_eq!(
        (report.panicked, report.skipped, report.timed_out),
        (1, 0, 3)
    );
    assert_eq!(report.settled(), 9);
    let second = verdicts(&[Verdict::Skipped, Verdict::Completed]);
    batch.settle(second, 0, never);
    assert_eq!(batch.report().duration, Duration::ZERO, "one has not ended");
    batch.settle(verdicts(&[Verdict::Panicked]), 0, at(25));
    let report = batch.report();
    assert_eq!(
        (report.completed, report.failed, report.timed_out),
        (4, 2, 3)
    );
    assert_eq!((report.panicked, report.skipped), (2, 1));
    assert_eq!(report.duration, Duration::from_nanos(15));
    // A worker that comes home later has nothing to add, and how long the cycle took stays.
    batch.settle(Tally::default(), 0, never);
    assert_eq!(batch.report(), report);
    assert_eq!(batch.wait(), report);
    assert_eq!(batch.wait_within(Duration::MAX), report);
}

#[test]
fn a_tally_has_room_for_each_verdict_of_a_chunk_beside_the_others() {
    let many = Tally(CHUNK_LEN_MAX as u64 * (1 | 1 << 16 | 1 << 32 | 1 << 48));
    assert_eq!(many.parts(), [CHUNK_LEN_MAX; 4]);
}

#[test]
fn who_waits_for_a_while_gets_the_report_as_it_stands() {
    let batch = batch(2, 1);
    batch.settle(verdicts(&[Verdict::Completed]), 0, never);
    let report = batch.wait_within(Duration::ZERO);
    assert_eq!((report.due, report.completed), (2, 1));
}

#[test]
fn who_waits_is_told_of_the_last_end_and_of_no_end_before() {
    let batch = batch(2, 1);
    let (begins, begun) = channel();
    let begins = || begins.send(()).expect("somebody waits for it");
    let wait = |wait: fn(&Batch) -> CycleReport| {
        begins();
        wait(&batch)
    };
    let report = std::thread::scope(|scope| {
        let waits = [
            scope.spawn(|| wait(Batch::wait)),
            scope.spawn(|| wait(|batch| batch.wait_within(Duration::MAX))),
            scope.spawn(|| wait(|batch| batch.wait_within(Duration::from_secs(3_600)))),
        ];
        batch.settle(verdicts(&[Verdict::Completed]), 0, never);
        begun.iter().take(3).for_each(drop);
        for _ in 0..100 {
            // One that does not wait is through by now.
            std::thread::yield_now();
        }
        batch.settle(verdicts(&[Verdict::Skipped]), 0, at(20));
        waits.map(|wait| wait.join().expect("it only waits"))
    });
    assert_eq!(report, [batch.report(); 3]);
    assert_eq!((report[0].completed, report[0].skipped), (1, 1));
}
