//! Keeps count of the threads of this process and of its keys for thread-local values, by functions that stand in front of those of
//! the system: `pthread_create`, `pthread_key_create` and `pthread_key_delete`. Beside them stand `_exit` and `_Exit`, which no exit
//! handler sees ([`before_exit`]).
//!
//! A library that is loaded at run time finds them first if the program exports them. So a program that links this crate has to say
//! so to its linker, in its `build.rs`:
//!
//! ```
//! for name in ["pthread_create", "pthread_key_create", "pthread_key_delete", "_exit", "_Exit"] {
//!     println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol={name}");
//! }
//! ```
//!
//! [`trouble`] says whether that has worked. Linux with glibc only; elsewhere there is always trouble.
//!
//! What lives here: counting, and passing on that the process is about to end. What never will: an opinion on what may be unmapped, or on
//! whose fault an end is.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod exits;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod keys;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod next;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod threads;

/// Looks up what comes after these functions when the program starts. Later, whoever asked first would wait for a lock that the system's
/// loader holds while it runs code of a library.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK_UP: extern "C" fn() = {
    extern "C" fn look_up() {
        exits::look_up();
        keys::look_up();
        threads::look_up();
    }
    look_up
};

/// A thread that was started with `pthread_create` and lives: also one whose start routine has returned and whose thread-local values
/// are just being destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thread {
    /// The system's number of it; 0 while it is about to start.
    pub tid: u32,
    /// The address of its start routine.
    pub start: usize,
    /// The address of the start routine of the thread that started it; 0 for the first thread of the process, and for one that was
    /// started past these functions.
    pub started_by: usize,
    /// The how-manieth thread of the process it was, from 1.
    pub number: u64,
}

/// A key for thread-local values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The system's number of it.
    pub key: u32,
    /// The address of its destructor; 0 for none.
    pub destructor: usize,
    /// The system's number of the thread that asked for it.
    pub created_by: u32,
}

/// Why what is counted here cannot be relied on; `None` if it can.
#[must_use]
pub fn trouble() -> Option<String> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    return keys::trouble().or_else(threads::trouble);
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    Some("threads are counted on Linux with glibc only".to_owned())
}

/// The threads that live. Takes a system call for each.
#[must_use]
pub fn threads() -> Vec<Thread> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    return threads::living();
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    Vec::new()
}

/// The keys that were asked for and not given back.
#[must_use]
pub fn keys() -> Vec<Key> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    return keys::in_use();
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    Vec::new()
}

/// Has this called, with the status, on whichever thread is about to end the process past its exit handlers. It may only do what a signal
/// handler may. The last one counts.
pub fn before_exit(function: fn(i32)) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    exits::before(function);
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = function;
}

/// Gives a key back, if it is still this one. Its destructor runs for no value any more; a value that some thread has for it is
/// forgotten.
pub fn delete_key(key: Key) -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    return keys::delete(key);
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    {
        let _ = key;
        false
    }
}
