//! The templates of projects. Their files lie in `templates`, with the names that a project has its own for: `plugin-name` and `PluginName`.

use clap::ValueEnum;

pub(super) const CI: &str = include_str!("../../templates/ci.yml");
pub(super) const GITIGNORE: &str = include_str!("../../templates/gitignore");
pub(super) const README: &str = include_str!("../../templates/README.md");

/// What a new plugin begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Template {
    /// Logs and publishes at each update
    Minimal,
    /// Shows something to people
    Display,
    /// Waits in a runtime of its own
    Async,
    /// Hands its state over at a reload
    Stateful,
}

/// The files of one template.
macro_rules! file {
    ($template:expr, $name:literal) => {
        match $template {
            Template::Minimal => include_str!(concat!("../../templates/minimal/", $name)),
            Template::Display => include_str!(concat!("../../templates/display/", $name)),
            Template::Async => include_str!(concat!("../../templates/async/", $name)),
            Template::Stateful => include_str!(concat!("../../templates/stateful/", $name)),
        }
    };
}

impl Template {
    #[cfg(test)]
    pub(super) const ALL: [Self; 4] = [Self::Minimal, Self::Display, Self::Async, Self::Stateful];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Display => "display",
            Self::Async => "async",
            Self::Stateful => "stateful",
        }
    }

    pub(super) fn lib(self) -> &'static str {
        file!(self, "lib.rs")
    }

    pub(super) fn tests(self) -> &'static str {
        file!(self, "tests.rs")
    }

    /// The features of `plugin-api`, as they stand in a list.
    pub(super) fn features(self) -> &'static str {
        match self {
            Self::Async => "\"async\", \"schema\"",
            _ => "\"schema\"",
        }
    }

    /// More lines of dependencies.
    pub(super) fn dependencies(self) -> &'static str {
        match self {
            Self::Async => {
                "tokio = { version = \"1\", default-features = false, features = [\"sync\", \"time\"] }\n"
            }
            _ => "",
        }
    }

    /// A line of settings, for the README.
    pub(super) fn setting(self) -> &'static str {
        match self {
            Self::Minimal => "greeting = \"good morning\"",
            Self::Display => "shown = 3",
            Self::Async => "milliseconds = 100",
            Self::Stateful => "start = 5",
        }
    }
}
