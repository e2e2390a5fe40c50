//! The socket in the state directory: opened for its owner alone, and taken away again. Never what is said over it.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::error::AdminError;

/// The longest path of a socket, in bytes: what the system has for it, with a zero at the end.
#[cfg(any(target_os = "linux", target_os = "android"))]
const PATH_LEN_MAX: usize = 107;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const PATH_LEN_MAX: usize = 103;

/// A socket whose file is taken away when nobody listens any more.
pub(crate) struct Socket {
    pub(crate) listener: UnixListener,
    path: PathBuf,
    /// Whether the file is still this socket's: once it was taken away, another engine may have one of the same name.
    is_there: Mutex<bool>,
}

impl Socket {
    /// Opens the socket. The state directory is this engine's, so a socket that is there is that of an engine which is no more.
    pub(crate) fn open(path: &Path) -> Result<Self, AdminError> {
        let len = path.as_os_str().len();
        if len > PATH_LEN_MAX {
            return Err(AdminError::SocketPath {
                path: path.to_owned(),
                len,
                max: PATH_LEN_MAX,
            });
        }
        let cannot = |source| AdminError::Socket {
            path: path.to_owned(),
            source,
        };
        take_away_stale(path).map_err(cannot)?;
        let listener = UnixListener::bind(path).map_err(cannot)?;
        let socket = Self {
            listener,
            path: path.to_owned(),
            is_there: Mutex::new(true),
        };
        // Until here others may come in where the directory lets them; who it is is asked of each who comes.
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, mode).map_err(cannot)?;
        socket.listener.set_nonblocking(true).map_err(cannot)?;
        Ok(socket)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the file away, once.
    pub(crate) fn take_away(&self) {
        if std::mem::take(&mut *self.is_there.lock())
            && let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(target: "plugin_engine::admin", path = %self.path.display(), %error, "cannot take away the socket");
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.take_away();
    }
}

fn take_away_stale(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path),
        Ok(_) => Err(io::Error::other(
            "there is something else of this name; move it away",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixStream;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_socket_of_an_engine_that_is_no_more_is_replaced() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("admin.sock");
        let left = UnixListener::bind(&path).unwrap();
        drop(left);
        assert!(UnixStream::connect(&path).is_err());
        let socket = Socket::open(&path).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_that_was_taken_away_leaves_the_next_one_of_its_name_alone() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("admin.sock");
        let socket = Socket::open(&path).unwrap();
        socket.take_away();
        let next = Socket::open(&path).unwrap();
        drop(socket);
        assert!(path.exists());
        drop(next);
        assert!(!path.exists());
    }

    #[test]
    fn what_cannot_be_a_socket_is_refused_in_words() {
        let dir = TempDir::new().unwrap();
        let code = |path: &Path| {
            let error = Socket::open(path).err().expect("it is refused");
            format!("{} {error}", error.code())
        };
        let path = dir.path().join("admin.sock");
        std::fs::write(&path, "not a socket").unwrap();
        let error = code(&path);
        assert!(
            error.starts_with("PE0703") && error.contains("something else"),
            "{error}"
        );
        assert!(path.exists(), "it is left where it is");
        let deep = dir.path().join("d".repeat(120)).join("admin.sock");
        let error = code(&deep);
        assert!(
            error.starts_with("PE0702") && error.contains("at most 10"),
            "{error}"
        );
        assert!(code(&dir.path().join("absent/admin.sock")).starts_with("PE0703"));
    }
}
