//! The engine beside what one would pick instead of it: libloading and abi_stable by themselves, threads and pools by hand, tokio, wasmtime,
//! extism, a child process; SQLite and redb for its history; `dlopen` for its loads. All in one run on one machine, so that what counts are ratios.
//!
//! `tests/comparison.sh` builds it, runs it, and writes the tables and plots of the book. By hand:
//!
//! ```text
//! plugin-engine-comparison [--json FILE] [--rounds N] [GROUP…]
//! plugin-engine-comparison draw JSON-FILE TABLES-FILE PLOTS-DIRECTORY
//! ```
//!
//! Within a group the contestants are measured in turn, in rounds, and medians and the least are told, so that a machine whose speed
//! drifts favours nobody.

mod boundary;
mod child;
mod draw;
#[path = "../../engines.rs"]
mod engines;
mod handover;
mod histories;
mod loads;
mod markdown;
#[expect(dead_code, reason = "fleets of other files are for another benchmark")]
#[path = "../../peers.rs"]
mod peers;
#[allow(dead_code, reason = "another benchmark opens a table again")]
#[path = "../../plain_table.rs"]
mod plain_table;
#[path = "../../plugin_files.rs"]
mod plugin_files;
mod reads;
mod redb_table;
#[path = "../../replacements.rs"]
mod replacements;
mod report;
#[path = "../../rounds.rs"]
mod rounds;
mod scale;
#[path = "../../site.rs"]
mod site;
mod updates;
mod wasm;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use report::Report;

/// What is compared with, of which the lock has the versions.
const COMPARED: [&str; 8] = [
    "abi_stable",
    "extism",
    "libloading",
    "parking_lot",
    "redb",
    "rusqlite",
    "tokio",
    "wasmtime",
];
const LOCK: &str = include_str!("../Cargo.lock");
const ROUNDS: usize = 15;

type Measure = fn(&mut Report, usize);

/// In this order: what starts threads or fills memory comes late.
const GROUPS: [(&str, Measure); 7] = [
    (updates::GROUP, updates::measure),
    (reads::SNAPSHOTS, reads::measure_snapshots),
    (reads::EVENTS, reads::measure_events),
    (histories::QUERY, histories::measure_query),
    (histories::APPEND, histories::measure_append),
    (loads::GROUP, loads::measure),
    (scale::GROUP, scale::measure),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        [child::ARGUMENT, file] => child::answer(Path::new(file)),
        ["draw", file, tables, plots] => {
            let report = stored(Path::new(file));
            std::fs::write(tables, markdown::tables(&report)).expect("tables can be written");
            for (name, plot) in draw::plots(&report) {
                let file = Path::new(plots).join(name);
                std::fs::write(file, plot).expect("a plot can be written");
            }
        }
        _ => return measure(&words),
    }
    ExitCode::SUCCESS
}

fn stored(file: &Path) -> Report {
    let text = std::fs::read_to_string(file).expect("the report can be read");
    serde_json::from_str(&text).expect("it is a report")
}

fn measure(words: &[&str]) -> ExitCode {
    let (mut rounds, mut json, mut only) = (ROUNDS, None, Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--json" => json = words.next().map(PathBuf::from),
            "--rounds" => {
                let said = words.next().and_then(|said| said.parse().ok());
                rounds = said.filter(|rounds| *rounds > 0).unwrap_or(ROUNDS);
            }
            word if GROUPS.iter().any(|(group, _)| group.contains(word)) => only.push(word),
            word => {
                eprintln!("{word}: no group has this in its name:");
                GROUPS
                    .iter()
                    .for_each(|(group, _)| eprintln!("    {group}"));
                return ExitCode::from(2);
            }
        }
    }
    let mut report = Report {
        processors: std::thread::available_parallelism().map_or(0, usize::from),
        rounds,
        versions: COMPARED.map(|name| (name.to_owned(), version(name))).into(),
        ..Report::default()
    };
    for (group, measure) in GROUPS {
        if only.is_empty() || only.iter().any(|word| group.contains(word)) {
            eprintln!("measuring: {group}");
            measure(&mut report, rounds);
        }
    }
    report.print();
    if let Some(file) = json {
        let text = serde_json::to_string_pretty(&report).expect("it can be written as JSON");
        std::fs::write(file, text + "\n").expect("the file can be written");
    }
    ExitCode::SUCCESS
}

/// The newest version of a package in the lock.
fn version(name: &str) -> String {
    let packages = LOCK.split("[[package]]");
    let said = packages.filter(|package| package.contains(&format!("\nname = \"{name}\"\n")));
    let last = said
        .last()
        .and_then(|package| package.split("version = \"").nth(1));
    let version = last.and_then(|rest| rest.split('"').next());
    version.unwrap_or_default().to_owned()
}
