//! What a file must fulfil beyond being a good plugin, as the embedder or the operator says.

use std::path::{Path, PathBuf};

use minisign_verify::PublicKey;

use super::lock::LOCK_NAME;

/// What a plugin file must fulfil beyond being a good plugin. The default asks for nothing more, and trusts nobody but root and the
/// user of the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyPolicy {
    /// Whether a file without a good signature is refused. Without this a signature is looked at where there is one, and
    /// `trusted_keys` are given.
    pub require_signature: bool,
    /// Public keys as minisign prints them: 56 characters of base64.
    pub trusted_keys: Vec<String>,
    /// The file that lists what may be loaded. Where one is named here it must be there; without, `plugins.lock` in the directory of
    /// the plugin files holds if it is there.
    pub lock: Option<PathBuf>,
    /// Whether libraries may say where the system's loader is to search for others (RPATH, RUNPATH).
    pub allow_rpath: bool,
    /// The numbers of users, besides root and the engine's, whose files are loaded.
    pub trusted_owners: Vec<u32>,
}

impl VerifyPolicy {
    /// Where the lock of a directory lies, if there is one.
    pub(crate) fn lock_of(&self, directory: &Path) -> PathBuf {
        match &self.lock {
            Some(path) => path.clone(),
            None => directory.join(LOCK_NAME),
        }
    }
}

/// What is wrong with a policy that was given by code: the first key that is none, or signatures asked for without any key.
pub(crate) fn check(policy: &VerifyPolicy) -> Result<(), String> {
    for key in &policy.trusted_keys {
        if PublicKey::from_base64(key).is_err() {
            return Err(format!(
                "the trusted key \"{}\" is no public key of minisign",
                plugin_engine_core::escape_control(plugin_engine_core::bounded(key, 80))
            ));
        }
    }
    if policy.require_signature && policy.trusted_keys.is_empty() {
        return Err("signatures are required, and no key is trusted".to_owned());
    }
    Ok(())
}
