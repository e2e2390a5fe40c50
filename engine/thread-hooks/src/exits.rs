//! Exits that run no exit handlers: `_exit` and `_Exit`, which nobody else can notice.

use std::mem::transmute;
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::c_int;

use crate::next::Next;

type Exit = unsafe extern "C" fn(c_int) -> !;

/// What is called before; 0 for nothing.
static BEFORE: AtomicUsize = AtomicUsize::new(0);
static NEXT: Next = Next::new(c"_exit", c"__interceptor__exit");

pub(crate) fn look_up() {
    NEXT.address();
}

pub(crate) fn before(function: fn(i32)) {
    BEFORE.store(function as usize, Ordering::Release);
}

/// Ends the process, as the system's function does, after it has called what is to be called before.
///
/// # Safety
/// As for the system's function.
#[unsafe(no_mangle)]
unsafe extern "C" fn _exit(status: c_int) -> ! {
    let before = BEFORE.load(Ordering::Acquire);
    if before != 0 {
        // SAFETY: `before` has stored a function of this type.
        unsafe { transmute::<usize, fn(i32)>(before)(status) };
    }
    if let Some(next) = NEXT.address() {
        // SAFETY: the address is that of the system's function of this name, which has this type.
        unsafe { transmute::<*mut std::ffi::c_void, Exit>(next)(status) };
    }
    loop {
        // SAFETY: ends the process, which is what was asked for.
        unsafe { libc::syscall(libc::SYS_exit_group, status) };
    }
}

/// The same, by the name that the C standard gives it.
///
/// # Safety
/// As for the system's function.
#[unsafe(no_mangle)]
unsafe extern "C" fn _Exit(status: c_int) -> ! {
    // SAFETY: the caller's promise.
    unsafe { _exit(status) }
}
