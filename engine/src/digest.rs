//! What a file's bytes are known by: a quick hash for the engine itself, and SHA-256 for people, who compare it with other tools.

use std::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock, Weak};

use sha2::{Digest, Sha256};

use crate::seal::SealedFile;

/// The BLAKE3 of a file. Two files with one are the same; nobody outside the engine sees it.
pub(crate) type Fingerprint = [u8; 32];

/// The SHA-256 of a file.
pub(crate) type FileDigest = [u8; 32];

/// Reads every byte, several times as fast as SHA-256 does.
pub(crate) fn fingerprint(bytes: &[u8]) -> Fingerprint {
    *blake3::hash(bytes).as_bytes()
}

pub(crate) fn sha256(bytes: &[u8]) -> FileDigest {
    Sha256::digest(bytes).into()
}

/// A digest as people write it.
pub(crate) fn hex(digest: &FileDigest) -> String {
    digest
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a text does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The SHA-256 of sealed bytes, worked out when somebody asks: of all that a load does it would take the longest.
///
/// Does not keep the bytes. Whoever lets go of them asks before, if anybody else may still ask.
pub(crate) struct LazyDigest {
    sealed: Weak<SealedFile>,
    text: OnceLock<Option<Box<str>>>,
}

impl LazyDigest {
    /// `known` is the digest, where a lock has asked for it already.
    pub(crate) fn new(sealed: &Arc<SealedFile>, known: Option<FileDigest>) -> Self {
        let text = OnceLock::new();
        if let Some(known) = known {
            let _ = text.set(Some(hex(&known).into()));
        }
        Self {
            sealed: Arc::downgrade(sealed),
            text,
        }
    }

    /// The digest of bytes that nobody has.
    #[cfg(any(test, fuzzing, feature = "simulation"))]
    pub(crate) fn unknown() -> Self {
        Self {
            sealed: Weak::new(),
            text: OnceLock::new(),
        }
    }

    /// The digest in hexadecimal. `None` where the bytes could not be mapped, for want of memory, or were let go of.
    pub(crate) fn text(&self) -> Option<&str> {
        let text = self.text.get_or_init(|| {
            self.sealed
                .upgrade()?
                .with_bytes(|bytes| hex(&sha256(bytes)).into())
                .ok()
        });
        text.as_deref()
    }
}

impl PartialEq for LazyDigest {
    fn eq(&self, other: &Self) -> bool {
        Weak::ptr_eq(&self.sealed, &other.sealed)
    }
}

impl Eq for LazyDigest {}

impl fmt::Debug for LazyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text.get().and_then(Option::as_deref);
        f.write_str(text.unwrap_or("not asked for yet"))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    /// The example of FIPS 180-4.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn the_digest_of_sealed_bytes_is_that_of_the_file_whoever_asks_and_when() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abc").unwrap();
        file.rewind().unwrap();
        let mut sealed = SealedFile::copy_of(&file, "test", 100).unwrap();
        assert_eq!(hex(&sha256(sealed.bytes())), ABC);
        sealed.let_go_of_bytes();
        let sealed = Arc::new(sealed);
        let lazy = LazyDigest::new(&sealed, None);
        assert_eq!(format!("{lazy:?}"), "not asked for yet");
        assert_eq!(lazy.text(), Some(ABC));
        assert_eq!(format!("{lazy:?}"), ABC);
        // What is known is not worked out again.
        let known = LazyDigest::new(&sealed, Some([0xab; 32]));
        assert_eq!(known.text(), Some(&*"ab".repeat(32)));
        // It keeps nothing, and what was asked for is known for good.
        let never_asked = LazyDigest::new(&sealed, None);
        assert_eq!(Arc::strong_count(&sealed), 1);
        drop(sealed);
        assert_eq!((lazy.text(), never_asked.text()), (Some(ABC), None));
    }

    #[test]
    fn fingerprints_differ_where_one_bit_does() {
        let (one, mut other) = (vec![0; 100_000], vec![0; 100_000]);
        other[99_999] = 1;
        assert_ne!(fingerprint(&one), fingerprint(&other));
        assert_eq!(fingerprint(&one), fingerprint(&vec![0; 100_000]));
    }
}
