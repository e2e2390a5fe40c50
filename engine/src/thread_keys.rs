//! How many keys for thread-local values the process has left. One of the few places with unsafe code.
//!
//! A system has a fixed number of them, 1,024 with glibc, for everything in the process. A plugin whose code asks for its thread's
//! handle takes one for good, and the standard library ends the process when there is none left. So a load has to stop before that.

/// How many keys must be left for another file to be mapped: those that the process itself, and plugins that are mapped already, may
/// still come to need.
pub(crate) const KEYS_RESERVE: usize = 64;

/// Whether so many keys are left. `counted` is how many are in use, where somebody counts them.
///
/// glibc gives out the lowest key that is free, so the number of one key tells how many there are, as long as nobody gives keys back. Only
/// that one is taken, and given back: taking as many as are wanted could leave none to a plugin that asks at this very moment. Key 0
/// says nothing: every copy of Rust's standard library that is given it takes another one and gives it back.
#[cfg(target_env = "gnu")]
pub(crate) fn are_left(wanted: usize, counted: Option<usize>) -> bool {
    // SAFETY: asks for a number, and nothing else.
    let limit = unsafe { libc::sysconf(libc::_SC_THREAD_KEYS_MAX) };
    let Ok(limit) = usize::try_from(limit) else {
        return false;
    };
    let first = take();
    let second = if first == Some(0) { take() } else { None };
    first.into_iter().chain(second).for_each(give_back);
    let Some(key) = second.or(first.filter(|key| *key != 0)) else {
        return false;
    };
    let used = usize::try_from(key).unwrap_or(usize::MAX);
    used.max(counted.unwrap_or(0)).saturating_add(wanted) <= limit
}

/// Whether so many keys are left. Takes them and gives them back, which costs some microseconds.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn are_left(wanted: usize, _: Option<usize>) -> bool {
    let taken: Vec<_> = std::iter::from_fn(take).take(wanted).collect();
    let left = taken.len() == wanted;
    taken.into_iter().for_each(give_back);
    left
}

/// A key, if one is left.
fn take() -> Option<libc::pthread_key_t> {
    let mut key = 0;
    // SAFETY: `key` is valid for the write, and there is no destructor to be called.
    let errno = unsafe { libc::pthread_key_create(&raw mut key, None) };
    (errno == 0).then_some(key)
}

fn give_back(key: libc::pthread_key_t) {
    // SAFETY: it comes from `take`, nobody else knows it, and no thread has a value for it.
    unsafe { libc::pthread_key_delete(key) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_be_left_can_be_taken_and_no_more() {
        assert!(are_left(KEYS_RESERVE, None));
        assert!(!are_left(1_000_000, None));
        // Other tests of this process take keys now and then, so the last few are left alone.
        let mut taken: Vec<_> =
            std::iter::from_fn(|| are_left(50, None).then(take).flatten()).collect();
        assert!(taken.len() > 100, "{}", taken.len());
        assert!(!are_left(50, None) && are_left(20, None));
        // Those in use may have lower ones among them that are free.
        assert!(are_left(20, Some(900)) && !are_left(20, Some(1_020)));
        give_back(taken.pop().unwrap());
        assert!(are_left(50, None));
        // Key 0 is free for as long as only Rust asks for keys, however few others are.
        if let Some(zero) = taken.iter().position(|key| *key == 0) {
            give_back(taken.swap_remove(zero));
        }
        let more: Vec<_> = std::iter::from_fn(take).take(10).collect();
        if let Some(zero) = more.iter().find(|key| **key == 0) {
            give_back(*zero);
        }
        assert!(!are_left(50, None));
        taken.extend(more.into_iter().filter(|key| *key != 0));
        taken.into_iter().for_each(give_back);
        assert!(are_left(KEYS_RESERVE, None));
    }
}
