//! What the watchdog sees of a worker, and takes away from it.

use std::sync::Arc;

use plugin_engine_core::{CallId, Moment};

use super::check;
use crate::executor::{Sample, Slot, Tally, Verdict};
use crate::instance::CallTicket;
use crate::threading::thread;

fn ticket(number: u64) -> CallTicket {
    CallTicket {
        id: CallId(number),
        since: Moment::ZERO,
        deadline: Moment::from_nanos(number),
    }
}

#[test]
fn a_sample_is_of_one_call() {
    check(|| {
        let slot = Arc::new(Slot::default());
        let working = Arc::clone(&slot);
        let worker = thread::spawn(move || {
            for call in 1..3 {
                working.begin(call, ticket(u64::from(call)));
                working.end();
            }
        });
        if let Some(sample) = slot.sample() {
            let Sample {
                cell,
                call,
                deadline,
                ..
            } = sample;
            assert_eq!(call, CallId(u64::from(cell)));
            assert_eq!(deadline.as_nanos(), u64::from(cell));
        }
        worker.join().unwrap();
        assert_eq!(slot.sample(), None);
    });
}

#[test]
fn every_item_of_a_share_is_somebodys_and_nobody_elses() {
    check(|| {
        let slot = Arc::new(Slot::default());
        slot.set_range((0, 3));
        let working = Arc::clone(&slot);
        let worker = thread::spawn(move || {
            let mut made = Vec::new();
            while let Some(item) = working.next_item() {
                made.push(item);
            }
            made
        });
        let taken = slot.take_rest();
        let mut items = worker.join().unwrap();
        if let Some((low, high)) = taken {
            items.extend(low..high);
        }
        assert_eq!(items, [0, 1, 2]);
    });
}

/// The watchdog takes the verdicts of a worker that got stuck, which goes on and is through in the end.
#[test]
fn every_verdict_is_reported_once() {
    check(|| {
        let slot = Arc::new(Slot::default());
        let working = Arc::clone(&slot);
        let worker = thread::spawn(move || {
            working.count(Verdict::Completed);
            working.count(Verdict::Skipped);
            let first = working.finish_tally();
            working.count(Verdict::Completed);
            (first, working.finish_tally())
        });
        let Tally(taken) = slot.take_tally();
        let (Tally(first), Tally(second)) = worker.join().unwrap();
        let Tally(one) = Tally::one(Verdict::Completed);
        let Tally(skipped) = Tally::one(Verdict::Skipped);
        assert_eq!(taken + first + second, 2 * one + skipped);
    });
}
