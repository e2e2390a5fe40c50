//! Finds the functions of a file that was made with `plugin_api.h`. One of the few places with unsafe code.
//!
//! Nothing of such a file is what a compiler of ours made, so each thing is looked at before it leads to the next: the header, the text of
//! the contract, the size of the table, every function in it.

use std::mem::offset_of;

use libloading::os::unix::Library;
use plugin_api::c::{CONTRACT, CONTRACT_LEN_MAX, FileHeader, HEADER_SYMBOL, MAGIC, Module};

use super::functions::Functions;
use super::{CallTable, Libraries, StateCalls, describe};
use crate::contract_text;
use crate::manifest::Manifest;

/// What every version of the table has.
const PREFIX_LEN: usize = offset_of!(Module, settings_schema);
/// The longest table that is believed.
const MODULE_LEN_MAX: usize = 4_096;

/// The address of the header, and the functions that it leads to; or what is wrong, in an author's words.
pub(super) fn find(
    libraries: &Libraries,
    manifest: &Manifest,
    handle: &Library,
) -> Result<(usize, Functions), String> {
    let has_other = symbol(handle, plugin_api::HEADER_SYMBOL).is_ok();
    if has_other {
        return Err(
            "it exports a header of export_plugin!, too, and is to be compared by that: leave PLUGIN_MANIFEST and PLUGIN_EXPORT out"
                .to_owned(),
        );
    }
    let address = symbol(handle, HEADER_SYMBOL).map_err(|error| {
        format!(
            "it has no header plugin_api_c_header: {error}; export the plugin with PLUGIN_EXPORT"
        )
    })?;
    if libraries.has_header(address.addr()) {
        return Err("the system's loader returned code that was mapped before".to_owned());
    }
    let header = address.cast::<FileHeader>();
    if header.is_null() || !header.is_aligned() {
        let at = header.addr();
        return Err(format!(
            "what it exports as its header stands at the address {at:#x}"
        ));
    }
    // SAFETY: the address is that of a symbol of the file, so that this many bytes can be read there or the file has been linked to
    // end in them; its manifest said that it is a header.
    let header = unsafe { header.read() };
    if header.magic != MAGIC {
        return Err(
            "what it exports as its header is none; export it with PLUGIN_EXPORT".to_owned(),
        );
    }
    if (header.size as usize) < size_of::<FileHeader>() {
        let (found, expected) = (header.size, size_of::<FileHeader>());
        return Err(format!(
            "its header has {found} bytes, {expected} are expected"
        ));
    }
    let text = contract(&header)?;
    contract_text::compare(CONTRACT, text)
        .and_then(|()| functions(&header, contract_text::table_len(text, "PluginModule")?))
        .map(|functions| (address.addr(), functions))
        .map_err(|reason| {
            format!(
                "{reason}; rebuild the plugin with the plugin_api.h of plugin-api {} (it was built with that of {})",
                plugin_api::API_VERSION,
                manifest.api_version
            )
        })
}

/// The address of a symbol, whatever lies there.
fn symbol(handle: &Library, name: &str) -> Result<*const u8, String> {
    // SAFETY: only the address is looked at.
    unsafe { handle.get::<*const u8>(name.as_bytes()) }
        .map(|symbol| symbol.into_raw().cast::<u8>().cast_const())
        .map_err(|error| describe(&error))
}

/// The text of the contract that the file carries.
fn contract(header: &FileHeader) -> Result<&'static str, String> {
    let len = header.contract_len;
    if header.contract.is_null() || len == 0 {
        return Err("its header has no contract".to_owned());
    }
    if len > CONTRACT_LEN_MAX {
        return Err(format!(
            "its contract has {len} bytes, the limit is {CONTRACT_LEN_MAX}"
        ));
    }
    // SAFETY: the header is one, by its mark, and says that so many bytes lie there. What is read is used before the file can be
    // unmapped.
    let text = unsafe { std::slice::from_raw_parts(header.contract, len) };
    std::str::from_utf8(text).map_err(|_| "its contract is no UTF-8 text".to_owned())
}

/// The functions of the table, which is as long as the file's contract says.
fn functions(header: &FileHeader, expected: usize) -> Result<Functions, String> {
    let len = header.module_size as usize;
    if len != expected || !(PREFIX_LEN..=MODULE_LEN_MAX).contains(&len) {
        return Err(format!(
            "its table of functions has {len} bytes, and by its contract {expected}"
        ));
    }
    if header.module.is_null() || !header.module.is_aligned() {
        let at = header.module.addr();
        return Err(format!(
            "its table of functions stands at the address {at:#x}"
        ));
    }
    // SAFETY: all fields may be zero.
    let mut module: Module = unsafe { std::mem::zeroed() };
    // SAFETY: the header says that so many bytes of a table lie there, whose fields are those of ours by the contract that was compared;
    // every function in it may be a null pointer.
    unsafe {
        let to = std::ptr::from_mut(&mut module).cast::<u8>();
        to.copy_from_nonoverlapping(header.module.cast::<u8>(), len.min(size_of::<Module>()));
    }
    let missing = |name| format!("PluginModule.{name} is a null pointer");
    Ok(Functions {
        init: module.init.ok_or_else(|| missing("init"))?,
        calls: CallTable {
            create: module.create.ok_or_else(|| missing("create"))?,
            update: module.update.ok_or_else(|| missing("update"))?,
            display: module.display.ok_or_else(|| missing("display"))?,
            destroy: module.destroy.ok_or_else(|| missing("destroy"))?,
        },
        settings_schema: module.settings_schema,
        state: match module.state_version {
            0 => None,
            version => Some(StateCalls {
                version,
                save: module.save_state.ok_or_else(|| missing("save_state"))?,
                restore: module
                    .restore_state
                    .ok_or_else(|| missing("restore_state"))?,
            }),
        },
        release: module.release,
    })
}
