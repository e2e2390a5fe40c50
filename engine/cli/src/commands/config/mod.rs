//! `plugin-engine config`: what can be asked of configuration files without running anything. One file per command.

mod check;
mod schema;
mod show;

use std::io::{self, Write};

use clap::Subcommand;
use plugin_engine::{ConfigError, Error};

use crate::{output, problems, terminal};

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say everything that is wrong with a configuration file
    Check(check::CheckArgs),
    /// Show what holds for every plugin, and who said it
    Show(show::ShowArgs),
    /// Print the JSON Schema of configuration files, for editors
    Schema,
}

/// Runs a command, and returns the exit status.
pub(crate) fn run(command: &ConfigCommand) -> i32 {
    let written = match command {
        ConfigCommand::Check(args) => check::run(args),
        ConfigCommand::Show(args) => show::run(args),
        ConfigCommand::Schema => schema::run(),
    };
    match written {
        Ok(status) => status,
        // Nobody reads any more: that is how `| head` ends a program.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => output::fail(format_args!("cannot write to standard output: {error}")),
    }
}

/// The problems on standard error, for a person.
fn tell(error: &ConfigError) {
    let text = problems::render(error, terminal::errors_are_coloured());
    let _ = io::stderr().write_all(text.as_bytes());
}

fn tell_error(error: &Error) {
    match error {
        Error::Config(error) => tell(error),
        error => {
            let source = std::error::Error::source(error).map(|source| format!(": {source}"));
            output::fail(format_args!("{error}{}", source.unwrap_or_default()));
        }
    }
}
