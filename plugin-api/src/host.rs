//! The engine's services as safe functions over a call frame.

use abi_stable::std_types::{RSlice, RStr};

use crate::abi::{CallFrame, Failure, HostHandle, HostServicesRef, LogRecord, Panic};
use crate::{PluginError, View};

/// The host of the file itself, kept for threads that are in no call.
#[derive(Clone, Copy)]
pub(crate) struct ModuleHost {
    handle: HostHandle,
    services: HostServicesRef,
}

// SAFETY: a host handle is only handed back to the services, which may be called from any thread.
unsafe impl Send for ModuleHost {}
// SAFETY: as above.
unsafe impl Sync for ModuleHost {}

impl ModuleHost {
    /// Takes over the reference that the engine made for the file. It is given back only before the code is unmapped: until then a
    /// thread of the plugin may still log.
    pub(crate) fn keep(handle: HostHandle, services: HostServicesRef) -> Self {
        // SAFETY: the engine hands over a handle that is valid during `init`; `retain` makes it valid from then on.
        unsafe { services.retain()(handle) };
        Self { handle, services }
    }

    /// Gives the reference back. The last use of this host.
    pub(crate) fn give_back(&self) {
        // SAFETY: the handle was retained in `keep`, and whoever calls this sees to it that it is used no more.
        unsafe { self.services.release()(self.handle) };
    }

    pub(crate) fn log(&self, call_id: u64, record: &LogRecord<'_>) {
        // SAFETY: the handle was retained in `keep`.
        unsafe { self.services.log()(self.handle, call_id, record) };
    }

    pub(crate) fn panicked(&self, panic: &Panic<'_>) {
        // SAFETY: the handle was retained in `keep`; a null reply says that this is no call.
        unsafe { self.services.panicked()(self.handle, std::ptr::null_mut(), panic) };
    }
}

// SAFETY of every call below: a frame is lent by the engine for the time of one call and keeps its host alive for that
// time; contexts cannot outlive the call because they borrow the frame.

pub(crate) fn id(frame: &CallFrame) -> &str {
    // SAFETY: see above; the text lives as long as the host, which outlives the frame's borrow.
    unsafe { frame.services.id()(frame.host) }.as_str()
}

pub(crate) fn settings(frame: &CallFrame) -> &str {
    // SAFETY: see above; the text lives as long as the host, which outlives the frame's borrow.
    unsafe { frame.services.settings()(frame.host) }.as_str()
}

pub(crate) fn now_ns(frame: &CallFrame) -> u64 {
    // SAFETY: see above.
    unsafe { frame.services.now_ns()(frame.host) }
}

pub(crate) fn is_cancelled(frame: &CallFrame) -> bool {
    // SAFETY: see above.
    unsafe { frame.services.is_cancelled()(frame.host, frame.call_id) }
}

pub(crate) fn record_progress(frame: &CallFrame) {
    // SAFETY: see above.
    unsafe { frame.services.record_progress()(frame.host, frame.call_id) }
}

pub(crate) fn publish(frame: &CallFrame, name: &str, payload: &str) -> u8 {
    // SAFETY: see above; both texts are lent for the time of the call.
    unsafe {
        frame.services.publish()(
            frame.host,
            frame.call_id,
            RStr::from_str(name),
            RStr::from_str(payload),
        )
    }
}

pub(crate) fn log(frame: &CallFrame, record: &LogRecord<'_>) {
    // SAFETY: see above.
    unsafe { frame.services.log()(frame.host, frame.call_id, record) }
}

pub(crate) fn fail(frame: &CallFrame, error: &PluginError) {
    let message = error.to_string();
    let failure = Failure {
        message: RStr::from_str(&message),
        type_name: RStr::from_str(error.type_name()),
        recoverable: error.is_recoverable(),
        retry_after_ns: error.delay().map_or(0, |delay| {
            u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX).max(1)
        }),
    };
    // SAFETY: see above; `reply` is the engine's own address, handed back by the thread that makes the call.
    unsafe { frame.services.fail()(frame.reply, &failure) }
}

pub(crate) fn view(frame: &CallFrame, view: &View) {
    // SAFETY: as in `fail`.
    unsafe {
        frame.services.view()(
            frame.reply,
            view.kind() as u8,
            RSlice::from_slice(view.bytes()),
        )
    }
}

pub(crate) fn panicked(frame: &CallFrame, panic: &Panic<'_>) {
    // SAFETY: as in `fail`.
    unsafe { frame.services.panicked()(frame.host, frame.reply, panic) }
}
