//! Plugin files in memory: mapping them, the ledger of what is mapped, and what unmapping one takes.
//!
//! A [`LoadedLibrary`] is the right to run code of a file; whoever holds one keeps it from being unmapped. The file itself belongs to
//! the ledger, which outlives its users: dropping the last of them runs no code, and only marks the file as retired.
//!
//! What lives here: what is mapped, by whom it is used, why it still is. What never will: when it is safe to unmap (see `unmap`).

mod c_file;
mod entry;
mod functions;
mod ledger;
mod mapped;
mod mapping;
mod objects;
mod open;

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use abi_stable::std_types::RSlice;
use plugin_api::abi::{CallFrame, TakeBytes};
use plugin_engine_core::PluginId;
use plugin_engine_crash_marks::{self as record, Call};

use crate::clock::Clock;
use crate::config::{SettingsSchema, UnmapPolicy};
use crate::digest::{Fingerprint, LazyDigest};
use crate::error::LoadError;
use crate::host::Listener;
use crate::joining::Ran;
use crate::manifest::Manifest;
use crate::secrets::Secrets;
use crate::steps::Step;
use crate::verify::VerifiedArtifact;

pub use mapped::MappedLibrary;

pub(crate) use ledger::{Leaving, Libraries, LoadTurn, Retired};
pub(crate) use mapping::Mapping;
pub(crate) use objects::{Object, all as all_objects, is_there};

use ledger::{Arrival, Found};

/// A function that updates an instance.
pub(crate) type UpdateFn = unsafe extern "C" fn(*mut (), &CallFrame) -> u8;

/// The functions of a plugin file, copied out of its table so that a call does not go through two more pointers.
#[derive(Clone, Copy)]
pub(crate) struct CallTable {
    pub(crate) create: unsafe extern "C" fn(&CallFrame, &mut *mut ()) -> u8,
    pub(crate) update: UpdateFn,
    pub(crate) display: unsafe extern "C" fn(*mut (), &CallFrame) -> u8,
    pub(crate) destroy: unsafe extern "C" fn(*mut (), &CallFrame) -> u8,
}

/// How instances hand over their state at a reload.
#[derive(Clone, Copy)]
pub(crate) struct StateCalls {
    /// The author's version of the state.
    pub(crate) version: u32,
    pub(crate) save: unsafe extern "C" fn(*mut (), &CallFrame, *mut (), TakeBytes) -> u8,
    pub(crate) restore: unsafe extern "C" fn(*mut (), &CallFrame, u32, RSlice<'_, u8>) -> u8,
}

/// A plugin file whose code is mapped and whose contract fits, as its users hold it.
///
/// While one exists the file stays mapped. The code may be run by whoever holds it and says so in the [`Ran`] of the thread first.
pub(crate) struct LoadedLibrary {
    /// Which of the files it is that this engine has mapped.
    pub(crate) number: u64,
    pub(crate) calls: CallTable,
    /// How its instances hand over their state, if they do.
    pub(crate) state: Option<StateCalls>,
    pub(crate) manifest: Manifest,
    /// The author's version, shared by all that is said of its plugins.
    pub(crate) version: Arc<str>,
    pub(crate) fingerprint: Fingerprint,
    /// The SHA-256 of its bytes, for people.
    pub(crate) sha256: Arc<LazyDigest>,
    /// What settings must fulfil, if the author says so.
    pub(crate) schema: Option<Arc<SettingsSchema>>,
    /// What its plugins were told and must not tell on.
    pub(crate) secrets: Arc<Secrets>,
    ledger: Weak<Libraries>,
}

impl LoadedLibrary {
    /// What there is of a file of which nothing is mapped: its functions are those of this program. For models, simulations and fuzzing.
    #[cfg(any(test, fuzzing, feature = "simulation"))]
    pub(crate) fn unmapped(
        number: u64,
        calls: CallTable,
        state: Option<StateCalls>,
        manifest: Manifest,
        fingerprint: Fingerprint,
    ) -> Self {
        Self {
            number,
            calls,
            state,
            version: manifest.version.as_str().into(),
            manifest,
            fingerprint,
            sha256: Arc::new(LazyDigest::unknown()),
            schema: None,
            secrets: Arc::default(),
            ledger: Weak::new(),
        }
    }

    /// Says what a plugin that uses this file wants to become of it. The last word of each plugin counts.
    pub(crate) fn wants(&self, id: &PluginId, unmap: UnmapPolicy) {
        if let Some(ledger) = self.ledger.upgrade() {
            ledger.wants(self.number, id, unmap);
        }
    }
}

impl Drop for LoadedLibrary {
    /// Runs no code of the file. May come at any place, also under the lock of a cell.
    fn drop(&mut self) {
        if let Some(ledger) = self.ledger.upgrade() {
            ledger.retire(self.number);
        }
    }
}

/// Why a file whose code is mapped is no plugin after all.
#[derive(Debug, Clone)]
pub(crate) enum Unfit {
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

/// Maps an artifact, or finds that its bytes are mapped already, be it as a plugin or as what is none. Runs code of the file: its
/// constructors, and `init`.
///
/// Called on the loader's thread only, which holds no lock meanwhile; `ran` is what that thread ran, and `recorded_as` the number by which
/// running this file is recorded for whoever comes after a crash.
pub(crate) fn load(
    libraries: &Arc<Libraries>,
    listener: &Weak<dyn Listener>,
    clock: &Arc<dyn Clock>,
    ran: &Ran,
    artifact: VerifiedArtifact,
    recorded_as: u32,
) -> Result<Arc<LoadedLibrary>, LoadError> {
    match libraries.find(&artifact.fingerprint) {
        Some(Found::Library(library)) => return Ok(library),
        Some(Found::Unfit(unfit)) => return Err(unfit.of(artifact.path)),
        None => {}
    }
    libraries.check_room(&artifact.path)?;
    let VerifiedArtifact {
        path,
        sealed,
        manifest,
        fingerprint,
        sha256,
        stays_mapped,
        mut steps,
    } = artifact;
    steps.go_on();
    let number = libraries.next_number();
    ran.add(number);
    let before = objects::added();
    record::begin(recorded_as, Call::Load, clock.now().as_nanos());
    let handle = open::map(&path, &sealed);
    record::end();
    let handle = handle?;
    steps.end(Step::Map);
    // From here on the code is mapped, whatever is found: it may have started threads already.
    let sealed = Arc::new(sealed);
    let (object, objection) = place(&sealed.path().to_string_lossy(), before, stays_mapped);
    record::begin(recorded_as, Call::Load, clock.now().as_nanos());
    let opened = open::open(libraries, listener, clock, &manifest, fingerprint, &handle);
    record::end();
    let arrival = Arrival {
        number,
        path: path.clone(),
        manifest,
        fingerprint,
        sha256: Arc::new(LazyDigest::new(&sealed, sha256)),
        objection,
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err((unfit, release)) => {
            let mapping = Mapping::new(handle, sealed, object, release, recorded_as);
            libraries.enter_unfit(arrival, mapping, unfit.clone());
            return Err(unfit.of(path));
        }
    };
    let mapping = Mapping::new(handle, sealed, object, opened.release, recorded_as);
    let library = libraries.enter(arrival, mapping, opened.fit);
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

/// Where a file lies that has just been mapped, and what keeps it from ever being unmapped. `before` is how many objects the process had
/// been given before.
fn place(name: &str, before: u64, stays_mapped: bool) -> (Option<Object>, Option<String>) {
    let Some((object, later)) = objects::find_with_later(name) else {
        let why = "the system does not say where its code lies";
        return (None, Some(why.to_owned()));
    };
    if stays_mapped {
        let why = "it says itself that it must stay mapped (NODELETE)";
        return (Some(object), Some(why.to_owned()));
    }
    if objects::added() == before + 1 {
        return (Some(object), None);
    }
    // What other engines of this process load meanwhile are plugin files, too.
    let others: Vec<_> = later
        .iter()
        .filter(|other| !other.is_sealed())
        .map(|other| plugin_engine_core::bounded(&other.name, 100))
        .take(4)
        .collect();
    let why = (!others.is_empty()).then(|| {
        format!(
            "it brought in other libraries, of which nobody knows whether they can be unmapped: {}",
            others.join(", ")
        )
    });
    (Some(object), why)
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
