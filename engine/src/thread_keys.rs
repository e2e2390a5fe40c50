//! How many keys for thread-local values the process has left. One of the few places with unsafe code.
//!
//! A system has a fixed number of them, 1,024 with glibc, for everything in the process. A plugin whose code asks for its thread's
//! handle takes one for good, and the standard library ends the process when there is none left. So a load has to stop before that.

use rustix::io::Errno;

/// How many keys must be left for another file to be mapped: those that the process itself, and plugins that are mapped already, may
/// still come to need.
pub(crate) const KEYS_RESERVE: usize = 64;

/// Whether so many keys are left. Takes them and gives them back, which costs some microseconds.
pub(crate) fn are_left(wanted: usize) -> bool {
    let mut taken = Vec::with_capacity(wanted);
    while taken.len() < wanted {
        let mut key = 0;
        // SAFETY: `key` is valid for the write, and there is no destructor to be called.
        let errno = unsafe { libc::pthread_key_create(&raw mut key, None) };
        if errno != 0 {
            debug_assert!([Errno::AGAIN, Errno::NOMEM].contains(&Errno::from_raw_os_error(errno)));
            break;
        }
        taken.push(key);
    }
    let left = taken.len() == wanted;
    for key in taken {
        // SAFETY: it was made above, nobody else knows it, and no thread has a value for it.
        unsafe { libc::pthread_key_delete(key) };
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_keys_are_left_and_no_process_has_a_million() {
        assert!(are_left(KEYS_RESERVE));
        assert!(!are_left(1_000_000));
        // Asking takes nothing.
        assert!(are_left(KEYS_RESERVE));
    }
}
