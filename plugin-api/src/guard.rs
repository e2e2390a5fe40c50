//! The panic barrier: no panic leaves a shim, and each is reported from where it happens.
//!
//! The standard hook is replaced, because symbolised backtraces made inside a plugin leak megabytes per load, and because
//! a plugin has no business writing to the host's standard error.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use abi_stable::std_types::RStr;

use crate::abi::{CallFrame, HostHandle, HostServicesRef, Panic, status};
use crate::host::{self, ModuleHost};

/// How many nested spans a line of log names; deeper ones are left out.
pub(crate) const SPAN_DEPTH_MAX: usize = 16;

/// The call that this thread is in. It lives on the stack of the shim.
pub(crate) struct ActiveCall<'a> {
    pub(crate) frame: &'a CallFrame,
    pub(crate) spans: Cell<[u64; SPAN_DEPTH_MAX]>,
    pub(crate) span_depth: Cell<usize>,
}

thread_local! {
    // No destructor, on purpose: a thread-local of the plugin that has one keeps the file mapped until the thread ends.
    static ACTIVE: Cell<*const ActiveCall<'static>> = const { Cell::new(std::ptr::null()) };
}

static MODULE_HOST: OnceLock<ModuleHost> = OnceLock::new();

/// Whether the host was given back, because the file is about to be unmapped.
static RELEASED: AtomicBool = AtomicBool::new(false);

/// The most verbose level that the host listens to, as the latest call said.
static LOG_LEVEL_MAX: AtomicU8 = AtomicU8::new(5);

pub(crate) fn log_level_max() -> u8 {
    LOG_LEVEL_MAX.load(Ordering::Relaxed)
}

pub(crate) fn module_host() -> Option<&'static ModuleHost> {
    MODULE_HOST
        .get()
        .filter(|_| !RELEASED.load(Ordering::Acquire))
}

/// Calls `f` with the call that this thread is in, if any.
pub(crate) fn with_active<R>(f: impl FnOnce(Option<&ActiveCall<'_>>) -> R) -> R {
    // A thread that is just ending has no thread-locals any more; it is in no call.
    let active = ACTIVE.try_with(Cell::get).unwrap_or(std::ptr::null());
    // SAFETY: the pointer is set by `enter` to a value on its own stack frame, which it resets before it returns or
    // unwinds; thread-locals are not seen by other threads, so it is valid here whenever it is not null.
    f(unsafe { active.as_ref() })
}

/// Whether this thread is in a call of a plugin.
#[must_use]
pub fn is_in_call() -> bool {
    with_active(|active| active.is_some())
}

/// Installs the panic hook, and runs what else there is to install. Called once per mapped file, before any other code of the
/// plugin.
pub(crate) fn init(handle: HostHandle, services: HostServicesRef, install: fn()) {
    let result = catch_unwind(|| {
        MODULE_HOST.get_or_init(|| ModuleHost::keep(handle, services));
        std::panic::set_hook(Box::new(report_panic));
        install();
    });
    if let Err(payload) = result {
        discard(payload);
    }
}

/// Gives back what `init` took, and runs what else there is to give back. Called once, before the file is unmapped, when nothing else of
/// the plugin runs.
pub(crate) fn release(release: fn()) {
    let result = catch_unwind(|| {
        release();
        drop(std::panic::take_hook());
        if !RELEASED.swap(true, Ordering::AcqRel)
            && let Some(host) = MODULE_HOST.get()
        {
            host.give_back();
        }
    });
    if let Err(payload) = result {
        discard(payload);
    }
}

fn report_panic(info: &PanicHookInfo<'_>) {
    let message = info
        .payload_as_str()
        .unwrap_or("a panic whose payload is no text");
    let location = info.location();
    let panic = Panic {
        message: RStr::from_str(message),
        file: RStr::from_str(location.map_or("", |location| location.file())),
        line: location.map_or(0, |location| location.line()),
        column: location.map_or(0, |location| location.column()),
    };
    with_active(|active| match (active, module_host()) {
        (Some(active), _) => host::panicked(active.frame, &panic),
        (None, Some(module)) => module.panicked(&panic),
        (None, None) => {}
    });
}

/// Runs one call of the plugin. Whatever happens inside, this returns a status.
pub(crate) fn enter(frame: &CallFrame, call: impl FnOnce() -> u8) -> u8 {
    if LOG_LEVEL_MAX.load(Ordering::Relaxed) != frame.log_level_max {
        LOG_LEVEL_MAX.store(frame.log_level_max, Ordering::Relaxed);
    }
    let active = ActiveCall {
        frame,
        spans: Cell::new([0; SPAN_DEPTH_MAX]),
        span_depth: Cell::new(0),
    };
    // A call within a call happens when a plugin's own code ends up in the engine and back: the outer one is restored.
    let outer = ACTIVE.replace(std::ptr::from_ref(&active).cast());
    let status = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        // Still inside the call: a payload whose drop panics is a sin of this call, not of some thread.
        discard(payload);
        status::PANICKED
    });
    ACTIVE.set(outer);
    status
}

/// Runs what is no call of an instance. A panic's message comes back in place of the text.
pub(crate) fn try_call(call: fn() -> Option<String>) -> (u8, Option<String>) {
    let result = catch_unwind(|| match catch_unwind(call) {
        Ok(text) => (status::COMPLETED, text),
        Err(payload) => {
            let message = payload
                .downcast_ref::<&str>()
                .map(ToString::to_string)
                .or_else(|| payload.downcast_ref::<String>().cloned());
            discard(payload);
            (status::PANICKED, message)
        }
    });
    result.unwrap_or_else(|payload| {
        discard(payload);
        (status::PANICKED, None)
    })
}

/// Drops a panic's payload, whose own drop may panic, also with a payload whose drop panics, and so on.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(next) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(next);
    }
}
