//! The token that allows commands over HTTP: made, kept where nobody else reads it, compared. Never who needs it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use subtle::ConstantTimeEq;

use crate::error::AdminError;

/// How many random bytes a token has.
const BYTES: usize = 32;
/// How short one may be that somebody has put there, and how long.
const LEN_MIN: usize = 32;
const LEN_MAX: usize = 256;
/// Nobody but its owner may do anything with the file.
const OTHERS: u32 = 0o077;

/// The token of a state directory.
pub(crate) struct Token {
    text: String,
    path: PathBuf,
}

impl Token {
    /// Reads the token of a file, or makes one if there is no file.
    pub(crate) fn open(path: &Path) -> Result<Self, AdminError> {
        let text = match read(path)? {
            Some(text) => text,
            None => make(path)?,
        };
        Ok(Self {
            text,
            path: path.to_owned(),
        })
    }

    /// A token of which the text is known, for those who make up requests that have it.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn of_text(text: &str, path: PathBuf) -> Self {
        let text = text.to_owned();
        Self { text, path }
    }

    /// Whether this is the token. How long that takes says nothing of where it differs.
    pub(crate) fn is(&self, given: &str) -> bool {
        self.text.as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// Where it is kept.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Neither follows a link nor waits for the other end of a pipe.
fn plain_file() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

fn read(path: &Path) -> Result<Option<String>, AdminError> {
    let cannot = |source| AdminError::Token {
        doing: "read",
        path: path.to_owned(),
        source,
    };
    let untrusted = |why: String| {
        Err(AdminError::TokenUntrusted {
            path: path.to_owned(),
            why,
        })
    };
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(plain_file())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(error)),
    };
    let metadata = file.metadata().map_err(cannot)?;
    if !metadata.is_file() {
        return untrusted("it is no regular file; put one in its place".to_owned());
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        let uid = metadata.uid();
        return untrusted(format!(
            "it belongs to the user {uid}; make it the engine's own (chown)"
        ));
    }
    if metadata.mode() & OTHERS != 0 {
        let mode = metadata.mode() & 0o7777;
        return untrusted(format!(
            "others may read or write it (mode {mode:04o}); take that away (chmod 600)"
        ));
    }
    let mut text = String::new();
    // One byte more than may be there, with the end of the line: what is not read must not be taken for nothing.
    let is_text = file.take(LEN_MAX as u64 + 3).read_to_string(&mut text);
    let token = text.trim_end();
    let fits = (LEN_MIN..=LEN_MAX).contains(&token.len()) && text.len() <= LEN_MAX + 2;
    match is_text {
        Ok(_) if fits && token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(Some(token.to_owned()))
        }
        Err(error) if error.kind() != io::ErrorKind::InvalidData => Err(cannot(error)),
        _ => untrusted(format!(
            "it is not one line of {LEN_MIN} to {LEN_MAX} letters, digits and signs; write one"
        )),
    }
}

/// Makes a token. Its file is there as a whole or not at all.
fn make(path: &Path) -> Result<String, AdminError> {
    let cannot = |source| AdminError::Token {
        doing: "write",
        path: path.to_owned(),
        source,
    };
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| cannot(error.into()))?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let new = path.with_extension("new");
    write(&new, &token)
        .and_then(|()| std::fs::rename(&new, path))
        .map_err(cannot)?;
    Ok(token)
}

fn write(path: &Path, token: &str) -> io::Result<()> {
    // What is left of an attempt that was cut short may have another mode.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{token}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use tempfile::TempDir;

    use super::*;

    fn code(path: &Path) -> String {
        let error = Token::open(path).err().expect("it is not used");
        format!("{} {error}", error.code())
    }

    #[test]
    fn a_token_is_made_once_and_read_again() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("token");
        let made = Token::open(&path).unwrap();
        assert_eq!(made.text.len(), 64);
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
        let again = Token::open(&path).unwrap();
        assert!(again.is(&made.text));
        let other = Token::open(&dir.path().join("other")).unwrap();
        assert!(!other.is(&made.text), "each is another one");
        assert!(!made.is(&made.text[..63]) && !made.is("") && !made.is(&"0".repeat(64)));
    }

    #[test]
    fn a_token_is_all_that_is_in_its_file() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("token");
        Token::open(&path).unwrap();
        let longest = "x".repeat(LEN_MAX);
        for (end, is_used) in [("", true), ("\r\n", true), ("\n\n\n", false)] {
            std::fs::write(&path, format!("{longest}{end}")).unwrap();
            assert_eq!(Token::open(&path).is_ok(), is_used, "{end:?}");
        }
        // White space up to where nothing is read any more, and something behind it.
        let shorter = format!("{:<258}more", "x".repeat(40));
        std::fs::write(&path, shorter).unwrap();
        let error = code(&path);
        assert!(error.starts_with("PE0704"), "{error}");
    }

    #[test]
    fn a_token_that_others_may_read_is_not_used() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("token");
        Token::open(&path).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o602] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let error = code(&path);
            assert!(error.starts_with("PE0704"), "{error}");
            assert!(error.contains(&format!("mode {mode:04o}")), "{error}");
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
        assert!(Token::open(&path).is_ok());
    }

    #[test]
    fn what_is_no_token_is_not_used() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("token");
        let write = |bytes: &[u8]| {
            let _ = std::fs::remove_file(&path);
            write(&path, "").unwrap();
            std::fs::write(&path, bytes).unwrap();
        };
        let long = "x".repeat(257);
        for bad in [
            &b""[..],
            b"short",
            long.as_bytes(),
            b"0123456789 0123456789 0123456789 0123456789",
            b"\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe",
        ] {
            write(bad);
            assert!(code(&path).starts_with("PE0704"), "{bad:?}");
        }
        write(b"one-of-my-own-0123456789-0123456789\n");
        let own = Token::open(&path).unwrap();
        assert!(own.is("one-of-my-own-0123456789-0123456789"));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(code(&path).starts_with("PE0704"));
        let link = dir.path().join("link");
        symlink("elsewhere", &link).unwrap();
        assert!(code(&link).starts_with("PE0705"));
    }
}
