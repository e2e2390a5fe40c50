//! Why a server cannot be started.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use plugin_engine::{Code, SuperviseError, bounded, escape_control};

/// Why a server cannot be started. Nothing is left of it then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// HTTP was asked for, and the engine has no state directory.
    #[error(
        "HTTP needs a state directory, in which the token for commands is kept; name one with --state, or do without --http"
    )]
    NoStateDir,
    /// The address of the socket would be longer than the system takes.
    #[error("the socket {} has a path of {len} bytes, and the system takes at most {max}; name a state directory with a shorter path, or a link to it", path.display())]
    SocketPath {
        /// The path.
        path: PathBuf,
        /// Its length, in bytes.
        len: usize,
        /// How long it may be.
        max: usize,
    },
    /// The socket cannot be opened.
    #[error("cannot open the socket {}: {source}", path.display())]
    Socket {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file with the token is not one to be trusted.
    #[error("the token in {} is not used: {why}; or remove the file to have a new one made", path.display())]
    TokenUntrusted {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// The file with the token cannot be read or written.
    #[error("cannot {doing} the token {}: {source}", path.display())]
    Token {
        /// What was to be done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {source}; name another with --http")]
    Http {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// What should be the name of a host is none.
    #[error(
        "\"{}\" is no name of a host; write the name alone, as in engine.example",
        escape_control(bounded(name, 80))
    )]
    HostName {
        /// What was given.
        name: String,
    },
    /// The thread that serves cannot be started.
    #[error("cannot start the thread admin: {source}")]
    Thread {
        /// Why.
        source: io::Error,
    },
    /// The server cannot be supervised: there is one already, or the engine was shut down.
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
}

impl AdminError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NoStateDir => Code::NO_PLACE_FOR_TOKEN,
            Self::SocketPath { .. } => Code::SOCKET_PATH_TOO_LONG,
            Self::Socket { .. } => Code::SOCKET_FAILED,
            Self::TokenUntrusted { .. } => Code::TOKEN_UNTRUSTED,
            Self::Token { .. } => Code::TOKEN_FAILED,
            Self::Http { .. } => Code::HTTP_FAILED,
            Self::HostName { .. } => Code::HTTP_HOST,
            Self::Thread { .. } => Code::NO_THREAD,
            Self::Supervise(error) => error.code(),
        }
    }
}
