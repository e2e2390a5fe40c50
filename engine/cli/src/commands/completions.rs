//! `plugin-engine completions`: what a shell needs to complete the command line.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plugin-engine completions bash > ~/.local/share/bash-completion/completions/plugin-engine
  plugin-engine completions zsh > ~/.zfunc/_plugin-engine
  plugin-engine completions fish > ~/.config/fish/completions/plugin-engine.fish

Exit status: 0, 1 if it cannot be written, 2 for a wrong command line.")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Writes it, and returns the exit status.
pub(crate) fn run(args: &CompletionsArgs) -> i32 {
    let mut script = Vec::new();
    let mut command = Cli::command();
    clap_complete::generate(args.shell, &mut command, "plugin-engine", &mut script);
    output::print_bytes(&script)
}
