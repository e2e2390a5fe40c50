//! The socket of an engine: where it is, whose it is, and a connection to it.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixStream;

use super::ClientError;

/// The name of the socket in a state directory.
const NAME: &str = "admin.sock";
/// The longest path that fits into the address of a socket. A longer one is reached through the open directory.
const ADDRESS_LEN_MAX: usize = 107;

/// A connection to the engine whose state directory this is.
pub(super) async fn connect(dir: &Path) -> Result<UnixStream, ClientError> {
    let path = dir.join(NAME);
    check(dir, &path)?;
    // Holds the directory for as long as its number stands in the address.
    let (address, _held) = address(dir, &path).map_err(|error| ClientError::Socket {
        path: path.clone(),
        error,
    })?;
    UnixStream::connect(&address)
        .await
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => ClientError::NoSocket(dir.to_owned()),
            ErrorKind::ConnectionRefused => ClientError::Stale(dir.to_owned()),
            ErrorKind::PermissionDenied => ClientError::Denied(path),
            _ => ClientError::Socket { path, error },
        })
}

/// Sees that what is there can be the socket of an engine that this user may ask.
fn check(dir: &Path, path: &Path) -> Result<(), ClientError> {
    match fs::metadata(dir) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(not_ours(dir, "is no directory".to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(ClientError::NoDirectory(dir.to_owned()));
        }
        Err(error) => return Err(unusable(dir, error)),
    }
    // Not followed: an engine makes no link there.
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(ClientError::NoSocket(dir.to_owned()));
        }
        Err(error) => return Err(unusable(path, error)),
    };
    if !found.file_type().is_socket() {
        return Err(not_ours(path, "is no socket".to_owned()));
    }
    let me = rustix::process::geteuid();
    // What root offers, and what root asks for, is as it should be.
    if me.is_root() || found.uid() == 0 || found.uid() == me.as_raw() {
        return Ok(());
    }
    let what = format!(
        "belongs to user {}, and this is user {}",
        found.uid(),
        me.as_raw()
    );
    Err(not_ours(path, what))
}

fn not_ours(path: &Path, what: String) -> ClientError {
    ClientError::NotOurs {
        path: path.to_owned(),
        what,
    }
}

fn unusable(path: &Path, error: io::Error) -> ClientError {
    let path = path.to_owned();
    match error.kind() {
        ErrorKind::PermissionDenied => ClientError::Denied(path),
        _ => ClientError::Socket { path, error },
    }
}

/// The path to connect to, and what has to stay open meanwhile.
fn address(dir: &Path, path: &Path) -> io::Result<(PathBuf, Option<File>)> {
    if path.as_os_str().len() <= ADDRESS_LEN_MAX {
        return Ok((path.to_owned(), None));
    }
    let open = File::open(dir)?;
    let short = format!("/proc/self/fd/{}/{NAME}", open.as_raw_fd());
    Ok((short.into(), Some(open)))
}
