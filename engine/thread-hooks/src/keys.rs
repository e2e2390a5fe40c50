//! The keys for thread-local values: which are in use, with which destructors.
//!
//! A table of fixed size, because code asks for keys at moments at which nothing may be allocated.

use std::ffi::c_void;
use std::mem::transmute;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use libc::{c_int, pthread_key_t};

use crate::Key;
use crate::next::Next;
use crate::threads::this_thread;

/// As many as glibc has (`PTHREAD_KEYS_MAX`).
const KEYS_MAX: usize = 1_024;
/// Stands for the destructor of a key that has none; no function lies there.
const NO_DESTRUCTOR: usize = 1;

type Destructor = unsafe extern "C" fn(*mut c_void);
type Create = unsafe extern "C" fn(*mut pthread_key_t, Option<Destructor>) -> c_int;
type Delete = unsafe extern "C" fn(pthread_key_t) -> c_int;

struct Entry {
    /// 0 while the key is not in use.
    destructor: AtomicUsize,
    created_by: AtomicU32,
}

static TABLE: [Entry; KEYS_MAX] = [const {
    Entry {
        destructor: AtomicUsize::new(0),
        created_by: AtomicU32::new(0),
    }
}; KEYS_MAX];

static CREATE: Next = Next::new(c"pthread_key_create", c"__interceptor_pthread_key_create");
static DELETE: Next = Next::new(c"pthread_key_delete", c"__interceptor_pthread_key_delete");

pub(crate) fn look_up() {
    CREATE.address();
    DELETE.address();
}

fn entry(key: pthread_key_t) -> Option<&'static Entry> {
    usize::try_from(key).ok().and_then(|at| TABLE.get(at))
}

/// Creates a key, as the system's function does, and records its destructor.
///
/// # Safety
/// As for the system's function: `key` is valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_key_create(
    key: *mut pthread_key_t,
    destructor: Option<Destructor>,
) -> c_int {
    let Some(create) = CREATE.address() else {
        return libc::EAGAIN;
    };
    // SAFETY: the address is that of the system's function of this name, which has this type.
    let create: Create = unsafe { transmute(create) };
    // SAFETY: the caller's promise.
    let errno = unsafe { create(key, destructor) };
    if errno != 0 {
        return errno;
    }
    // SAFETY: the system's function has just written it.
    if let Some(entry) = entry(unsafe { *key }) {
        let address = destructor.map_or(NO_DESTRUCTOR, |function| function as usize);
        entry.created_by.store(this_thread(), Ordering::Relaxed);
        entry.destructor.store(address, Ordering::Release);
    }
    errno
}

/// Gives a key back, as the system's function does.
///
/// # Safety
/// As for the system's function.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_key_delete(key: pthread_key_t) -> c_int {
    // Before the system may give the number to somebody else.
    if let Some(entry) = entry(key) {
        entry.destructor.store(0, Ordering::Release);
    }
    delete_at_once(key)
}

fn delete_at_once(key: pthread_key_t) -> c_int {
    let Some(delete) = DELETE.address() else {
        return libc::EINVAL;
    };
    // SAFETY: the address is that of the system's function of this name, which has this type and checks the number.
    unsafe { transmute::<*mut c_void, Delete>(delete)(key) }
}

pub(crate) fn in_use() -> Vec<Key> {
    let entries = (0..).zip(&TABLE);
    entries
        .filter_map(|(key, entry)| {
            let destructor = entry.destructor.load(Ordering::Acquire);
            (destructor != 0).then(|| Key {
                key,
                destructor: if destructor == NO_DESTRUCTOR {
                    0
                } else {
                    destructor
                },
                created_by: entry.created_by.load(Ordering::Relaxed),
            })
        })
        .collect()
}

pub(crate) fn delete(key: Key) -> bool {
    let recorded = if key.destructor == 0 {
        NO_DESTRUCTOR
    } else {
        key.destructor
    };
    let still = entry(key.key).is_some_and(|entry| {
        let taken =
            entry
                .destructor
                .compare_exchange(recorded, 0, Ordering::AcqRel, Ordering::Relaxed);
        taken.is_ok()
    });
    still && delete_at_once(key.key) == 0
}

pub(crate) fn trouble() -> Option<String> {
    let create = CREATE.trouble(pthread_key_create as *const () as usize);
    create.or_else(|| DELETE.trouble(pthread_key_delete as *const () as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn destructor(_: *mut c_void) {}

    #[test]
    fn a_key_is_known_with_its_destructor_until_it_is_given_back() {
        let mut key = 0;
        // SAFETY: `key` is valid for the write.
        let errno = unsafe { pthread_key_create(&raw mut key, Some(destructor)) };
        assert_eq!(errno, 0);
        let found = in_use().into_iter().find(|found| found.key == key).unwrap();
        assert_eq!(found.destructor, destructor as *const () as usize);
        assert_eq!(found.created_by, this_thread());
        assert!(
            !delete(Key {
                destructor: 0,
                ..found
            }),
            "another one's key"
        );
        assert!(delete(found) && !delete(found));
        assert!(in_use().iter().all(|found| found.key != key));
    }

    #[test]
    fn a_key_that_its_owner_gives_back_is_known_no_more() {
        let mut key = 0;
        // SAFETY: `key` is valid for the write, and nobody uses it.
        let errnos = unsafe {
            let created = pthread_key_create(&raw mut key, None);
            assert!(in_use().iter().any(|found| found.key == key));
            (created, pthread_key_delete(key))
        };
        assert_eq!(errnos, (0, 0));
        assert!(
            in_use()
                .iter()
                .all(|found| found.key != key || found.destructor != 0)
        );
    }
}
