//! What the system says of this process.

#![allow(dead_code, reason = "what benchmarks share, of which each uses a part")]

use std::path::Path;

const TASKS: &str = "/proc/self/task";

/// The time that all threads of this process have computed, in nanoseconds.
pub(crate) fn cpu_ns() -> u64 {
    let tasks = std::fs::read_dir(TASKS).expect("the system tells");
    tasks
        .flatten()
        .filter_map(|task| first_number(&task.path().join("schedstat"), 0))
        .sum()
}

/// The memory that this process has, in bytes.
pub(crate) fn resident() -> u64 {
    const PAGE: u64 = 4_096;
    first_number(Path::new("/proc/self/statm"), 1).expect("the system tells") * PAGE
}

/// The numbers of the threads that have this name, in order.
pub(crate) fn threads_named(name: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(TASKS).expect("the system tells");
    let named = tasks.flatten().filter(|task| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
    });
    let mut numbers: Vec<_> = named
        .filter_map(|task| task.file_name().into_string().ok())
        .collect();
    numbers.sort();
    numbers
}

fn first_number(file: &Path, at: usize) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    text.split_whitespace().nth(at)?.parse().ok()
}
