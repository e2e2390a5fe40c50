//! A policy made ready to judge files by.

use std::path::Path;
use std::sync::Arc;

use minisign_verify::PublicKey;

use super::lock::Lock;
use super::policy::VerifyPolicy;

/// A policy made ready: keys decoded, the lock read. Made anew for each load of a directory, so that a lock that was just written holds.
pub(crate) struct Rules {
    pub(super) policy: Arc<VerifyPolicy>,
    pub(super) keys: Vec<PublicKey>,
    pub(super) lock: Option<Lock>,
}

impl Rules {
    /// Rules for somebody who is about to make the lock.
    pub(super) fn without_lock(policy: &Arc<VerifyPolicy>) -> Self {
        Self {
            policy: Arc::clone(policy),
            keys: keys(policy),
            lock: None,
        }
    }

    /// `root` is the directory of the plugin files.
    pub(crate) fn new(policy: &Arc<VerifyPolicy>, root: &Path) -> Self {
        Self {
            policy: Arc::clone(policy),
            keys: keys(policy),
            lock: Lock::read(policy, root),
        }
    }
}

/// Checked when the policy was taken; a key that is none can only be one fewer that is trusted.
fn keys(policy: &VerifyPolicy) -> Vec<PublicKey> {
    let keys = policy.trusted_keys.iter();
    keys.filter_map(|key| PublicKey::from_base64(key).ok())
        .collect()
}
