//! Chaos on the real program: `plugin-engine run` with plugin files of every kind of sin, while files, commands, questions, signals, kills and
//! pressure come as a seed draws them, and an observer that knows only the public interfaces judges whether the promises are kept.
//!
//! The seed decides what is done in which order; when each thing happens within the engine the machine decides. Exit status 0 if nothing was
//! found, 1 if something was, 2 if it could not begin.

#![forbid(unsafe_code)]

mod ask;
mod director;
mod disturbances;
mod engine;
mod journal;
mod moment;
mod observer;
mod random;
mod roster;
mod site;
mod sleeper;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::{Parser, Subcommand};

use crate::director::World;
use crate::journal::Journal;
use crate::random::Random;
use crate::site::Site;

/// Before how many findings it is told what was done, and in how many lines.
const EVIDENCE_OF_MAX: usize = 3;
const EVIDENCE_LINES: usize = 40;

/// Does chaos to a running plugin-engine and checks its promises from outside
#[derive(Parser)]
struct Arguments {
    /// For how long: 30s, 5m, 1h
    #[arg(long = "for", value_name = "DURATION", default_value = "5m", value_parser = humantime::parse_duration)]
    time: Duration,

    /// What is drawn; another one each time if not said
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Where the program and the plugin files were built; beside this program if not said
    #[arg(long, value_name = "DIR")]
    built: Option<PathBuf>,

    /// Keep what lies below the directory of the run also if nothing was found
    #[arg(long)]
    keep: bool,

    #[command(subcommand)]
    pressure: Option<Pressure>,
}

/// What this program does beside itself.
#[derive(Subcommand)]
#[command(disable_help_subcommand = true)]
enum Pressure {
    /// Computes
    #[command(hide = true)]
    Burn { ms: u64 },
    /// Holds memory
    #[command(hide = true)]
    Hold { mib: usize, ms: u64 },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.pressure {
        Some(Pressure::Burn { ms }) => director::burn(Duration::from_millis(ms)),
        Some(Pressure::Hold { mib, ms }) => director::hold(mib, Duration::from_millis(ms)),
        None => {
            return run(&arguments).unwrap_or_else(|problem| {
                eprintln!("plugin-engine-chaos: {problem}");
                ExitCode::from(2)
            });
        }
    }
    ExitCode::SUCCESS
}

/// What was done before the first findings, and what the processes of then have said.
fn evidence(root: &Path, runs: PathBuf) -> String {
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    let timeline = read(root.join("timeline"));
    let lines: Vec<_> = timeline.lines().collect();
    let is_finding = |line: &&str| line.contains(" FINDING ");
    let run_of = |line: &&str| {
        let (_, after) = line.split_once(" start of run ")?;
        after.parse::<u32>().ok()
    };
    let (mut text, mut told) = (String::new(), BTreeSet::new());
    let findings = (0..lines.len()).filter(|at| is_finding(&lines[*at]));
    for at in findings.take(EVIDENCE_OF_MAX) {
        text.push_str("\nbefore a finding:\n");
        for line in &lines[at.saturating_sub(EVIDENCE_LINES)..=at] {
            text.push_str(&format!("  {line}\n"));
        }
        let of_last_runs = lines[..at].iter().rev().filter_map(run_of).take(3);
        for run in of_last_runs.collect::<Vec<_>>().into_iter().rev() {
            if !told.insert(run) {
                continue;
            }
            let said = read(runs.join(format!("{run:04}.stderr")));
            let all: Vec<_> = said.lines().collect();
            text.push_str(&format!(
                "what run {run} said, at its beginning and its end:\n"
            ));
            let edge = EVIDENCE_LINES / 2;
            let (begin, end) = (all.len().min(edge), all.len().saturating_sub(edge));
            for line in all[..begin].iter().chain(&all[end.max(begin)..]) {
                text.push_str(&format!("  {line}\n"));
            }
        }
    }
    text
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let built = match &arguments.built {
        Some(dir) => dir.clone(),
        None => {
            let own = std::env::current_exe().map_err(|error| error.to_string())?;
            own.parent().map(PathBuf::from).unwrap_or_default()
        }
    };
    let missing = Site::missing(&built);
    if let Some(first) = missing.first() {
        return Err(format!(
            "{first} and {} more are not built; tests/chaos.sh builds them",
            missing.len() - 1
        ));
    }
    let seed = arguments.seed.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| u64::from(since.subsec_nanos()) ^ since.as_secs())
    });
    let mut random = Random::new(seed);
    let dir = tempfile::Builder::new()
        .prefix("plugin-engine-chaos-")
        .tempdir();
    // Kept until it is known that nothing was found.
    let root = dir
        .map_err(|error| format!("no directory can be made: {error}"))?
        .keep();
    let cannot = |error: std::io::Error| format!("{}: {error}", root.display());
    let journal = Arc::new(Journal::new(&root.join("timeline")).map_err(cannot)?);
    let site = Site::new(&root, &built, &mut random).map_err(cannot)?;
    println!(
        "seed {seed}, for {}, in {}",
        humantime::format_duration(arguments.time),
        root.display()
    );
    if !site.has_own_disk {
        println!("no file system can be mounted here, so the disk is never full");
    }
    let left_out = Site::left_out(&built);
    if !left_out.is_empty() {
        println!(
            "not built, so they do not come: {}; tests/chaos.sh builds them where there are cc and c++",
            left_out.join(", ")
        );
    }
    let world = Arc::new(World::new(site, Arc::clone(&journal)));
    director::direct(&world, &mut random, arguments.time);
    let findings = journal.findings();
    let is_kept = arguments.keep || findings > 0;
    world.site.close(is_kept, &journal);
    print!("{}", journal.report());
    if findings > 0 {
        // Where this runs nobody may be able to look into the directory afterwards.
        print!("{}", evidence(&root, world.site.runs()));
    }
    if is_kept {
        println!(
            "\nwhat was done is in {}, what the engine said in {}",
            root.join("timeline").display(),
            world.site.runs().display()
        );
    } else if let Err(error) = std::fs::remove_dir_all(&root) {
        eprintln!("{} is left: {error}", root.display());
    }
    if findings > 0 {
        println!(
            "{findings} findings; again: --seed {seed} --for {}",
            humantime::format_duration(arguments.time)
                .to_string()
                .replace(' ', "")
        );
        return Ok(ExitCode::FAILURE);
    }
    println!("no findings");
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_evidence_of_a_finding_is_what_was_done_before_and_what_was_said() {
        let dir = tempfile::tempdir().unwrap();
        let timeline = "1.0 start of run 1\n2.0 start of run 12\n3.0 SIGHUP\n4.0 FINDING end: it hangs\n5.0 later\n";
        std::fs::write(dir.path().join("timeline"), timeline).unwrap();
        std::fs::write(dir.path().join("0012.stderr"), "said this\n").unwrap();
        let text = evidence(dir.path(), dir.path().to_owned());
        for part in [
            "SIGHUP",
            "FINDING end: it hangs",
            "what run 12 said",
            "  said this",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("later"), "{text}");
    }
}
