//! Maps a sealed plugin file, checks its contract and initialises it. One of the few places with unsafe code.

use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::{Arc, Weak};

use abi_stable::StableAbi;
use abi_stable::library::{AbiHeader, AbiHeaderRef, LibHeader, LibraryError};
use abi_stable::std_types::RStr;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use plugin_api::abi::{PluginModuleRef, TakeText, status};
use plugin_api::limits::SCHEMA_LEN_MAX;
use plugin_engine_core::bounded;

use super::functions::Functions;
use super::ledger::Fit;
use super::mapping::Release;
use super::{Libraries, Unfit, c_file, describe};
use crate::clock::Clock;
use crate::config::SettingsSchema;
use crate::contract;
use crate::digest::Fingerprint;
use crate::error::LoadError;
use crate::host::{HostContext, HostOf, Listener};
use crate::lent;
use crate::manifest::{Contract, Manifest};
use crate::seal::SealedFile;
use crate::secrets::Secrets;
use crate::services;

/// Has the system's loader map sealed bytes, which runs their constructors. What comes back is not closed by being dropped.
pub(super) fn map(path: &Path, sealed: &SealedFile) -> Result<ManuallyDrop<Library>, LoadError> {
    // SAFETY: the bytes are those that were verified and cannot change. Their constructors run now, on this thread, which
    // holds no lock; that they do no harm is what "plugins are trusted code" means.
    let handle = unsafe { Library::open(Some(sealed.path()), RTLD_NOW | RTLD_LOCAL) };
    handle
        .map(ManuallyDrop::new)
        .map_err(|error| LoadError::Map {
            path: path.to_owned(),
            reason: describe(&error),
        })
}

/// What was found in a mapped file that fits.
pub(super) struct Opened {
    pub(super) fit: Fit,
    /// What gives back what `init` took; files that are older than this function have none, and keep some hundred bytes.
    pub(super) release: Option<Release>,
}

/// Checks the contract of a mapped file, initialises it, and asks it for the schema of its settings. If it does not fit, what there is to
/// release is told with the reason.
pub(super) fn open(
    libraries: &Libraries,
    listener: &Weak<dyn Listener>,
    clock: &Arc<dyn Clock>,
    manifest: &Manifest,
    fingerprint: Fingerprint,
    handle: &Library,
) -> Result<Opened, (Unfit, Option<Release>)> {
    let (header, functions) = find(libraries, manifest, handle).map_err(|unfit| (unfit, None))?;
    let secrets = Arc::<Secrets>::default();
    let host = HostContext::new(
        Weak::clone(listener),
        clock,
        HostOf::File(Box::new(fingerprint)),
        manifest.id.clone(),
        "{}",
        Arc::clone(&secrets),
        Arc::default(),
    );
    // SAFETY: the handle is valid during the call, and `init` retains it if it keeps it.
    unsafe { (functions.init)(services::handle(&host), services::SERVICES) };

    let release = functions.release;
    let schema = schema(&functions).map_err(|reason| (Unfit::Schema(reason), release))?;
    Ok(Opened {
        fit: Fit {
            header,
            calls: functions.calls,
            state: functions.state,
            secrets,
            schema: schema.map(Arc::new),
        },
        release,
    })
}

/// The address of the header of a mapped file, and its functions, if they are what the engine expects. Which header that is says the
/// manifest, which the checks before the file was mapped have read.
fn find(
    libraries: &Libraries,
    manifest: &Manifest,
    handle: &Library,
) -> Result<(usize, Functions), Unfit> {
    match manifest.contract {
        Contract::Rust => find_module(libraries, manifest, handle)
            .map(|(address, module)| (address, Functions::of_module(module))),
        Contract::C => c_file::find(libraries, manifest, handle).map_err(Unfit::Contract),
    }
}

/// The header and the table of a file that `export_plugin!` made.
fn find_module(
    libraries: &Libraries,
    manifest: &Manifest,
    handle: &Library,
) -> Result<(usize, PluginModuleRef), Unfit> {
    // SAFETY: only the address is looked at, whatever lies there.
    let symbol = unsafe { handle.get::<*const AbiHeader>(plugin_api::HEADER_SYMBOL.as_bytes()) }
        .map_err(|error| Unfit::Contract(format!("it has no header: {}", describe(&error))))?;
    let address = symbol.into_raw().addr();
    if address == 0 || !address.is_multiple_of(align_of::<AbiHeader>()) {
        return Err(Unfit::Contract(format!(
            "it has no header: the symbol stands for the address {address:#x}"
        )));
    }
    // SAFETY: the symbol is a `LibHeader` of abi_stable, which begins with the `AbiHeader` that `upgrade` checks before
    // anything behind it is looked at; its manifest said that it is one of ours.
    let header_ref = unsafe { handle.get::<AbiHeaderRef>(plugin_api::HEADER_SYMBOL.as_bytes()) }
        .map_err(|error| Unfit::Contract(format!("it has no header: {}", describe(&error))))?;
    let header_ref: AbiHeaderRef = *header_ref;
    if libraries.has_header(address) {
        return Err(Unfit::Contract(
            "the system's loader returned code that was mapped before".to_owned(),
        ));
    }
    let header = header_ref.upgrade().map_err(|error| {
        Unfit::Contract(match error {
            LibraryError::InvalidAbiHeader(_) => {
                "what it exports as its header is none; export the plugin with export_plugin!"
                    .to_owned()
            }
            error => first_line(&error.to_string()),
        })
    })?;
    check_layout(header).map_err(|reason| {
        Unfit::Contract(format!(
            "{reason} (it was built against plugin-api {})",
            manifest.api_version
        ))
    })?;
    // SAFETY: the layout was compared just now, structurally, and fits.
    let module = unsafe { header.unchecked_layout::<PluginModuleRef>() }
        .map_err(|error| Unfit::Contract(first_line(&error.to_string())))?;
    Ok((address, module))
}

/// What the file says of its settings, asked for once. `None` for a file that says nothing, or is older than the question.
fn schema(functions: &Functions) -> Result<Option<SettingsSchema>, String> {
    unsafe extern "C" fn take(out: *mut (), text: RStr<'_>) {
        // SAFETY: the contract says that `out` comes back as it was handed over, during the call.
        let out = unsafe { &mut *out.cast::<Option<String>>() };
        // One byte more than is read, so that what is too long is still found to be.
        *out = Some(bounded(&lent::text(&text), SCHEMA_LEN_MAX + 4).to_owned());
    }
    let Some(ask) = functions.settings_schema else {
        return Ok(None);
    };
    let mut text: Option<String> = None;
    // SAFETY: `take` gets back the address of `text`, which lives until the call returns.
    let status = unsafe { ask(std::ptr::from_mut(&mut text).cast(), TakeText(take)) };
    match (status, text) {
        (status::COMPLETED, None) => Ok(None),
        (status::COMPLETED, Some(text)) => SettingsSchema::compile(&text).map(Some),
        (_, message) => Err(format!(
            "it panicked: {}",
            bounded(message.as_deref().unwrap_or("without a text"), 500)
        )),
    }
}

fn check_layout(header: &'static LibHeader) -> Result<(), String> {
    // A header without a layout would pass every check silently.
    let found = header
        .layout()
        .ok_or("it was exported without a description of its contract")?;
    contract::compare(<PluginModuleRef as StableAbi>::LAYOUT, found)
}

fn first_line(text: &str) -> String {
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("unknown reason");
    plugin_engine_core::bounded(line, 200).to_owned()
}
