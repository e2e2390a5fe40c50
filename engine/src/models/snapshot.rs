//! What is published is read as one value, whatever the processor shows of it first (S1).

use std::sync::Arc;

use super::check;
use crate::sequence_lock::SequenceLock;
use crate::threading::atomic::{AtomicU64, Ordering};
use crate::threading::thread;

#[test]
fn a_reader_never_sees_words_of_two_moments() {
    check(|| {
        let lock = Arc::new(SequenceLock::new([0, 0]));
        let written = Arc::clone(&lock);
        let writer = thread::spawn(move || {
            for value in 1..3 {
                written.write(&[value, value], || ());
            }
        });
        if let Some(([one, other], ())) = lock.try_read(|_| ()) {
            assert_eq!(one, other);
        }
        writer.join().unwrap();
        let (words, ()) = lock.try_read(|_| ()).expect("nobody writes any more");
        assert_eq!(words, [2, 2]);
    });
}

/// What has an owner is swapped by itself, as the error is; with the words it is one value all the same.
#[test]
fn what_hangs_beside_the_words_belongs_to_them() {
    check(|| {
        let published = Arc::new((SequenceLock::new([0]), AtomicU64::new(0)));
        let writing = Arc::clone(&published);
        let writer = thread::spawn(move || {
            let (lock, error) = &*writing;
            for value in 1..3 {
                lock.write(&[value], || error.store(value, Ordering::Release));
            }
        });
        let (lock, error) = &*published;
        if let Some(([word], beside)) = lock.try_read(|_| error.load(Ordering::Acquire)) {
            assert_eq!(word, beside);
        }
        writer.join().unwrap();
    });
}

/// Writes of a part, as those of an update that nothing is wrong with, leave the rest as it was.
#[test]
fn a_write_of_the_first_words_is_one_value_with_the_rest() {
    check(|| {
        let lock = Arc::new(SequenceLock::new([0, 0]));
        let written = Arc::clone(&lock);
        let writer = thread::spawn(move || {
            written.write(&[1], || ());
            written.write(&[2, 2], || ());
        });
        if let Some((words, ())) = lock.try_read(|_| ()) {
            assert!([[0, 0], [1, 0], [2, 2]].contains(&words), "{words:?}");
        }
        writer.join().unwrap();
    });
}
