//! Why a run did not begin, or not end, as it should.

use std::error::Error as _;

use plugin_engine::{ConfigError, Error};
use plugin_engine_admin::AdminError;

/// Why a run did not begin, or not end, as it should: one line, and what is wrong with the configuration, if that is why.
pub(super) struct Failure {
    pub(super) text: String,
    pub(super) config: Option<ConfigError>,
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self { text, config: None }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let error = match error {
            Error::Config(error) => return Self::misconfigured(error),
            error => error,
        };
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let more = error.to_string();
            // Some messages quote their source themselves.
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            source = error.source();
        }
        if matches!(error, Error::Discover(_)) {
            text.push_str("; create it, or name another with --plugins");
        }
        let code = error.code();
        format!("{text} [{code}]").into()
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        let code = error.code();
        format!("{error} [{code}]").into()
    }
}

impl Failure {
    fn misconfigured(error: ConfigError) -> Self {
        let path = error.problems()[0].path();
        let of = path.map(|path| path.display().to_string());
        let text = format!(
            "{}: {} problem{}; correct it, or run without --config",
            of.unwrap_or_default(),
            error.count(),
            if error.count() == 1 { "" } else { "s" }
        );
        Self {
            text,
            config: Some(error),
        }
    }
}
