//! Files that are data: what the loader makes of one, without a byte of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use abi_stable::std_types::RSlice;
use plugin_api::abi::{CallFrame, TakeBytes};
use plugin_engine_core::PluginId;

use super::stage;
use crate::discover::Candidate;
use crate::error::LoadError;
use crate::library::{CallTable, LoadedLibrary, StateCalls};
use crate::loader::Refusal;
use crate::manifest::{Contract, Manifest};

/// The functions of a simulated plugin file.
#[derive(Debug, Clone, Copy)]
#[expect(
    missing_docs,
    reason = "they are those of `plugin_api::abi::PluginModule`"
)]
pub struct Calls {
    pub create: unsafe extern "C" fn(&CallFrame, &mut *mut ()) -> u8,
    pub update: unsafe extern "C" fn(*mut (), &CallFrame) -> u8,
    pub display: unsafe extern "C" fn(*mut (), &CallFrame) -> u8,
    pub destroy: unsafe extern "C" fn(*mut (), &CallFrame) -> u8,
    pub save: unsafe extern "C" fn(*mut (), &CallFrame, *mut (), TakeBytes) -> u8,
    pub restore: unsafe extern "C" fn(*mut (), &CallFrame, u32, RSlice<'_, u8>) -> u8,
}

/// A file that passed every check and was mapped.
#[derive(Debug)]
pub struct File {
    /// The id that it gives itself.
    pub id: PluginId,
    /// Its version.
    pub version: String,
    /// What its bytes are known by.
    pub build: u64,
    /// The version of the state that its instances save; 0 for none.
    pub state_version: u32,
    /// What its manifest says that it requires, one text each.
    pub requires: Vec<String>,
    /// Its functions.
    pub calls: Calls,
}

/// Why a file cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It is not as it should be, which the engine finds out without its code.
    Bad,
    /// Likewise, and its manifest says whose it is.
    Unfit(PluginId),
    /// It is, and its code does not return when it is mapped.
    Hangs(Duration),
}

/// Loads a file of the simulated world, if that is where this happens.
pub(crate) fn load(candidate: &Candidate) -> Option<Result<Arc<LoadedLibrary>, Refusal>> {
    let stage = stage()?;
    let path = candidate.path.clone();
    Some(match stage.load(&candidate.path) {
        Ok(file) => Ok(library(file)),
        Err(Refused::Bad) => Err(unfit(path).into()),
        Err(Refused::Unfit(id)) => Err(Refusal {
            id: Some(id),
            error: Box::new(unfit(path)),
        }),
        Err(Refused::Hangs(limit)) => Err(LoadError::Timeout { path, limit }.into()),
    })
}

fn unfit(path: PathBuf) -> LoadError {
    let reason = "the simulation says that it is no good".to_owned();
    LoadError::Contract { path, reason }
}

fn library(file: File) -> Arc<LoadedLibrary> {
    let File {
        id,
        version,
        build,
        state_version,
        requires,
        calls,
    } = file;
    let mut fingerprint = [0; 32];
    fingerprint[..8].copy_from_slice(&build.to_le_bytes());
    let text = String::new;
    Arc::new(LoadedLibrary::unmapped(
        build,
        CallTable {
            create: calls.create,
            update: calls.update,
            display: calls.display,
            destroy: calls.destroy,
        },
        (state_version > 0).then_some(StateCalls {
            version: state_version,
            save: calls.save,
            restore: calls.restore,
        }),
        Manifest {
            id,
            version,
            interval: None,
            timeout: None,
            requires: requires.iter().filter_map(|one| one.parse().ok()).collect(),
            api_version: text(),
            compiler: text(),
            target: text(),
            panic: text(),
            contract: Contract::Rust,
        },
        fingerprint,
    ))
}
