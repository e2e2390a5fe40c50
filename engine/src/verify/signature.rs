//! Detached signatures beside plugin files, as minisign makes them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use minisign_verify::{Error, PublicKey, Signature};
use plugin_engine_core::{bounded, escape_control};

use super::error::VerifyError;
use super::open::read_beside;
use super::rules::Rules;

/// The longest signature file that is read: four lines, two of them comments of at most 8 KiB.
const SIGNATURE_LEN_MAX: u64 = 20 * 1024;

/// Where the signature of a file lies.
fn path_of(file: &Path) -> PathBuf {
    let mut path = OsString::from(file);
    path.push(".minisig");
    path.into()
}

/// Checks the signature of these bytes. The comment that the signer vouches for, or `None` where there is no signature and none is needed.
pub(super) fn check(
    file: &Path,
    bytes: &[u8],
    rules: &Rules,
) -> Result<Option<String>, VerifyError> {
    if rules.keys.is_empty() && !rules.policy.require_signature {
        return Ok(None);
    }
    let path = path_of(file);
    let bad = |reason: String| VerifyError::BadSignature {
        signature: path.clone(),
        reason,
    };
    let (text, _) = match read_beside(&path, SIGNATURE_LEN_MAX) {
        Ok(Some(found)) => found,
        Ok(None) if rules.policy.require_signature => {
            return Err(VerifyError::NoSignature { signature: path });
        }
        Ok(None) => return Ok(None),
        Err(reason) => return Err(bad(reason)),
    };
    judge(&text, bytes, &rules.keys)
        .map(Some)
        .map_err(|reason| bad(reason.to_owned()))
}

/// Whether this text is a signature of these bytes by one of the keys: the comment that the signer vouches for, or what is wrong.
pub(crate) fn judge(text: &[u8], bytes: &[u8], keys: &[PublicKey]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "it is no text")?;
    let signature = Signature::decode(text).map_err(|_| "it is no signature of minisign")?;
    let mut last = "it was made with a key that is not trusted";
    for key in keys {
        last = match key.verify(bytes, &signature, false) {
            Ok(()) => {
                return Ok(escape_control(bounded(signature.trusted_comment(), 200)).into_owned());
            }
            // Another key may be the right one.
            Err(Error::UnexpectedKeyId) => continue,
            Err(Error::UnexpectedAlgorithm) => {
                "it is of the old form without a hash; sign with minisign 0.10 or later, or with -H"
            }
            Err(_) => "it was made for other bytes, or was changed",
        };
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::verify::VerifyPolicy;

    const SIGNED: &[u8] = include_bytes!("../../../fixtures/files/signatures/signed.txt");
    const TRUSTED: &str = "RWRMCU7N6gfWsSz0mxtBGYbmMkpNch1L2/wyYPVKvoiIM/mpge77NSNZ";
    const OTHER: &str = "RWQxBm1ImcA6UC3c66YD/6LN+hsEK3qiRV0inp6bLNZMAQf+npCar3QN";

    /// Checks bytes against the signature `name.minisig` of the stored ones.
    fn check_stored(
        name: &str,
        bytes: &[u8],
        keys: &[&str],
        required: bool,
    ) -> Result<Option<String>, VerifyError> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../fixtures/files/signatures")
            .join(name);
        let policy = VerifyPolicy {
            require_signature: required,
            trusted_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            ..VerifyPolicy::default()
        };
        check(&file, bytes, &Rules::without_lock(&Arc::new(policy)))
    }

    fn refused(name: &str, bytes: &[u8], keys: &[&str], says: &str) {
        let error = check_stored(name, bytes, keys, true).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }

    #[test]
    fn a_signature_of_a_trusted_key_for_these_bytes_fits() {
        for keys in [&[TRUSTED][..], &[OTHER, TRUSTED]] {
            let comment = check_stored("signed", SIGNED, keys, true).unwrap();
            assert_eq!(comment.as_deref(), Some("file:signed.txt release 1"));
        }
    }

    #[test]
    fn any_other_signature_is_refused_with_the_reason() {
        refused("signed", b"other bytes", &[TRUSTED], "for other bytes");
        refused("signed", SIGNED, &[OTHER], "not trusted");
        refused("other", SIGNED, &[TRUSTED], "not trusted");
        refused("legacy", SIGNED, &[TRUSTED], "old form");
        refused("trusted", SIGNED, &[TRUSTED], "has no signature at");
        // A key that is none trusts nobody.
        refused("signed", SIGNED, &["nonsense"], "not trusted");
        refused("signed", SIGNED, &[], "not trusted");
    }

    #[test]
    fn a_signature_that_is_there_is_looked_at_even_where_none_is_required() {
        assert_eq!(
            check_stored("trusted", SIGNED, &[TRUSTED], false).unwrap(),
            None
        );
        assert!(check_stored("signed", b"other", &[TRUSTED], false).is_err());
        // Without keys there is nothing to hold it against.
        assert_eq!(check_stored("signed", b"other", &[], false).unwrap(), None);
    }

    #[test]
    fn a_changed_comment_is_noticed() {
        let dir =
            std::env::temp_dir().join(format!("plugin-engine-comment-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let stored = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../fixtures/files/signatures/signed.minisig");
        let text = std::fs::read_to_string(stored).unwrap();
        let policy = Arc::new(VerifyPolicy {
            trusted_keys: vec![TRUSTED.to_owned()],
            ..VerifyPolicy::default()
        });
        let rules = Rules::without_lock(&policy);
        for (text, good) in [
            (text.clone(), true),
            (text.replace("release 1", "release 2"), false),
            (text[..150].to_owned(), false),
        ] {
            std::fs::write(dir.join("a.minisig"), text).unwrap();
            assert_eq!(check(&dir.join("a"), SIGNED, &rules).is_ok(), good);
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}
