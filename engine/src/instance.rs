//! The live object that a plugin file made, and the calls into it. One of the few places with unsafe code.

use std::sync::Arc;

use abi_stable::std_types::RSlice;
use plugin_api::View;
use plugin_api::abi::{CallFrame, TakeBytes, status};
use plugin_api::limits::STATE_LEN_MAX;
use plugin_engine_core::{CallId, CallOutcome, FaultKind, FaultReport, Moment};
use plugin_engine_crash_marks::{self as record, Call};

use crate::host::{HostContext, Reply};
use crate::lent;
use crate::library::{LoadedLibrary, UpdateFn};
use crate::services;

/// A live instance. Whoever owns this value is the only one who can call it: it travels to the worker that makes the call
/// and back, so that no two calls can overlap, whatever else goes wrong.
///
/// Dropped without [`Instance::destroy`], the object inside the plugin is leaked: no code of a plugin runs by accident.
///
/// In this order in memory: what an update needs comes first, so that it needs nothing of what the library keeps.
#[repr(C)]
pub(crate) struct Instance {
    address: *mut (),
    /// The library's function that updates.
    update: UpdateFn,
    host: Arc<HostContext>,
    /// The library's number.
    library_number: u64,
    /// Keeps the library while an instance exists. Last, so that it is dropped last.
    library: Arc<LoadedLibrary>,
}

// SAFETY: `Plugin: Send`, so the object behind the address may be called from any thread, by one at a time, which owning
// this value means.
unsafe impl Send for Instance {}

/// What an instance has saved for the one that takes over.
#[derive(Debug, Clone)]
pub(crate) struct SavedState {
    /// The author's version of it.
    pub(crate) version: u32,
    bytes: Vec<u8>,
}

/// What a call needs to know beside the instance.
#[derive(Clone, Copy)]
pub(crate) struct CallTicket {
    pub(crate) id: CallId,
    /// When it begins.
    pub(crate) since: Moment,
    pub(crate) deadline: Moment,
}

#[inline]
fn frame(host: &Arc<HostContext>, ticket: CallTicket, reply: &mut Reply<'_>) -> CallFrame {
    CallFrame {
        host: services::handle(host),
        services: services::SERVICES,
        reply: std::ptr::from_mut(reply).cast(),
        call_id: ticket.id.0,
        deadline_ns: ticket.deadline.as_nanos(),
        log_level_max: log_level_max(),
    }
}

/// The most verbose level that the host's subscriber listens to. One relaxed load.
#[inline]
fn log_level_max() -> u8 {
    use tracing::level_filters::LevelFilter;
    match LevelFilter::current() {
        LevelFilter::OFF => 0,
        LevelFilter::ERROR => 1,
        LevelFilter::WARN => 2,
        LevelFilter::INFO => 3,
        LevelFilter::DEBUG => 4,
        _ => 5,
    }
}

impl Instance {
    /// Makes an instance.
    pub(crate) fn create(
        library: Arc<LoadedLibrary>,
        host: Arc<HostContext>,
        ticket: CallTicket,
    ) -> (CallOutcome, Option<Box<Self>>) {
        let mut reply = Reply::new(&host);
        let mut address = std::ptr::null_mut();
        let frame = frame(&host, ticket, &mut reply);
        record::begin(host.recorded_as(), Call::Create, ticket.since.as_nanos());
        // SAFETY: the library is mapped and its contract was checked; `frame` lives on this stack until the call
        // returns, and nobody else looks at `reply` or `address` meanwhile.
        let status = unsafe { (library.calls.create)(&frame, &mut address) };
        record::end();
        let outcome = match outcome(status, reply) {
            CallOutcome::Completed if address.is_null() => {
                breach("create said that it completed, and made nothing")
            }
            outcome => outcome,
        };
        let made = matches!(outcome, CallOutcome::Completed);
        let instance = made.then(|| {
            Box::new(Self {
                address,
                update: library.calls.update,
                host,
                library_number: library.number,
                library,
            })
        });
        (outcome, instance)
    }

    /// Which of the mapped files its code is in.
    #[inline]
    pub(crate) fn library_number(&self) -> u64 {
        self.library_number
    }

    /// Where the code of its updates begins.
    #[inline]
    pub(crate) fn code(&self) -> usize {
        self.update as usize
    }

    /// Where the object lies inside the plugin's memory.
    #[inline]
    pub(crate) fn object(&self) -> usize {
        self.address.addr()
    }

    /// From now on the words of this call count. Said inside the lock in which the call was claimed: once that is released the
    /// call may be abandoned at any time, and its words must not count again after that.
    #[inline]
    pub(crate) fn is_heard_in(&self, call: CallId) {
        self.host.listen_to(call);
    }

    /// Updates. `None` says that it completed. Adds to the raw call the frame on the stack.
    #[inline]
    pub(crate) fn update(&mut self, ticket: CallTicket) -> Option<Box<CallOutcome>> {
        let mut reply = Reply::new(&self.host);
        let frame = frame(&self.host, ticket, &mut reply);
        record::begin(
            self.host.recorded_as(),
            Call::Update,
            ticket.since.as_nanos(),
        );
        // SAFETY: `address` came from `create` of this library and was not destroyed, because `destroy` takes the value
        // that owns it; `&mut self` means that no other call is in flight. The function is the library's, which this value keeps mapped.
        let status = unsafe { (self.update)(self.address, &frame) };
        record::end();
        if status == status::COMPLETED && reply.said.is_none() {
            return None;
        }
        Some(Box::new(outcome(status, reply)))
    }

    /// Displays.
    pub(crate) fn display(&mut self, ticket: CallTicket) -> (CallOutcome, Option<View>) {
        let mut reply = Reply::new(&self.host);
        let frame = frame(&self.host, ticket, &mut reply);
        record::begin(
            self.host.recorded_as(),
            Call::Display,
            ticket.since.as_nanos(),
        );
        // SAFETY: as in `update`.
        let status = unsafe { (self.library.calls.display)(self.address, &frame) };
        record::end();
        let view = reply.said.as_mut().and_then(|said| said.view.take());
        match (outcome(status, reply), view) {
            (CallOutcome::Completed, None) => (
                breach("display said that it completed, and handed over no view"),
                None,
            ),
            (CallOutcome::Completed, view) => (CallOutcome::Completed, view),
            (outcome, _) => (outcome, None),
        }
    }

    /// The library that the instance is of.
    pub(crate) fn library(&self) -> &Arc<LoadedLibrary> {
        &self.library
    }

    /// The host that the instance speaks to.
    #[inline]
    pub(crate) fn host(&self) -> &Arc<HostContext> {
        &self.host
    }

    /// Saves the state, for the instance that is to take over. Only where the library says that there is one.
    pub(crate) fn save_state(&mut self, ticket: CallTicket) -> (CallOutcome, Option<SavedState>) {
        unsafe extern "C" fn take(out: *mut (), bytes: RSlice<'_, u8>) {
            // SAFETY: the contract says that `out` comes back as it was handed over, during the call.
            let out = unsafe { &mut *out.cast::<Option<Vec<u8>>>() };
            // One byte more than is taken, so that what is too long is still found to be.
            let bytes = lent::bytes(&bytes);
            *out = Some(bytes[..bytes.len().min(STATE_LEN_MAX + 1)].to_vec());
        }
        let Some(calls) = &self.library.state else {
            return (breach("it saves no state"), None);
        };
        let mut reply = Reply::new(&self.host);
        let frame = frame(&self.host, ticket, &mut reply);
        let mut bytes: Option<Vec<u8>> = None;
        let out = std::ptr::from_mut(&mut bytes).cast();
        record::begin(
            self.host.recorded_as(),
            Call::SaveState,
            ticket.since.as_nanos(),
        );
        // SAFETY: as in `update`; `take` gets back the address of `bytes`, which lives until the call returns.
        let status = unsafe { (calls.save)(self.address, &frame, out, TakeBytes(take)) };
        record::end();
        match (outcome(status, reply), bytes) {
            (CallOutcome::Completed, None) => (
                breach("save_state said that it completed, and handed over no state"),
                None,
            ),
            (CallOutcome::Completed, Some(bytes)) if bytes.len() > STATE_LEN_MAX => {
                (breach("the state is larger than 64 MiB"), None)
            }
            (CallOutcome::Completed, Some(bytes)) => {
                let version = calls.version;
                (CallOutcome::Completed, Some(SavedState { version, bytes }))
            }
            (outcome, _) => (outcome, None),
        }
    }

    /// Takes over a state that an instance before has saved.
    pub(crate) fn restore_state(&mut self, ticket: CallTicket, state: &SavedState) -> CallOutcome {
        let Some(calls) = &self.library.state else {
            return breach("it restores no state");
        };
        let mut reply = Reply::new(&self.host);
        let frame = frame(&self.host, ticket, &mut reply);
        let bytes = RSlice::from_slice(&state.bytes);
        record::begin(
            self.host.recorded_as(),
            Call::RestoreState,
            ticket.since.as_nanos(),
        );
        // SAFETY: as in `update`; the bytes are lent for the time of the call.
        let status = unsafe { (calls.restore)(self.address, &frame, state.version, bytes) };
        record::end();
        outcome(status, reply)
    }

    /// Destroys the instance. The address is not used again, whatever the outcome. A call 0 is one that nobody waits for:
    /// what it says is not heard.
    pub(crate) fn destroy(self, ticket: CallTicket) -> CallOutcome {
        let mut reply = Reply::new(&self.host);
        let frame = frame(&self.host, ticket, &mut reply);
        record::begin(
            self.host.recorded_as(),
            Call::Destroy,
            ticket.since.as_nanos(),
        );
        // SAFETY: as in `update`; `self` is consumed, so this is the last use of the address.
        let status = unsafe { (self.library.calls.destroy)(self.address, &frame) };
        record::end();
        outcome(status, reply)
    }
}

fn breach(what: &str) -> CallOutcome {
    CallOutcome::Failed {
        report: FaultReport::new(FaultKind::Contract, what),
        recoverable: false,
        retry_after: None,
    }
}

/// Puts together what a call returned and what it said before.
#[cold]
fn outcome(status: u8, reply: Reply<'_>) -> CallOutcome {
    let said = reply.said.map(|said| *said).unwrap_or_default();
    if let Some(what) = said.breach {
        return breach(what);
    }
    match status {
        status::COMPLETED => CallOutcome::Completed,
        status::FAILED => match said.failure {
            Some(failure) => {
                let kind = if failure.recoverable {
                    FaultKind::Failed
                } else {
                    FaultKind::Permanent
                };
                let mut report = FaultReport::new(kind, failure.message);
                report.type_name = failure.type_name;
                CallOutcome::Failed {
                    report,
                    recoverable: failure.recoverable,
                    retry_after: failure.retry_after,
                }
            }
            None => breach("the call said that it failed, and not why"),
        },
        status::PANICKED => CallOutcome::Panicked(said.panic.unwrap_or_else(|| {
            FaultReport::new(
                FaultKind::Panic,
                "a panic that was not reported where it happened",
            )
        })),
        _ => breach("the call ended with a status that the contract does not have"),
    }
}
