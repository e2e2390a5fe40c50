//! What a plugin file exports that is not made by [`export_plugin!`](crate::export_plugin): the boundary as `c/plugin_api.h` has it.
//!
//! The functions and what they are handed are those of [`crate::abi`]. Another is only how a file says what it was built against: a
//! C compiler has no description of types to export, so the file carries the contract as a text, which the header makes its
//! compiler check. What lives here is data; who reads and judges it is the engine.

use crate::abi::{CallFrame, HostHandle, HostServicesRef, TakeBytes, TakeText};
use abi_stable::std_types::RSlice;

/// The symbol under which such a file exports its [`FileHeader`], with the zero byte that lookups want.
pub const HEADER_SYMBOL: &str = "plugin_api_c_header\0";

/// What the header begins with.
pub const MAGIC: [u8; 8] = *b"plugin-c";

/// The contract as a text: a line for each constant, each type and each of its fields. Written by
/// `cargo run --package plugin-api --example c_header`, and compared with the types by a test.
pub const CONTRACT: &str = include_str!("../c/contract.txt");

/// The longest text of a contract that an engine reads, in bytes.
pub const CONTRACT_LEN_MAX: usize = 64 * 1024;

/// What a file exports under [`HEADER_SYMBOL`]. Nothing in it is to be trusted before it was looked at.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct FileHeader {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// The size of this header, in bytes. A later one may be longer.
    pub size: u32,
    /// The size of the table, in bytes: as long as the file's version of the contract has it.
    pub module_size: u32,
    /// The file's text of the contract.
    pub contract: *const u8,
    /// Its length, in bytes.
    pub contract_len: usize,
    /// The table of functions, of which so many bytes are there.
    pub module: *const Module,
}

/// [`PluginModule`](crate::abi::PluginModule) as a C compiler writes it, where every function may be a null pointer.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the fields are those of PluginModule")]
pub struct Module {
    pub init: Option<unsafe extern "C" fn(host: HostHandle, services: HostServicesRef)>,
    pub create: Option<unsafe extern "C" fn(frame: &CallFrame, instance: &mut *mut ()) -> u8>,
    pub update: Option<unsafe extern "C" fn(instance: *mut (), frame: &CallFrame) -> u8>,
    pub display: Option<unsafe extern "C" fn(instance: *mut (), frame: &CallFrame) -> u8>,
    pub destroy: Option<unsafe extern "C" fn(instance: *mut (), frame: &CallFrame) -> u8>,
    pub settings_schema: Option<unsafe extern "C" fn(out: *mut (), take: TakeText) -> u8>,
    pub state_version: u32,
    pub save_state: Option<
        unsafe extern "C" fn(
            instance: *mut (),
            frame: &CallFrame,
            out: *mut (),
            take: TakeBytes,
        ) -> u8,
    >,
    pub restore_state: Option<
        unsafe extern "C" fn(
            instance: *mut (),
            frame: &CallFrame,
            version: u32,
            state: RSlice<'_, u8>,
        ) -> u8,
    >,
    pub release: Option<unsafe extern "C" fn()>,
}
