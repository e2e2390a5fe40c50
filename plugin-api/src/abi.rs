//! What crosses the boundary between a plugin file and the engine: plain data and function pointers, no behaviour.
//!
//! The contract is compared structurally at load ([`PluginModule`] and all it reaches). The only change that keeps old
//! plugins and old engines working is a field added at the end of [`PluginModule`] or [`HostServices`]; everything
//! else here is fixed for the life of a contract version.
//!
//! Nothing that one side allocates is ever freed by the other: texts and bytes are lent for the time of one call, and
//! whoever wants to keep them copies them.

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RSlice, RStr};

/// How a call ended, as the plugin says it.
pub mod status {
    /// The call did what it should.
    pub const COMPLETED: u8 = 0;
    /// The call returned an error, which was handed to [`super::HostServices::fail`] before.
    pub const FAILED: u8 = 1;
    /// The call panicked; the panic was handed to [`super::HostServices::panicked`] where it happened.
    pub const PANICKED: u8 = 2;
}

/// How a publish ended, as the engine says it.
pub mod publish_status {
    /// The event was accepted.
    pub const ACCEPTED: u8 = 0;
    /// The name is one of the engine's own, or not of the form `[a-z0-9][a-z0-9_.-]{0,63}`.
    pub const NAME_REFUSED: u8 = 1;
    /// The payload is longer than the engine takes.
    pub const TOO_LONG: u8 = 2;
    /// The call was abandoned or the plugin is no longer active; what it says is discarded.
    pub const DISCARDED: u8 = 3;
}

/// The engine's side of one plugin, as the plugin holds it: an address that only the engine looks behind.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, StableAbi)]
pub struct HostHandle(pub *const ());

/// What the engine lends a plugin for the time of one call.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct CallFrame {
    /// The engine's side of this plugin.
    pub host: HostHandle,
    /// What the engine does for plugins.
    pub services: HostServicesRef,
    /// Where the engine collects what this call says of itself; handed back to `fail`, `panicked` and `view`.
    pub reply: *mut (),
    /// The number of this call, unique within the plugin.
    pub call_id: u64,
    /// The deadline of this call, in nanoseconds of the engine's monotonic clock.
    pub deadline_ns: u64,
    /// The most verbose level that somebody listens to: 0 off, 1 error … 5 trace.
    pub log_level_max: u8,
}

// SAFETY: the pointers in a frame are only handed back to `HostServices`, whose functions may be called from any thread;
// `reply` is used by the one thread that makes the call.
unsafe impl Send for CallFrame {}
// SAFETY: as above.
unsafe impl Sync for CallFrame {}

/// An error that a call returned.
#[repr(C)]
#[derive(Debug, Clone, Copy, StableAbi)]
pub struct Failure<'a> {
    /// What went wrong.
    pub message: RStr<'a>,
    /// The Rust type of the error, or empty.
    pub type_name: RStr<'a>,
    /// Whether trying again can help.
    pub recoverable: bool,
    /// The delay asked for, in nanoseconds; 0 where none was.
    pub retry_after_ns: u64,
}

/// A panic, where it happened.
#[repr(C)]
#[derive(Debug, Clone, Copy, StableAbi)]
pub struct Panic<'a> {
    /// The panic's message.
    pub message: RStr<'a>,
    /// The source file.
    pub file: RStr<'a>,
    /// The line in it, from 1.
    pub line: u32,
    /// The column in it, from 1.
    pub column: u32,
}

/// One line of a plugin's log.
#[repr(C)]
#[derive(Debug, Clone, Copy, StableAbi)]
pub struct LogRecord<'a> {
    /// 1 error, 2 warn, 3 info, 4 debug, 5 trace.
    pub level: u8,
    /// Where it was logged, as `tracing` has it: mostly the module's path.
    pub target: RStr<'a>,
    /// The message with its fields.
    pub message: RStr<'a>,
    /// The spans that were entered, outermost first, joined by `:`; or empty.
    pub spans: RStr<'a>,
}

/// What the engine does for plugins. Every function may be called from any thread and never unwinds.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostServicesRef, prefix_fields = HostServicesPrefix)))]
pub struct HostServices {
    /// Keeps the host alive until `release`.
    pub retain: unsafe extern "C" fn(host: HostHandle),
    /// Gives back one `retain`.
    pub release: unsafe extern "C" fn(host: HostHandle),
    /// The engine's monotonic clock, in nanoseconds.
    pub now_ns: unsafe extern "C" fn(host: HostHandle) -> u64,
    /// Whether nobody waits for this call any more.
    pub is_cancelled: unsafe extern "C" fn(host: HostHandle, call_id: u64) -> bool,
    /// Records that the call is getting on with its work.
    pub record_progress: unsafe extern "C" fn(host: HostHandle, call_id: u64),
    /// Publishes the event `plugin.<id>.<name>`. Returns one of [`publish_status`].
    pub publish: unsafe extern "C" fn(
        host: HostHandle,
        call_id: u64,
        name: RStr<'_>,
        payload: RStr<'_>,
    ) -> u8,
    /// Hands a line of log to the engine's subscriber. `call_id` is 0 outside any call.
    pub log: unsafe extern "C" fn(host: HostHandle, call_id: u64, record: &LogRecord<'_>),
    /// The plugin's settings as a JSON object. Lent for as long as the host is kept.
    pub settings: unsafe extern "C" fn(host: HostHandle) -> RStr<'static>,
    /// The plugin's id. Lent for as long as the host is kept.
    pub id: unsafe extern "C" fn(host: HostHandle) -> RStr<'static>,
    /// Says why the call that `reply` belongs to fails.
    pub fail: unsafe extern "C" fn(reply: *mut (), failure: &Failure<'_>),
    /// Hands over what a display shows.
    pub view: unsafe extern "C" fn(reply: *mut (), kind: u8, bytes: RSlice<'_, u8>),
    /// Says that a panic happens, from within the panic hook. `reply` is null outside any call.
    #[sabi(last_prefix_field)]
    pub panicked: unsafe extern "C" fn(host: HostHandle, reply: *mut (), panic: &Panic<'_>),
}

/// Where a text is handed over to: called during the call that it was given to, with the address that came with it.
#[repr(transparent)]
#[derive(Clone, Copy, StableAbi)]
pub struct TakeText(pub unsafe extern "C" fn(out: *mut (), text: RStr<'_>));

/// Where bytes are handed over to, likewise.
#[repr(transparent)]
#[derive(Clone, Copy, StableAbi)]
pub struct TakeBytes(pub unsafe extern "C" fn(out: *mut (), bytes: RSlice<'_, u8>));

/// What a plugin file offers: a flat table of shims around one `impl Plugin`. None of them unwinds.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModuleRef, prefix_fields = PluginModulePrefix)))]
pub struct PluginModule {
    /// Called once after the load, before anything else: installs the panic hook and the log.
    /// The host stands for the file itself, for threads that are in no call.
    pub init: unsafe extern "C" fn(host: HostHandle, services: HostServicesRef),
    /// Makes an instance and writes its address; null unless the status is COMPLETED.
    pub create: unsafe extern "C" fn(frame: &CallFrame, instance: &mut *mut ()) -> u8,
    /// Updates the instance.
    pub update: unsafe extern "C" fn(instance: *mut (), frame: &CallFrame) -> u8,
    /// Displays the instance.
    pub display: unsafe extern "C" fn(instance: *mut (), frame: &CallFrame) -> u8,
    /// Destroys the instance, whatever the status: the address is not valid afterwards.
    #[sabi(last_prefix_field)]
    pub destroy: unsafe extern "C" fn(instance: *mut (), frame: &CallFrame) -> u8,
    /// Hands the JSON Schema of the plugin's settings to `take`, or nothing where it has none. Called once after `init`. If the
    /// status is PANICKED, what was handed over is the panic's message.
    pub settings_schema: unsafe extern "C" fn(out: *mut (), take: TakeText) -> u8,
    /// The version of the state that instances save; 0 where they save none.
    pub state_version: u32,
    /// Hands the state of the instance to `take`. Not called where `state_version` is 0.
    pub save_state: unsafe extern "C" fn(
        instance: *mut (),
        frame: &CallFrame,
        out: *mut (),
        take: TakeBytes,
    ) -> u8,
    /// Takes over the state that an instance before has saved under `version`. Not called where `state_version` is 0.
    pub restore_state: unsafe extern "C" fn(
        instance: *mut (),
        frame: &CallFrame,
        version: u32,
        state: RSlice<'_, u8>,
    ) -> u8,
    /// Gives back what `init` took. Called once, as the very last, before the file is unmapped: no instance is left, and no thread runs
    /// code of the file. Not called for a file that stays mapped.
    pub release: unsafe extern "C" fn(),
}

impl RootModule for PluginModuleRef {
    abi_stable::declare_root_module_statics! {PluginModuleRef}
    const BASE_NAME: &'static str = "plugin";
    const NAME: &'static str = "plugin";
    const VERSION_STRINGS: VersionStrings = abi_stable::package_version_strings!();
}
