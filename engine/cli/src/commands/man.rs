//! `plugin-engine man`: the manual, a page per command.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};

use super::Cli;
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plugin-engine man ~/.local/share/man/man1 && man plugin-engine
  plugin-engine man . && man ./plugin-engine-run.1

A page for the program and one for each command; pages of that name are replaced.
Exit status: 0, 1 if they cannot be written, 2 for a wrong command line.")]
pub(crate) struct ManArgs {
    /// The directory to write the pages to, which is made if it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Writes the pages, and returns the exit status.
pub(crate) fn run(args: &ManArgs) -> i32 {
    match write(&args.dir) {
        Ok(()) => 0,
        Err(error) => output::fail(format_args!(
            "cannot write the pages to {}: {error}",
            args.dir.display()
        )),
    }
}

fn write(dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    clap_mangen::generate_to(Cli::command(), dir)
}
