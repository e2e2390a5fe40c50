//! The command line of the plugin engine. What a command does is in `commands`, one file each; how a run is shown is in `show`.

#![forbid(unsafe_code)]

mod admin;
mod census;
mod client;
mod columns;
mod commands;
mod details;
mod follow;
mod history_entry;
mod listing;
mod logging;
mod moments;
mod output;
mod paint;
mod policy;
mod problems;
mod project;
mod report;
mod screen;
mod service;
mod show;
mod signals;
mod standing;
mod stored;
mod table;
mod terminal;
mod validate;

use std::io::Write;

use clap::Parser;

use commands::{Cli, Command};

fn main() {
    if validate::is_child() {
        leave(validate::run_part());
    }
    let status = match Cli::parse().command {
        Command::Run(args) => commands::run::run(&args),
        Command::Inspect(args) => commands::inspect::run(&args),
        Command::Validate(args) => commands::validate::run(&args),
        Command::Status(args) => commands::status::run(&args),
        Command::History(args) => commands::history::run(&args),
        Command::Why(args) => commands::why::run(&args),
        Command::Events(args) => commands::events::run(&args),
        Command::Liveness(args) => commands::liveness::run(&args),
        Command::Top(args) => commands::top::run(&args),
        Command::Readiness(args) => commands::readiness::run(&args),
        Command::Display(args) => commands::display::run(&args),
        Command::Plugin(command) => commands::plugin_commands::run(&command),
        Command::Lock(args) => commands::lock::run(&args),
        Command::New(args) => commands::new::run(&args),
        Command::Explain(args) => commands::explain::run(&args),
        Command::Config(command) => commands::config::run(&command),
        Command::Completions(args) => commands::completions::run(&args),
        Command::Man(args) => commands::man::run(&args),
    };
    leave(status)
}

/// Ends the process without running exit handlers: a plugin's thread may still be inside code and data that they would tear
/// down under it.
fn leave(status: i32) -> ! {
    // Whoever reads the output may have gone; there is nobody left to tell.
    let _ = std::io::stdout().flush();
    signal_hook::low_level::exit(status)
}
