//! The wait of a shutdown, which looks again and again.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::{TaskEnd, Waiter};

#[test]
fn a_look_ends_when_its_time_is_over() {
    let waiter = Waiter::default();
    waiter.look_until(Instant::now());
    assert!(waiter.wait_until(Instant::now()).is_none());
}

#[test]
fn a_look_ends_when_there_is_an_end_and_not_before() {
    let waiter = Waiter::default();
    let (begins, begun) = channel();
    std::thread::scope(|scope| {
        let looks = scope.spawn(|| {
            begins.send(()).expect("somebody waits for it");
            waiter.look_until(Instant::now() + Duration::from_secs(3_600));
            waiter.wait_until(Instant::now())
        });
        begun.recv().expect("it begins");
        for _ in 0..100 {
            // One that does not look is through by now.
            std::thread::yield_now();
        }
        waiter.tell(TaskEnd::Abandoned);
        let seen = looks.join().expect("it only looks");
        assert!(matches!(seen, Some(TaskEnd::Abandoned)), "{seen:?}");
    });
}
