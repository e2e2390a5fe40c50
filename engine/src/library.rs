//! Maps a sealed plugin file and checks its contract. One of the few places with unsafe code.

use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use abi_stable::StableAbi;
use abi_stable::library::{AbiHeader, AbiHeaderRef, LibHeader, LibraryError};
use abi_stable::std_types::{RSlice, RStr};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use parking_lot::Mutex;
use plugin_api::abi::{CallFrame, PluginModuleRef, TakeBytes, TakeText, status};
use plugin_engine_core::bounded;

use crate::clock::Clock;
use crate::config::{SCHEMA_LEN_MAX, SettingsSchema};
use crate::contract;
use crate::digest::{Fingerprint, LazyDigest};
use crate::error::LoadError;
use crate::host::{HostContext, HostOf, Listener};
use crate::manifest::Manifest;
use crate::seal::SealedFile;
use crate::secrets::Secrets;
use crate::services;
use crate::steps::Step;
use crate::thread_keys::{self, KEYS_RESERVE};
use crate::verify::VerifiedArtifact;

/// The functions of a plugin file, copied out of its table so that a call does not go through two more pointers.
#[derive(Clone, Copy)]
pub(crate) struct CallTable {
    pub(crate) create: unsafe extern "C" fn(&CallFrame, &mut *mut ()) -> u8,
    pub(crate) update: unsafe extern "C" fn(*mut (), &CallFrame) -> u8,
    pub(crate) display: unsafe extern "C" fn(*mut (), &CallFrame) -> u8,
    pub(crate) destroy: unsafe extern "C" fn(*mut (), &CallFrame) -> u8,
}

/// How instances hand over their state at a reload.
pub(crate) struct StateCalls {
    /// The author's version of the state.
    pub(crate) version: u32,
    pub(crate) save: unsafe extern "C" fn(*mut (), &CallFrame, *mut (), TakeBytes) -> u8,
    pub(crate) restore: unsafe extern "C" fn(*mut (), &CallFrame, u32, RSlice<'_, u8>) -> u8,
}

/// A plugin file whose code is mapped and whose contract fits.
///
/// The code stays mapped for the life of the process, also when this is dropped. Unmapping is safe only when no thread that
/// ever ran the code lives on, which cannot be known from here.
pub(crate) struct LoadedLibrary {
    pub(crate) manifest: Manifest,
    pub(crate) fingerprint: Fingerprint,
    /// The SHA-256 of its bytes, for people.
    pub(crate) sha256: Arc<LazyDigest>,
    pub(crate) calls: CallTable,
    /// How its instances hand over their state, if they do.
    pub(crate) state: Option<StateCalls>,
    /// What settings must fulfil, if the author says so.
    pub(crate) schema: Option<Arc<SettingsSchema>>,
    /// What its plugins were told and must not tell on.
    pub(crate) secrets: Arc<Secrets>,
    header: usize,
    /// Never closed either, because the code stays mapped: the system's loader would take a new file with the same number,
    /// be it another engine's, for this one.
    _sealed: ManuallyDrop<Arc<SealedFile>>,
    /// Never closed. Last, so that nothing of the library is dropped after it.
    _handle: ManuallyDrop<Library>,
}

/// All libraries that were mapped, by the fingerprint of their bytes. The same bytes are mapped once.
pub(crate) struct Libraries {
    mapped: Mutex<HashMap<Fingerprint, Arc<LoadedLibrary>>>,
    /// Those that turned out to be no plugins only once they were mapped. They stay mapped like any other, so the same bytes are
    /// not mapped again to find out the same.
    unfit: Mutex<HashMap<Fingerprint, Unfit>>,
    limit: usize,
}

/// Why a file whose code is mapped is no plugin after all.
#[derive(Clone)]
enum Unfit {
    Contract(String),
    Schema(String),
}

impl Unfit {
    fn of(self, path: PathBuf) -> LoadError {
        match self {
            Self::Contract(reason) => LoadError::Contract { path, reason },
            Self::Schema(reason) => LoadError::Schema { path, reason },
        }
    }
}

impl Libraries {
    pub(crate) fn get(&self, fingerprint: &Fingerprint) -> Option<Arc<LoadedLibrary>> {
        self.mapped.lock().get(fingerprint).cloned()
    }

    pub(crate) fn new(limit: usize) -> Self {
        Self {
            mapped: Mutex::default(),
            unfit: Mutex::default(),
            limit,
        }
    }

    /// The most files that are mapped.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether another file may be mapped. What is mapped stays so, and takes of what the whole process has only so much of.
    fn check_room(&self, path: &Path) -> Result<(), LoadError> {
        let path = || path.to_owned();
        if self.count() >= self.limit {
            return Err(LoadError::TooManyLibraries {
                path: path(),
                limit: self.limit,
            });
        }
        if !thread_keys::are_left(KEYS_RESERVE) {
            return Err(LoadError::ThreadKeys {
                path: path(),
                reserve: KEYS_RESERVE,
            });
        }
        Ok(())
    }

    /// How many are mapped, fit or not.
    pub(crate) fn count(&self) -> usize {
        self.mapped.lock().len() + self.unfit.lock().len()
    }

    fn has_header(&self, header: usize) -> bool {
        self.mapped
            .lock()
            .values()
            .any(|library| library.header == header)
    }

    fn insert(&self, library: &Arc<LoadedLibrary>) {
        self.mapped
            .lock()
            .insert(library.fingerprint, Arc::clone(library));
    }
}

/// Maps an artifact, or finds that its bytes are mapped already, be it as a plugin or as what is none. Runs code of the file: its
/// constructors, and `init`.
///
/// Called on the loader's thread only, which holds no lock meanwhile.
pub(crate) fn load(
    libraries: &Libraries,
    listener: &Weak<dyn Listener>,
    clock: &Arc<dyn Clock>,
    artifact: VerifiedArtifact,
) -> Result<Arc<LoadedLibrary>, LoadError> {
    if let Some(library) = libraries.get(&artifact.fingerprint) {
        return Ok(library);
    }
    let known = libraries.unfit.lock().get(&artifact.fingerprint).cloned();
    if let Some(unfit) = known {
        return Err(unfit.of(artifact.path));
    }
    libraries.check_room(&artifact.path)?;
    let VerifiedArtifact {
        path,
        mut sealed,
        manifest,
        fingerprint,
        sha256,
        mut steps,
    } = artifact;
    sealed.let_go_of_bytes();

    // SAFETY: the bytes are those that were verified and cannot change. Their constructors run now, on this thread, which
    // holds no lock; that they do no harm is what "plugins are trusted code" means.
    let handle =
        unsafe { Library::open(Some(sealed.path()), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| {
            LoadError::Map {
                path: path.clone(),
                reason: describe(&error),
            }
        })?;
    steps.end(Step::Map);
    // From here on the code stays mapped, whatever is found: it may have started threads already. So the descriptor stays
    // open, too.
    let handle = ManuallyDrop::new(handle);
    let sealed = ManuallyDrop::new(Arc::new(sealed));
    let opened = open(libraries, listener, clock, &manifest, fingerprint, &handle);
    let Opened {
        address,
        module,
        secrets,
        schema,
    } = opened.map_err(|unfit| {
        libraries.unfit.lock().insert(fingerprint, unfit.clone());
        unfit.of(path.clone())
    })?;
    let library = Arc::new(LoadedLibrary {
        calls: CallTable {
            create: module.create(),
            update: module.update(),
            display: module.display(),
            destroy: module.destroy(),
        },
        state: state_calls(module),
        schema,
        secrets,
        manifest,
        fingerprint,
        sha256: Arc::new(LazyDigest::new(&sealed, sha256)),
        header: address,
        _sealed: sealed,
        _handle: handle,
    });
    libraries.insert(&library);
    steps.end(Step::Contract);
    tracing::debug!(
        target: "plugin_engine",
        file = %path.display(),
        copy_us = steps.micros(Step::Copy),
        digest_us = steps.micros(Step::Digest),
        checks_us = steps.micros(Step::Checks),
        map_us = steps.micros(Step::Map),
        contract_us = steps.micros(Step::Contract),
        "mapped"
    );
    Ok(library)
}

/// What was found in a mapped file.
struct Opened {
    address: usize,
    module: PluginModuleRef,
    secrets: Arc<Secrets>,
    schema: Option<Arc<SettingsSchema>>,
}

/// Checks the contract of a mapped file, initialises it, and asks it for the schema of its settings.
fn open(
    libraries: &Libraries,
    listener: &Weak<dyn Listener>,
    clock: &Arc<dyn Clock>,
    manifest: &Manifest,
    fingerprint: Fingerprint,
    handle: &Library,
) -> Result<Opened, Unfit> {
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

    let secrets = Arc::<Secrets>::default();
    let host = HostContext::new(
        Weak::clone(listener),
        clock,
        HostOf::File(fingerprint),
        manifest.id.clone(),
        "{}",
        Arc::clone(&secrets),
        Arc::default(),
    );
    // SAFETY: the handle is valid during the call, and `init` retains it if it keeps it.
    unsafe { module.init()(services::handle(&host), services::SERVICES) };

    let schema = schema(module).map_err(Unfit::Schema)?;
    Ok(Opened {
        address,
        module,
        secrets,
        schema: schema.map(Arc::new),
    })
}

/// How instances hand over their state. `None` for a file whose instances have none, or which is older than the question.
fn state_calls(module: PluginModuleRef) -> Option<StateCalls> {
    let version = module.state_version().filter(|version| *version != 0)?;
    Some(StateCalls {
        version,
        save: module.save_state()?,
        restore: module.restore_state()?,
    })
}

/// What the file says of its settings, asked for once. `None` for a file that says nothing, or is older than the question.
fn schema(module: PluginModuleRef) -> Result<Option<SettingsSchema>, String> {
    unsafe extern "C" fn take(out: *mut (), text: RStr<'_>) {
        // SAFETY: the contract says that `out` comes back as it was handed over, during the call.
        let out = unsafe { &mut *out.cast::<Option<String>>() };
        // One byte more than is read, so that what is too long is still found to be.
        *out = Some(bounded(text.as_str(), SCHEMA_LEN_MAX + 4).to_owned());
    }
    let Some(ask) = module.settings_schema() else {
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

/// The error with its sources: libloading keeps what the system said in the source.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    plugin_engine_core::bounded(&text, 500).to_owned()
}
