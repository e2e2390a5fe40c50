//! The table of functions that plugins call. Each is a thin shim: take the arguments apart, call the host, never unwind.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::{RSlice, RStr};
use plugin_api::abi::{
    Failure, HostHandle, HostServices, HostServicesRef, LogRecord, Panic, publish_status,
};
use plugin_api::limits::VIEW_LEN_MAX;
use plugin_api::{View, ViewKind};
use plugin_engine_core::FaultKind;

use crate::host::{HostContext, PublishRefused, Reply, Said, SaidFailure, panic_report};
use crate::lent;

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

/// The handle of a host. Valid for as long as the `Arc` or a `retain` of it lives.
#[inline]
pub(crate) fn handle(host: &Arc<HostContext>) -> HostHandle {
    HostHandle(Arc::as_ptr(host).cast())
}

/// Runs `f`; a panic of the engine's own, or of a subscriber of the embedder's, must not end the process at the boundary.
fn guarded<R>(otherwise: R, f: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or(otherwise)
}

/// # Safety
/// `handle` comes from [`handle`], and its host lives: an instance, a call or a `retain` keeps it.
unsafe fn host<'a>(handle: HostHandle) -> &'a HostContext {
    // SAFETY: the caller's promise.
    unsafe { &*handle.0.cast::<HostContext>() }
}

/// # Safety
/// `reply` is the address in the frame of a call that this very thread is in.
unsafe fn said<'a>(reply: *mut ()) -> Option<(&'a mut Said, &'a HostContext)> {
    // SAFETY: the caller's promise; the address is null outside any call. The host lives as long as the call.
    let reply = unsafe { reply.cast::<Reply<'a>>().as_mut() }?;
    Some((reply.said.get_or_insert_default(), reply.host))
}

unsafe extern "C" fn retain(handle: HostHandle) {
    // SAFETY: a handle is the address of a live `Arc`'s value.
    unsafe { Arc::increment_strong_count(handle.0.cast::<HostContext>()) };
}

unsafe extern "C" fn release(handle: HostHandle) {
    // SAFETY: gives back one `retain`, as the contract says.
    guarded((), || unsafe {
        Arc::decrement_strong_count(handle.0.cast::<HostContext>());
    });
}

unsafe extern "C" fn now_ns(handle: HostHandle) -> u64 {
    // SAFETY: the contract says that the host is kept during the call.
    guarded(0, || unsafe { host(handle) }.now_ns())
}

unsafe extern "C" fn is_cancelled(handle: HostHandle, call_id: u64) -> bool {
    // SAFETY: as in `now_ns`.
    unsafe { host(handle) }.is_cancelled(call_id)
}

unsafe extern "C" fn record_progress(handle: HostHandle, call_id: u64) {
    // SAFETY: as in `now_ns`.
    guarded((), || unsafe { host(handle) }.record_progress(call_id));
}

unsafe extern "C" fn publish(
    handle: HostHandle,
    call_id: u64,
    name: RStr<'_>,
    payload: RStr<'_>,
) -> u8 {
    // SAFETY: as in `now_ns`.
    let host = unsafe { host(handle) };
    guarded(publish_status::DISCARDED, || {
        match host.publish(call_id, &lent::text(&name), &lent::text(&payload)) {
            Ok(()) => publish_status::ACCEPTED,
            Err(PublishRefused::Name) => publish_status::NAME_REFUSED,
            Err(PublishRefused::TooLong) => publish_status::TOO_LONG,
            Err(PublishRefused::Discarded) => publish_status::DISCARDED,
        }
    })
}

unsafe extern "C" fn log(handle: HostHandle, call_id: u64, record: &LogRecord<'_>) {
    // SAFETY: as in `now_ns`.
    let host = unsafe { host(handle) };
    guarded((), || {
        host.log(
            call_id,
            record.level,
            &lent::text(&record.target),
            &lent::text(&record.message),
            &lent::text(&record.spans),
        );
    });
}

unsafe extern "C" fn settings(handle: HostHandle) -> RStr<'static> {
    // SAFETY: as in `now_ns`; the text lives as long as the host, and the contract lends it for no longer.
    RStr::from_str(unsafe { host::<'static>(handle) }.settings())
}

unsafe extern "C" fn id(handle: HostHandle) -> RStr<'static> {
    // SAFETY: as in `settings`.
    RStr::from_str(unsafe { host::<'static>(handle) }.id().as_str())
}

unsafe extern "C" fn fail(reply: *mut (), failure: &Failure<'_>) {
    guarded((), || {
        // SAFETY: the contract says that the thread of the call hands back the frame's own address.
        let Some((said, host)) = (unsafe { said(reply) }) else {
            return;
        };
        // Masked before it is cut: half a secret is one.
        let (message, type_name) = (lent::text(&failure.message), lent::text(&failure.type_name));
        let (message, type_name) = (host.mask(&message), host.mask(&type_name));
        said.failure = Some(SaidFailure {
            message: plugin_engine_core::bounded(&message, 4_096).to_owned(),
            type_name: plugin_engine_core::bounded(&type_name, 256).to_owned(),
            recoverable: failure.recoverable,
            retry_after: (failure.retry_after_ns > 0)
                .then(|| Duration::from_nanos(failure.retry_after_ns)),
        });
    });
}

unsafe extern "C" fn view(reply: *mut (), kind: u8, bytes: RSlice<'_, u8>) {
    guarded((), || {
        // SAFETY: as in `fail`.
        let Some((said, host)) = (unsafe { said(reply) }) else {
            return;
        };
        match ViewKind::from_code(kind) {
            _ if lent::bytes(&bytes).len() > VIEW_LEN_MAX => {
                said.breach = Some("the view is larger than 16 MiB");
            }
            None => said.breach = Some("the view is of a kind that this engine does not know"),
            Some(kind) => said.view = Some(host.mask_view(View::new(kind, lent::bytes(&bytes)))),
        }
    });
}

unsafe extern "C" fn panicked(handle: HostHandle, reply: *mut (), panic: &Panic<'_>) {
    guarded((), || {
        // SAFETY: as in `now_ns`.
        let host = unsafe { host(handle) };
        let at = (panic.line, panic.column);
        let (message, file) = (lent::text(&panic.message), lent::text(&panic.file));
        let (message, file) = (host.mask(&message), host.mask(&file));
        let wanted = host.wants_backtraces();
        // SAFETY: as in `fail`.
        match unsafe { said(reply) } {
            // The first panic is the cause; one while its payload is dropped is not.
            Some((said, _)) => {
                said.panic.get_or_insert_with(|| {
                    panic_report(FaultKind::Panic, &message, &file, at, wanted)
                });
            }
            None => {
                let report = panic_report(FaultKind::ThreadPanic, &message, &file, at, wanted);
                host.thread_panicked(&report);
            }
        }
    });
}
