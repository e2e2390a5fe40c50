//! The directory in which an engine keeps what has to outlive its process: made, locked against other engines, read and written as a
//! whole file at a time.
//!
//! What lives here: who owns the directory, and how a file in it is replaced so that a reader finds the old one or the new one. What never
//! will: what is in the files.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, OFlags};

/// The file that is locked for as long as an engine has the directory.
const LOCK: &str = "lock";
/// Whoever else may write into it could have the engine believe what was never so.
const WRITABLE_BY_OTHERS: u32 = 0o002;

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It is not there and cannot be made, or cannot be looked at.
    #[error("cannot make or open the state directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is something else in its place.
    #[error("the state directory {} is no directory", path.display())]
    NoDirectory {
        /// What is there.
        path: PathBuf,
    },
    /// Everybody may write into it.
    #[error("everybody may write into the state directory {}; take that away (chmod o-w), or name another", path.display())]
    OpenToOthers {
        /// The directory.
        path: PathBuf,
    },
    /// Another engine has it.
    #[error("another engine{} has the state directory {}; stop that one, or name another directory", holder_in_words(*holder), path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process of that engine, as far as it says.
        holder: Option<u32>,
    },
    /// A file in it cannot be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was to be done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

fn holder_in_words(holder: Option<u32>) -> String {
    holder.map_or(String::new(), |pid| format!(" (process {pid})"))
}

/// A state directory that is this engine's.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    /// Locked until it is dropped.
    lock: Mutex<Option<Lock>>,
}

/// The locked file.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    /// Closing it would not do: a process that another thread has just forked has it, too, until it runs another program.
    fn drop(&mut self) {
        // What cannot be unlocked is still closed, and unlocked when whoever else has it closes it.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

impl StateDir {
    /// Makes the directory if it is not there, for nobody else to look into, and takes it for this engine.
    pub(crate) fn open(path: &Path) -> Result<Self, StateError> {
        let cannot = |source| StateError::Directory {
            path: path.to_owned(),
            source,
        };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        let is_other = |error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists;
        if let Err(error) = made
            && !is_other(&error)
        {
            return Err(cannot(error));
        }
        let metadata = path.metadata().map_err(cannot)?;
        let path = path.to_owned();
        if !metadata.is_dir() {
            return Err(StateError::NoDirectory { path });
        }
        if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
            return Err(StateError::OpenToOthers { path });
        }
        let lock = take(&path)?;
        Ok(Self {
            path,
            lock: Mutex::new(Some(Lock(lock))),
        })
    }

    /// Lets another engine have the directory. Nothing in it is to be changed by this one any more.
    pub(crate) fn release(&self) {
        *self.lock.lock() = None;
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// An error about one of its files.
    pub(crate) fn cannot(
        &self,
        doing: &'static str,
        name: &str,
    ) -> impl FnOnce(io::Error) -> StateError + use<> {
        let path = self.file(name);
        move |source| StateError::File {
            doing,
            path,
            source,
        }
    }

    /// All bytes of a file; `None` if it is not there. What is no regular file, or longer than `len_max`, is an error.
    pub(crate) fn read(&self, name: &str, len_max: u64) -> Result<Option<Vec<u8>>, StateError> {
        match read(&self.file(name), len_max) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.cannot("read", name)(error)),
        }
    }

    /// Replaces a file. When this returns the new one is on the disk; until then, and if it fails, the one before is there.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let new = self.file(&format!("{name}.new"));
        write(&new, bytes)
            .and_then(|()| std::fs::rename(&new, self.file(name)))
            .and_then(|()| self.sync())
            .map_err(self.cannot("write", name))
    }

    /// Gives a file another name, in place of what has that. When this returns that is so on the disk.
    pub(crate) fn rename(&self, name: &str, other: &str) -> Result<(), StateError> {
        std::fs::rename(self.file(name), self.file(other))
            .and_then(|()| self.sync())
            .map_err(self.cannot("rename", name))
    }

    /// Removes a file. When this returns it is gone from the disk.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StateError> {
        std::fs::remove_file(self.file(name))
            .and_then(|()| self.sync())
            .map_err(self.cannot("remove", name))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// Renames a file that is not to be believed, so that it is out of the way and can be looked at. One that was set aside before is gone
    /// then.
    pub(crate) fn set_aside(&self, name: &str) -> Result<PathBuf, StateError> {
        let aside = self.file(&format!("{name}.set-aside"));
        std::fs::rename(self.file(name), &aside).map_err(self.cannot("set aside", name))?;
        Ok(aside)
    }
}

fn take(dir: &Path) -> Result<File, StateError> {
    let path = dir.join(LOCK);
    let cannot = |source| StateError::File {
        doing: "lock",
        path: path.clone(),
        source,
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(plain_file_flags())
        .open(&path)
        .map_err(cannot)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            // Who has it is only a help; that somebody has it is certain.
            let _ = file.take(32).read_to_string(&mut text);
            return Err(StateError::InUse {
                path: dir.to_owned(),
                holder: text.trim().parse().ok(),
            });
        }
        Err(errno) => return Err(cannot(errno.into())),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(cannot)?;
    Ok(file)
}

/// Neither follows a link nor waits for the other end of a pipe.
fn plain_file_flags() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

fn read(path: &Path, len_max: u64) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(plain_file_flags())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    // One byte more than is taken, so that what is too long is found to be.
    file.take(len_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > len_max {
        return Err(io::Error::other(format!(
            "it is longer than {len_max} bytes"
        )));
    }
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(plain_file_flags())
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_directory_is_made_for_nobody_else_to_look_into() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("a/state");
        let _state = StateDir::open(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn two_engines_do_not_have_one_directory_at_a_time() {
        let dir = TempDir::new().unwrap();
        let first = StateDir::open(dir.path()).unwrap();
        let error = StateDir::open(dir.path()).unwrap_err();
        let own = std::process::id();
        assert!(
            matches!(error, StateError::InUse { holder, .. } if holder == Some(own)),
            "{error}"
        );
        assert!(error.to_string().contains(&format!("process {own}")));
        first.release();
        let second = StateDir::open(dir.path()).unwrap();
        drop(second);
        assert!(StateDir::open(dir.path()).is_ok());
    }

    #[test]
    fn a_directory_is_let_go_of_also_while_another_process_has_inherited_its_lock() {
        let dir = TempDir::new().unwrap();
        let first = StateDir::open(dir.path()).unwrap();
        // What a fork does to it.
        let inherited = first.lock.lock().as_ref().unwrap().0.try_clone().unwrap();
        first.release();
        assert!(StateDir::open(dir.path()).is_ok());
        let second = StateDir::open(dir.path()).unwrap();
        assert!(StateDir::open(dir.path()).is_err(), "it is taken again");
        drop((inherited, second));
    }

    #[test]
    fn what_cannot_be_a_state_directory_is_refused_in_words() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(
            StateDir::open(&file).unwrap_err(),
            StateError::NoDirectory { .. }
        ));
        assert!(matches!(
            StateDir::open(&file.join("below")).unwrap_err(),
            StateError::Directory { .. }
        ));
        let open = dir.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        let error = StateDir::open(&open).unwrap_err().to_string();
        assert!(error.contains("chmod o-w"), "{error}");
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_read_only_if_it_is_one() {
        let dir = TempDir::new().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        assert_eq!(state.read("a", 10).unwrap(), None);
        state.write("a", b"one").unwrap();
        state.write("a", b"two").unwrap();
        assert_eq!(state.read("a", 3).unwrap().unwrap(), b"two");
        let error = state.read("a", 2).unwrap_err().to_string();
        assert!(error.contains("longer than 2 bytes"), "{error}");
        std::os::unix::fs::symlink("a", state.file("link")).unwrap();
        assert!(state.read("link", 10).is_err(), "it is a link");
        std::fs::create_dir(state.file("dir")).unwrap();
        assert!(state.read("dir", 10).is_err(), "it is a directory");
        let aside = state.set_aside("a").unwrap();
        assert_eq!(std::fs::read(aside).unwrap(), b"two");
        assert_eq!(state.read("a", 10).unwrap(), None);
    }
}
