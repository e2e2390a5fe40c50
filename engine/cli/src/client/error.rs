//! Why an engine could not be asked, or said no: one line that says what to do, a code, an exit status.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::StatusCode;
use plugin_engine::Code;

use crate::output;

/// What an exit status says. 0 is that it was done.
pub(crate) const REFUSED: i32 = 1;
/// What was asked for makes no sense, as the parser of the command line says, too.
pub(crate) const MISUSED: i32 = 2;
/// Nobody is there who could have been asked.
pub(crate) const UNANSWERED: i32 = 3;

/// Why an engine could not be asked, or said no.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// The state directory is not there.
    NoDirectory(PathBuf),
    /// Nothing listens in the state directory.
    NoSocket(PathBuf),
    /// The socket was left behind by an engine that does not run any more.
    Stale(PathBuf),
    /// The socket may not be used by this user.
    Denied(PathBuf),
    /// The socket is somebody else's, or none.
    NotOurs { path: PathBuf, what: String },
    /// The socket cannot be used for another reason.
    Socket { path: PathBuf, error: io::Error },
    /// The engine has not answered in time.
    Silent {
        limit: Duration,
        /// Whether it was told to do something.
        changes: bool,
    },
    /// The connection has broken.
    Lost(String),
    /// Whoever answers does not answer as an engine does.
    Strange(String),
    /// The answer is larger than one may be.
    TooLarge { bytes_max: usize },
    /// The engine said no.
    Refused {
        status: StatusCode,
        code: Option<String>,
        message: String,
    },
    /// The history that a stopped engine has left cannot be read.
    Unreadable(String),
    /// This process could not begin to ask.
    Runtime(io::Error),
}

impl ClientError {
    pub(super) fn lost(error: hyper::Error) -> Self {
        if error.is_parse() {
            return Self::Strange(error.to_string());
        }
        Self::Lost(error.to_string())
    }

    /// A message of a stream that cannot be read.
    pub(crate) fn of_message(error: &serde_json::Error) -> Self {
        Self::Strange(format!("cannot read a message of its stream: {error}"))
    }

    /// Whether there is certainly no engine that runs with this state directory.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::NoDirectory(_) | Self::NoSocket(_) | Self::Stale(_)
        )
    }

    /// Whether an engine that was there a moment ago has stopped, or is about to.
    pub(super) fn is_end(&self) -> bool {
        let stopping = StatusCode::SERVICE_UNAVAILABLE;
        self.is_absence() || matches!(self, Self::Refused { status, .. } if *status == stopping)
    }

    /// Whether the engine may be there again at the next try.
    pub(crate) fn is_loss(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Silent { .. })
    }

    /// Says on standard error what went wrong. Returns the exit status.
    pub(crate) fn tell(&self) -> i32 {
        let text = self.text();
        match self.code() {
            Some(code) => output::fail(format_args!("{text} [{code}]")),
            None => output::fail(text),
        };
        self.status()
    }

    fn status(&self) -> i32 {
        match self {
            Self::Refused { status, .. } if *status == StatusCode::BAD_REQUEST => MISUSED,
            Self::Refused { .. }
            | Self::TooLarge { .. }
            | Self::Unreadable(_)
            | Self::Runtime(_) => REFUSED,
            _ => UNANSWERED,
        }
    }

    fn code(&self) -> Option<&str> {
        let code = match self {
            Self::NoDirectory(_) | Self::NoSocket(_) | Self::Stale(_) => Code::NO_ENGINE,
            Self::Denied(_) | Self::NotOurs { .. } | Self::Socket { .. } => Code::SOCKET_UNUSABLE,
            Self::Silent { .. } => Code::ENGINE_SILENT,
            Self::Lost(_) => Code::CONNECTION_LOST,
            Self::Strange(_) | Self::TooLarge { .. } => Code::ANSWER_UNREADABLE,
            Self::Unreadable(_) => Code::HISTORY_UNREADABLE,
            Self::Refused { code, .. } => return code.as_deref(),
            Self::Runtime(_) => return None,
        };
        Some(code.as_str())
    }

    /// One line, without the code.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::NoDirectory(dir) => format!(
                "no engine runs here: there is no directory {}; name its state directory with --state, or {}",
                dir.display(),
                start(dir)
            ),
            Self::NoSocket(dir) => format!(
                "no engine runs with the state directory {}; {}",
                dir.display(),
                start(dir)
            ),
            Self::Stale(dir) => format!(
                "no engine runs with the state directory {} any more; {}",
                dir.display(),
                start(dir)
            ),
            Self::Denied(path) => format!(
                "{}: may not be used by this user; ask as the user that the engine runs as",
                path.display()
            ),
            Self::NotOurs { path, what } => format!(
                "{}: {what}; name the engine's state directory with --state",
                path.display()
            ),
            Self::Socket { path, error } => {
                format!("{}: cannot be connected to: {error}", path.display())
            }
            Self::Silent { limit, changes } => {
                let limit = humantime::format_duration(*limit);
                let what_next = if *changes {
                    "it may still carry out the command: `history` and `why` of the plugin will tell"
                } else {
                    "`plugin-engine liveness` may say why; if it does not, the process hangs"
                };
                format!("the engine has not answered within {limit}; {what_next}")
            }
            Self::Lost(error) => format!(
                "the engine went away before it had answered ({error}); see whether it still runs, and ask again"
            ),
            Self::Strange(what) => format!(
                "what listens there does not answer as an engine of this version does: {what}"
            ),
            Self::TooLarge { bytes_max } => format!(
                "the answer is larger than {} MiB; ask for less",
                bytes_max >> 20
            ),
            Self::Refused { message, .. } => message.clone(),
            Self::Unreadable(error) => {
                format!("no engine runs, and its history cannot be read: {error}")
            }
            Self::Runtime(error) => format!("cannot begin to ask the engine: {error}"),
        }
    }
}

fn start(dir: &Path) -> String {
    format!(
        "start one with: plugin-engine run --plugins DIR --state {}",
        dir.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_did_not_answer_is_told_from_who_said_no() {
        let dir = PathBuf::from("state");
        for (error, status, code) in [
            (ClientError::NoDirectory(dir.clone()), 3, Some("PE0731")),
            (ClientError::NoSocket(dir.clone()), 3, Some("PE0731")),
            (ClientError::Stale(dir.clone()), 3, Some("PE0731")),
            (ClientError::Denied(dir.clone()), 3, Some("PE0732")),
            (
                ClientError::Silent {
                    limit: ANSWER,
                    changes: true,
                },
                3,
                Some("PE0733"),
            ),
            (ClientError::Lost(String::new()), 3, Some("PE0734")),
            (ClientError::Strange(String::new()), 3, Some("PE0735")),
            (ClientError::TooLarge { bytes_max: 1 }, 1, Some("PE0735")),
            (refused(StatusCode::CONFLICT), 1, Some("PE0402")),
            (refused(StatusCode::NOT_FOUND), 1, Some("PE0402")),
            (refused(StatusCode::BAD_REQUEST), 2, Some("PE0402")),
        ] {
            assert_eq!(error.status(), status, "{error:?}");
            assert_eq!(error.code(), code, "{error:?}");
        }
    }

    const ANSWER: Duration = Duration::from_secs(10);

    fn refused(status: StatusCode) -> ClientError {
        ClientError::Refused {
            status,
            code: Some("PE0402".to_owned()),
            message: "no".to_owned(),
        }
    }

    #[test]
    fn without_an_engine_it_is_said_how_to_start_one() {
        let dir = PathBuf::from("state");
        for error in [
            ClientError::NoDirectory(dir.clone()),
            ClientError::NoSocket(dir.clone()),
            ClientError::Stale(dir),
        ] {
            let text = error.text();
            assert!(error.is_absence());
            assert!(
                text.ends_with("start one with: plugin-engine run --plugins DIR --state state"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_command_that_takes_too_long_is_said_to_go_on() {
        let silent = |changes| {
            let limit = ANSWER;
            ClientError::Silent { limit, changes }.text()
        };
        assert!(silent(true).contains("may still carry out the command"));
        assert!(!silent(false).contains("carry out"));
        assert!(silent(false).contains("10s"));
    }
}
