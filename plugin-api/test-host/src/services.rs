//! The table of functions that plugins call. Each is a thin shim over [`Context`] or [`Reply`]. One of the few places with unsafe code.

use std::sync::Arc;
use std::time::Duration;

use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::{RSlice, RStr};
use plugin_api::abi::{
    Failure, HostHandle, HostServices, HostServicesRef, LogRecord, Panic, publish_status,
};
use plugin_api::limits::VIEW_LEN_MAX;
use plugin_api::{View, ViewKind};

use crate::context::{Context, Refused};
use crate::recording::{Level, LogLine};

struct Table;

impl Table {
    abi_stable::staticref! {
        const VALUE: WithMetadata<HostServices> = WithMetadata::new(HostServices {
            retain,
            release,
            now_ns,
            is_cancelled,
            record_progress,
            publish,
            log,
            settings,
            id,
            fail,
            view,
            panicked,
        });
    }
}

/// The table, for the frame of a call.
pub(crate) const SERVICES: HostServicesRef = HostServicesRef(Table::VALUE.as_prefix());

/// What a call said of itself before it returned. It lies on the stack of the thread that makes the call.
#[derive(Default)]
pub(crate) struct Reply {
    pub(crate) failure: Option<SaidFailure>,
    /// Message and location.
    pub(crate) panic: Option<(String, String)>,
    pub(crate) view: Option<View>,
    /// The plugin handed over something that the contract does not have.
    pub(crate) breach: Option<&'static str>,
}

pub(crate) struct SaidFailure {
    pub(crate) message: String,
    pub(crate) type_name: String,
    pub(crate) recoverable: bool,
    pub(crate) retry_after: Option<Duration>,
}

/// The handle of a context. Valid for as long as the `Arc` or a `retain` of it lives.
pub(crate) fn handle(context: &Arc<Context>) -> HostHandle {
    HostHandle(Arc::as_ptr(context).cast())
}

/// # Safety
/// `handle` comes from [`handle`], and its context lives: an instance, a call or a `retain` keeps it.
unsafe fn context<'a>(handle: HostHandle) -> &'a Context {
    // SAFETY: the caller's promise.
    unsafe { &*handle.0.cast::<Context>() }
}

/// # Safety
/// `reply` is null, or the address in the frame of a call that this very thread is in.
unsafe fn said<'a>(reply: *mut ()) -> Option<&'a mut Reply> {
    // SAFETY: the caller's promise.
    unsafe { reply.cast::<Reply>().as_mut() }
}

unsafe extern "C" fn retain(handle: HostHandle) {
    // SAFETY: a handle is the address of a live `Arc`'s value.
    unsafe { Arc::increment_strong_count(handle.0.cast::<Context>()) };
}

unsafe extern "C" fn release(handle: HostHandle) {
    // SAFETY: gives back one `retain`, as the contract says.
    unsafe { Arc::decrement_strong_count(handle.0.cast::<Context>()) };
}

unsafe extern "C" fn now_ns(handle: HostHandle) -> u64 {
    // SAFETY: the contract says that the host is kept during the call.
    unsafe { context(handle) }.clock.now_ns()
}

unsafe extern "C" fn is_cancelled(handle: HostHandle, call_id: u64) -> bool {
    // SAFETY: as in `now_ns`.
    unsafe { context(handle) }.is_cancelled(call_id)
}

unsafe extern "C" fn record_progress(handle: HostHandle, call_id: u64) {
    // SAFETY: as in `now_ns`.
    unsafe { context(handle) }.record_progress(call_id);
}

unsafe extern "C" fn publish(
    handle: HostHandle,
    call_id: u64,
    name: RStr<'_>,
    payload: RStr<'_>,
) -> u8 {
    // SAFETY: as in `now_ns`.
    let context = unsafe { context(handle) };
    match context.publish(call_id, name.as_str(), payload.as_str()) {
        Ok(()) => publish_status::ACCEPTED,
        Err(Refused::Name) => publish_status::NAME_REFUSED,
        Err(Refused::TooLong) => publish_status::TOO_LONG,
        Err(Refused::Discarded) => publish_status::DISCARDED,
    }
}

unsafe extern "C" fn log(handle: HostHandle, call_id: u64, record: &LogRecord<'_>) {
    let line = LogLine {
        level: Level::from_number(record.level),
        target: record.target.as_str().to_owned(),
        message: record.message.as_str().to_owned(),
        spans: record.spans.as_str().to_owned(),
    };
    if call_id == 0 {
        // A thread that is in no call, of whichever plugin.
        eprintln!("{:?} {}: {}", line.level, line.target, line.message);
        return;
    }
    // SAFETY: as in `now_ns`.
    unsafe { context(handle) }.log(call_id, line);
}

unsafe extern "C" fn settings(handle: HostHandle) -> RStr<'static> {
    // SAFETY: as in `now_ns`; the text lives as long as the context, and the contract lends it for no longer.
    RStr::from_str(unsafe { &context::<'static>(handle).settings })
}

unsafe extern "C" fn id(handle: HostHandle) -> RStr<'static> {
    // SAFETY: as in `settings`.
    RStr::from_str(unsafe { &context::<'static>(handle).id })
}

unsafe extern "C" fn fail(reply: *mut (), failure: &Failure<'_>) {
    // SAFETY: the contract says that the thread of the call hands back the frame's own address.
    let Some(said) = (unsafe { said(reply) }) else {
        return;
    };
    said.failure = Some(SaidFailure {
        message: failure.message.as_str().to_owned(),
        type_name: failure.type_name.as_str().to_owned(),
        recoverable: failure.recoverable,
        retry_after: (failure.retry_after_ns > 0)
            .then(|| Duration::from_nanos(failure.retry_after_ns)),
    });
}

unsafe extern "C" fn view(reply: *mut (), kind: u8, bytes: RSlice<'_, u8>) {
    // SAFETY: as in `fail`.
    let Some(said) = (unsafe { said(reply) }) else {
        return;
    };
    match ViewKind::from_code(kind) {
        _ if bytes.len() > VIEW_LEN_MAX => said.breach = Some("the view is larger than 16 MiB"),
        None => said.breach = Some("the view is of a kind that is not known"),
        Some(kind) => said.view = Some(View::new(kind, bytes.as_slice())),
    }
}

unsafe extern "C" fn panicked(_: HostHandle, reply: *mut (), panic: &Panic<'_>) {
    // SAFETY: as in `fail`. Outside any call nobody asks for it: see `process`.
    let Some(said) = (unsafe { said(reply) }) else {
        return;
    };
    let location = format!("{}:{}:{}", panic.file.as_str(), panic.line, panic.column);
    // The first panic is the cause; one while its payload is dropped is not.
    said.panic
        .get_or_insert_with(|| (panic.message.as_str().to_owned(), location));
}
