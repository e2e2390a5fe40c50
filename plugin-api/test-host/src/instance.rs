//! A live instance, and the calls into it through the shims of `export_plugin!`. One of the few places with unsafe code.

use std::sync::Arc;
use std::time::Duration;

use abi_stable::std_types::{RSlice, RStr};
use plugin_api::View;
use plugin_api::abi::{CallFrame, PluginModuleRef, TakeBytes, TakeText, status};
use plugin_api::limits::STATE_LEN_MAX;

use crate::context::Context;
use crate::error::{Call, CallError};
use crate::interruption::{Then, When};
use crate::services::{self, Reply};

/// A live instance. Dropped without [`Instance::destroy`], the object is leaked: no code of a plugin runs by accident.
pub(crate) struct Instance {
    address: *mut (),
    module: PluginModuleRef,
}

// SAFETY: `Plugin: Send`, so the object behind the address may be called from any thread, by one at a time, which `&mut self` means.
unsafe impl Send for Instance {}

/// What an instance has saved for the one that takes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedState {
    /// The `STATE_VERSION` of who saved it.
    pub version: u32,
    /// What it saved.
    pub bytes: Vec<u8>,
}

/// What a call needs to know beside the instance.
pub(crate) struct Ticket<'a> {
    pub(crate) context: &'a Arc<Context>,
    pub(crate) number: u64,
    pub(crate) timeout: Duration,
    pub(crate) planned: Vec<(When, Then)>,
}

/// How a call ended.
pub(crate) struct Ended<T> {
    pub(crate) result: Result<T, CallError>,
    /// Whether it panicked, be it too late.
    pub(crate) panicked: bool,
    /// What was planned for moments that it never came to.
    pub(crate) unreached: Vec<(When, Then)>,
}

impl Ticket<'_> {
    /// Makes a call: `enter` calls the shim.
    fn make<T>(
        self,
        call: Call,
        enter: impl FnOnce(&CallFrame) -> u8,
        take: impl FnOnce(&mut Reply) -> Result<T, &'static str>,
    ) -> Ended<T> {
        let mut reply = Reply::default();
        let deadline_ns = self
            .context
            .clock
            .now_ns()
            .saturating_add(crate::clock::nanos(self.timeout));
        self.context.begin(self.number, deadline_ns, self.planned);
        let frame = CallFrame {
            host: services::handle(self.context),
            services: services::SERVICES,
            reply: std::ptr::from_mut(&mut reply).cast(),
            call_id: self.number,
            deadline_ns,
            log_level_max: 5,
        };
        // A test may have a subscriber of its own; what the plugin says in a call is for the host all the same.
        let dispatch = plugin_api::__private::dispatch();
        let status = tracing::dispatcher::with_default(dispatch, || enter(&frame));
        let (in_time, unreached) = self.context.end();
        let panicked = status == status::PANICKED;
        let result = outcome(call, status, &mut reply)
            .and_then(|()| take(&mut reply).map_err(|reason| breach(call, reason)));
        let result = match result {
            result if in_time => result,
            late => Err(CallError::TimedOut {
                call,
                timeout: self.timeout,
                late: late.err().map(Box::new),
            }),
        };
        Ended {
            result,
            panicked,
            unreached,
        }
    }
}

fn breach(call: Call, reason: &str) -> CallError {
    let reason = reason.to_owned();
    CallError::Breach { call, reason }
}

/// Puts together what a call returned and what it said before.
fn outcome(call: Call, status: u8, reply: &mut Reply) -> Result<(), CallError> {
    if let Some(reason) = reply.breach {
        return Err(breach(call, reason));
    }
    match status {
        status::COMPLETED => Ok(()),
        status::FAILED => Err(match reply.failure.take() {
            Some(failure) => CallError::Failed {
                call,
                message: failure.message,
                type_name: failure.type_name,
                recoverable: failure.recoverable,
                retry_after: failure.retry_after,
            },
            None => breach(call, "it said that it failed, and not why"),
        }),
        status::PANICKED => {
            let (message, location) = reply.panic.take().unwrap_or_else(|| {
                let message = "a panic that was not reported where it happened";
                (message.to_owned(), "an unknown place".to_owned())
            });
            Err(CallError::Panicked {
                call,
                message,
                location,
            })
        }
        _ => Err(breach(
            call,
            "it ended with a status that the contract does not have",
        )),
    }
}

/// Has `plugin-api` install its panic hook and its log, as it does in a file.
pub(crate) fn init(module: PluginModuleRef, context: &Arc<Context>) {
    // SAFETY: the context is kept by the `retain` in it, for the life of the process.
    unsafe { module.init()(services::handle(context), services::SERVICES) };
}

/// The schema of the plugin's settings. The error is the message of a panic.
pub(crate) fn settings_schema(module: PluginModuleRef) -> Result<Option<String>, String> {
    unsafe extern "C" fn take(out: *mut (), text: RStr<'_>) {
        // SAFETY: the contract says that `out` comes back as it was handed over, during the call.
        let out = unsafe { &mut *out.cast::<Option<String>>() };
        *out = Some(text.as_str().to_owned());
    }
    let Some(settings_schema) = module.settings_schema() else {
        return Ok(None);
    };
    let mut text: Option<String> = None;
    let out = std::ptr::from_mut(&mut text).cast();
    // SAFETY: `take` gets back the address of `text`, which lives until the call returns.
    match unsafe { settings_schema(out, TakeText(take)) } {
        status::COMPLETED => Ok(text),
        _ => Err(text.unwrap_or_else(|| "it panicked".to_owned())),
    }
}

impl Instance {
    pub(crate) fn create(module: PluginModuleRef, ticket: Ticket<'_>) -> (Ended<()>, Option<Self>) {
        let mut address = std::ptr::null_mut();
        let enter = |frame: &CallFrame| {
            // SAFETY: `frame` lives until the call returns, and nobody else looks at `address` meanwhile.
            unsafe { module.create()(frame, &mut address) }
        };
        let ended = ticket.make(Call::Create, enter, |_| Ok(()));
        // Also one that came too late, which has to be destroyed.
        let made = (!address.is_null()).then_some(Self { address, module });
        (ended, made)
    }

    pub(crate) fn update(&mut self, ticket: Ticket<'_>) -> Ended<()> {
        // SAFETY: `address` came from `create` of this table and was not destroyed, because `destroy` takes the value that owns it.
        let enter = |frame: &CallFrame| unsafe { self.module.update()(self.address, frame) };
        ticket.make(Call::Update, enter, |_| Ok(()))
    }

    pub(crate) fn display(&mut self, ticket: Ticket<'_>) -> Ended<View> {
        // SAFETY: as in `update`.
        let enter = |frame: &CallFrame| unsafe { self.module.display()(self.address, frame) };
        ticket.make(Call::Display, enter, |reply| {
            reply.view.take().ok_or("it handed over no view")
        })
    }

    pub(crate) fn save_state(&mut self, ticket: Ticket<'_>) -> Ended<SavedState> {
        unsafe extern "C" fn take(out: *mut (), bytes: RSlice<'_, u8>) {
            // SAFETY: the contract says that `out` comes back as it was handed over, during the call.
            let out = unsafe { &mut *out.cast::<Option<Vec<u8>>>() };
            *out = Some(bytes.as_slice().to_vec());
        }
        let mut bytes: Option<Vec<u8>> = None;
        let out: *mut () = std::ptr::from_mut(&mut bytes).cast();
        let enter = |frame: &CallFrame| match self.module.save_state() {
            // SAFETY: as in `update`; `take` gets back the address of `bytes`, which lives until the call returns.
            Some(save) => unsafe { save(self.address, frame, out, TakeBytes(take)) },
            None => status::COMPLETED,
        };
        let ended = ticket.make(Call::SaveState, enter, |_| Ok(()));
        let version = self.module.state_version().unwrap_or(0);
        let result = ended.result.and_then(|()| match bytes {
            None => Err(breach(Call::SaveState, "it handed over no state")),
            Some(bytes) if bytes.len() > STATE_LEN_MAX => {
                Err(breach(Call::SaveState, "the state is larger than 64 MiB"))
            }
            Some(bytes) => Ok(SavedState { version, bytes }),
        });
        Ended {
            result,
            panicked: ended.panicked,
            unreached: ended.unreached,
        }
    }

    pub(crate) fn restore_state(&mut self, ticket: Ticket<'_>, state: &SavedState) -> Ended<()> {
        let bytes = RSlice::from_slice(&state.bytes);
        let enter = |frame: &CallFrame| match self.module.restore_state() {
            // SAFETY: as in `update`; the bytes are lent for the time of the call.
            Some(restore) => unsafe { restore(self.address, frame, state.version, bytes) },
            None => status::COMPLETED,
        };
        ticket.make(Call::RestoreState, enter, |_| Ok(()))
    }

    pub(crate) fn destroy(self, ticket: Ticket<'_>) -> Ended<()> {
        // SAFETY: as in `update`; `self` is consumed, so this is the last use of the address.
        let enter = |frame: &CallFrame| unsafe { self.module.destroy()(self.address, frame) };
        ticket.make(Call::Destroy, enter, |_| Ok(()))
    }
}
