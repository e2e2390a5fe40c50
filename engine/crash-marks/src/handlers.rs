//! Handlers of fatal signals and of the exit, which leave a mark and then have done whatever was to be done before. One of the few places
//! with unsafe code.

use std::ffi::{c_int, c_void};
use std::mem::{MaybeUninit, transmute};
use std::ptr::{null, null_mut};
use std::sync::{Once, OnceLock};

use libc::{sigaction, siginfo_t};

use crate::layout::How;
use crate::marking::{mark, unmark};

/// The signals that a thread brings upon itself and that end a process.
const SIGNALS: [c_int; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
];

/// What was to be done before about each of them.
static BEFORE: [OnceLock<sigaction>; SIGNALS.len()] = [const { OnceLock::new() }; SIGNALS.len()];

type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);
type PlainHandler = extern "C" fn(c_int);

/// Has fatal signals (`SIGSEGV`, `SIGBUS`, `SIGILL`, `SIGFPE`, `SIGABRT`, `SIGTRAP`, `SIGSYS`) and the exit of this process leave marks in
/// every [`Record`](crate::Record) of it. What was done about those signals before is done after that; so are messages of the standard
/// library, and core dumps. For programs, at their start; does nothing the second time.
///
/// An overflow of the stack is marked where its thread has a stack for signals: threads of Rust programs do. A process that ends by
/// `_exit`, or by a handler that was installed later and does not pass the signal on, leaves none; for the former there is
/// [`exiting`](crate::exiting).
///
/// ```
/// // First thing in `main`:
/// plugin_engine_crash_marks::install();
/// ```
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for (signal, before) in SIGNALS.into_iter().zip(&BEFORE) {
            install_one(signal, before);
        }
        install_exit();
    });
}

fn current(signal: c_int) -> Option<sigaction> {
    let mut action = MaybeUninit::<sigaction>::zeroed();
    // SAFETY: nothing is changed, and what is there is written to a value on this stack. May be called in a signal handler.
    let result = unsafe { libc::sigaction(signal, null(), action.as_mut_ptr()) };
    // SAFETY: all zeros is a value of that type, and the system has written over it.
    (result == 0).then(|| unsafe { action.assume_init() })
}

fn set(signal: c_int, action: &sigaction) {
    // SAFETY: the action is one that was in force, or ours, whose function may run in a signal handler.
    unsafe { libc::sigaction(signal, action, null_mut()) };
}

fn ours() -> sigaction {
    // SAFETY: all zeros is a value of that type: no handler, no flags, an empty mask.
    let mut action: sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    let handler: Handler = on_signal;
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    action
}

fn default_action() -> sigaction {
    let mut action = ours();
    action.sa_sigaction = libc::SIG_DFL;
    action.sa_flags = 0;
    action
}

fn install_one(signal: c_int, before: &OnceLock<sigaction>) {
    // Known before the handler can run.
    let Some(known) = current(signal) else { return };
    if before.set(known).is_ok() {
        set(signal, &ours());
    }
}

fn before(signal: c_int) -> Option<&'static sigaction> {
    let at = SIGNALS.iter().position(|one| *one == signal)?;
    BEFORE[at].get()
}

extern "C" fn on_signal(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the system hands over what it has to say about the signal.
    let (code, sender) = unsafe { ((*info).si_code, (*info).si_pid()) };
    // SAFETY: asks for a number, and nothing else.
    let own = unsafe { libc::getpid() };
    // From the system, about what this thread has just done; or from this process, to this very thread, as an abort does. A signal to the
    // process as a whole says nothing of the thread that gets it.
    let is_of_this_thread = code > 0 || code == libc::SI_TKILL && sender == own;
    mark(if is_of_this_thread {
        How::Signal(signal)
    } else {
        How::SentSignal(signal)
    });
    hand_on(signal, info, context, code > 0);
}

/// Does what was to be done before. A signal that the system raises comes again by itself when the instruction is repeated.
fn hand_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void, comes_again: bool) {
    match before(signal) {
        Some(before) if before.sa_sigaction == libc::SIG_IGN && !comes_again => unmark(),
        Some(before)
            if before.sa_sigaction != libc::SIG_DFL && before.sa_sigaction != libc::SIG_IGN =>
        {
            call(before, signal, info, context);
            match current(signal).map(|now| now.sa_sigaction) {
                // The standard library's gives the signal back to the system, to end the process when it comes again.
                Some(libc::SIG_DFL) if !comes_again => raise(signal),
                // It is still to come here: somebody has mended what it was about.
                Some(now) if now == ours().sa_sigaction => unmark(),
                _ => {}
            }
        }
        _ => {
            set(signal, &default_action());
            if !comes_again {
                raise(signal);
            }
        }
    }
}

/// Sends this thread the signal, which is held back until the handler that runs now returns.
fn raise(signal: c_int) {
    // SAFETY: what it does when it comes is what was to be done about it.
    unsafe { libc::raise(signal) };
}

/// Calls the handler of before.
fn call(before: &sigaction, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // It may abort, and the stack for signals may be too small for a second one of them.
    let aborts = before_of_abort().filter(|_| signal != libc::SIGABRT);
    if let Some(action) = aborts {
        set(libc::SIGABRT, action);
    }
    if before.sa_flags & libc::SA_SIGINFO != 0 {
        // SAFETY: with that flag the address is that of a function of this type, which gets what the system has handed over.
        unsafe { transmute::<usize, Handler>(before.sa_sigaction)(signal, info, context) };
    } else {
        // SAFETY: without that flag the address is that of a function of this type.
        unsafe { transmute::<usize, PlainHandler>(before.sa_sigaction)(signal) };
    }
    if aborts.is_some() {
        set(libc::SIGABRT, &ours());
    }
}

/// What was to be done before about an abort, if that is nothing but to end.
fn before_of_abort() -> Option<&'static sigaction> {
    let is_ours = |now: sigaction| now.sa_sigaction == ours().sa_sigaction;
    let before = before(libc::SIGABRT)?;
    let is_default = before.sa_sigaction == libc::SIG_DFL;
    (is_default && current(libc::SIGABRT).is_some_and(is_ours)).then_some(before)
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn install_exit() {
    type OnExit = extern "C" fn(c_int, *mut c_void);
    unsafe extern "C" {
        fn on_exit(function: OnExit, argument: *mut c_void) -> c_int;
    }
    extern "C" fn exits(status: c_int, _: *mut c_void) {
        mark(How::Exit(status));
    }
    // SAFETY: the function may be called at the exit, on whichever thread that comes about.
    unsafe { on_exit(exits, null_mut()) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn install_exit() {
    extern "C" fn exits() {
        // With which status cannot be known here.
        mark(How::Exit(-1));
    }
    // SAFETY: as above.
    unsafe { libc::atexit(exits) };
}
