//! A cycle is over when everything that was due has come to an end, and not before.

use std::sync::Arc;

use plugin_engine_core::{Moment, WallTime};

use super::check;
use crate::executor::{Batch, Tally, TaskEnd, Verdict, Waiter};
use crate::threading::thread;

#[test]
fn who_waits_for_a_cycle_finds_every_item_settled_once() {
    check(|| {
        let now = Moment::ZERO;
        let batch = Arc::new(Batch::new(vec![7, 8, 9], 3, 1, now, WallTime::default()));
        let workers = [0, 1].map(|_| {
            let batch = Arc::clone(&batch);
            thread::spawn(move || {
                while let Some((low, high)) = batch.take_chunk() {
                    for _ in low..high {
                        batch.settle(Tally::one(Verdict::Completed), 0, || now);
                    }
                }
            })
        });
        let report = batch.wait();
        assert_eq!((report.due, report.completed), (3, 3));
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(batch.report(), report, "nothing is settled after the end");
    });
}

/// The worker that ends a call and the watchdog that abandons it both tell whoever waits.
#[test]
fn who_waits_for_a_call_is_told_and_what_was_told_first_holds() {
    check(|| {
        let waiter = Arc::new(Waiter::default());
        let tellers = [TaskEnd::Abandoned, TaskEnd::Ended(Verdict::Completed, None)].map(|end| {
            let waiter = Arc::clone(&waiter);
            thread::spawn(move || waiter.tell(end))
        });
        let first = format!("{:?}", waiter.wait());
        for teller in tellers {
            teller.join().unwrap();
        }
        assert_eq!(format!("{:?}", waiter.wait()), first);
    });
}
