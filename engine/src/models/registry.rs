//! Plugins are found without a lock while others are added.

use std::sync::Arc;

use super::check;
use crate::append_list::AppendList;
use crate::joining::Ran;
use crate::threading::atomic::{AtomicUsize, Ordering};
use crate::threading::thread;

/// As the registry does: who sees the length, or an index, finds what is there.
#[test]
fn who_sees_the_length_of_a_list_finds_all_that_is_in_it() {
    check(|| {
        let list = Arc::new((AppendList::new(), AtomicUsize::new(0)));
        let appending = Arc::clone(&list);
        let appender = thread::spawn(move || {
            for index in 0..2 {
                appending.0.set(index, index).expect("there is room");
                appending.1.store(index + 1, Ordering::Release);
            }
        });
        let len = list.1.load(Ordering::Acquire);
        for index in 0..len {
            assert_eq!(list.0.get(index), Some(&index));
        }
        appender.join().unwrap();
    });
}

/// Two that come at once for the first block of a list make one.
#[test]
fn what_two_put_into_a_list_at_once_is_both_in_it() {
    check(|| {
        let list = Arc::new(AppendList::new());
        let appenders = [0, 1].map(|index| {
            let list = Arc::clone(&list);
            thread::spawn(move || list.set(index, index))
        });
        for appender in appenders {
            appender.join().unwrap().expect("nobody else is there");
        }
        assert_eq!((list.get(0), list.get(1)), (Some(&0), Some(&1)));
    });
}

/// Whoever unmaps comes after the last use of a file was given up, and must then find every thread that ran its code.
#[test]
fn who_comes_after_the_last_use_of_a_file_sees_who_ran_it() {
    check(|| {
        let shared = Arc::new((Ran::default(), AtomicUsize::new(1)));
        let running = Arc::clone(&shared);
        let worker = thread::spawn(move || {
            running.0.add(3);
            running.0.add(5);
            running.1.fetch_sub(1, Ordering::Release);
        });
        if shared.1.load(Ordering::Acquire) == 0 {
            assert!(shared.0.has(3) && shared.0.has(5));
        }
        worker.join().unwrap();
    });
}
