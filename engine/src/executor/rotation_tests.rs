//! Workers that leave so that what they ran can be unmapped.

use std::sync::mpsc::{Sender, channel};

use plugin_engine_core::{CallId, Moment};

use super::test_rig::Rig;
use super::*;
use crate::instance::CallTicket;

const FILE: u64 = 77;

/// A thread that ends when what comes back is dropped.
fn thread() -> (Thread, Sender<()>) {
    let (let_go, gate) = channel::<()>();
    let handle = std::thread::spawn(move || {
        let _ = gate.recv();
    });
    (Thread::new(handle), let_go)
}

fn leaves(rig: &Rig) -> Vec<bool> {
    let slots = rig.executor.slots.iter();
    slots
        .map(|slot| slot.leaves.load(Ordering::Relaxed))
        .collect()
}

#[test]
fn those_that_ran_a_file_are_told_to_leave_and_those_that_wait_are_woken_for_that() {
    let rig = Rig::new(1, 6);
    rig.use_slots(5);
    let slots = &rig.executor.slots;
    // One that is gone, one that waits, one in a call, one that ran something else, and one beyond those that are used.
    let gates: Vec<_> = [1, 2, 3, 5]
        .map(|index| {
            let (thread, gate) = thread();
            *slots[index].thread.lock() = Some(thread);
            gate
        })
        .into();
    for index in [0, 1, 2, 5] {
        slots[index].ran.add(FILE);
    }
    slots[3].ran.add(FILE + 1);
    let ticket = CallTicket {
        id: CallId(1),
        since: Moment::ZERO,
        deadline: Moment::FAR,
    };
    slots[2].begin(9, ticket);
    rig.executor.queue.lock().idle = vec![3, 1, 4];
    assert_eq!(rig.executor.rotate(FILE), [None, Some(9)]);
    assert_eq!(leaves(&rig), [false, true, true, false, false, false]);
    assert_eq!(rig.executor.queue.lock().idle, [3, 4]);
    drop(gates);
}

#[test]
fn who_leaves_is_joined_with_what_it_ran_and_its_slot_is_free() {
    let rig = Rig::new(1, 3);
    let (thread, gate) = thread();
    *rig.executor.slots[0].thread.lock() = Some(thread);
    rig.executor.slots[0].ran.add(FILE);
    rig.executor.queue.lock().threads = 2;
    rig.executor.leave(0);
    assert_eq!(rig.executor.joining.count(FILE), 1);
    assert!(!rig.executor.slots[0].ran.has(FILE));
    let queue = rig.executor.queue.lock();
    assert_eq!(
        (queue.threads, queue.free_slots.as_slice()),
        (1, [0].as_slice())
    );
    drop((queue, gate));
}

#[test]
fn one_that_was_told_to_leave_is_replaced_if_too_few_are_left() {
    let rig = Rig::new(1, 3);
    let after = |threads: usize, told: bool, closed: bool| {
        rig.use_slots(1);
        let mut queue = rig.executor.queue.lock();
        (queue.threads, queue.closed) = (threads, closed);
        queue.free_slots.clear();
        drop(queue);
        rig.executor.slots[0].leaves.store(told, Ordering::Relaxed);
        rig.executor.leave(0);
        assert_eq!(leaves(&rig), [false; 3]);
        rig.executor.threads().0
    };
    assert_eq!(after(2, true, false), 1, "one is left, as is wanted");
    assert_eq!(after(1, false, false), 0, "it goes by itself");
    assert_eq!(after(1, true, true), 0, "nothing is started any more");
    assert_eq!(after(1, true, false), 1, "another one takes its place");
    rig.executor.close();
    while rig.executor.threads().0 > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn work_that_waits_when_one_leaves_calls_for_another() {
    let rig = Rig::new(1, 3);
    let cell = rig.plugin("a");
    let batch = rig.batch(&[&cell]);
    let mut queue = rig.executor.queue.lock();
    queue.batches.push_back(batch);
    queue.threads = 2;
    drop(queue);
    rig.idle();
    rig.executor.slots[0].leaves.store(true, Ordering::Relaxed);
    rig.executor.leave(0);
    assert!(rig.was_called());
}
