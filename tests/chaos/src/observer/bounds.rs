//! C4, X3: threads, descriptors, mappings and memory of the process stay within bounds.

use plugin_engine_wire::EngineInfo;

use crate::engine::Footprint;
use crate::roster::THREADS_MAX;

/// Threads beside those that call plugins: the engine's own, those of the program, and what plugins start and keep.
const OTHER_THREADS: usize = 300;
/// Threads named as those that call plugins beside the limit: what plugins start takes the name of the thread that starts it, and calls
/// beside those of a plugin (creates, trials, destroys) have threads of their own.
const BESIDE: usize = 160;
/// Descriptors beside one for each mapped file: connections of this program, the database, the watch, the pipes.
const DESCRIPTORS: usize = 220;
/// Mappings of the process itself, and of one thread and one file.
const MAPPINGS: usize = 1_500;
const MAPPINGS_OF_ONE: usize = 16;
/// Memory of the process itself with full histories and events, of one thread, and beyond what a file takes.
const MEMORY_MIB: u64 = 320;

/// What is beyond its bound.
pub(crate) fn beyond(seen: Footprint, info: &EngineInfo) -> Vec<String> {
    let files = info.mapped_libraries.len();
    let mapped: u64 = info.mapped_libraries.iter().map(|one| one.bytes).sum();
    let memory = MEMORY_MIB + mapped / (1_024 * 1_024) + seen.threads as u64 / 2;
    let bounds = [
        (
            "threads",
            seen.threads,
            THREADS_MAX + BESIDE + OTHER_THREADS,
        ),
        (
            "threads that call plugins",
            seen.calling_threads,
            THREADS_MAX + BESIDE,
        ),
        ("descriptors", seen.descriptors, files + DESCRIPTORS),
        (
            "mappings",
            seen.mappings,
            MAPPINGS + MAPPINGS_OF_ONE * (files + seen.threads),
        ),
        ("MiB of memory", seen.resident_mib as usize, memory as usize),
    ];
    let passed = bounds.iter().filter(|(_, have, bound)| have > bound);
    passed
        .map(|(what, have, bound)| format!("{have} {what}; at most {bound} are expected"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> EngineInfo {
        let json = serde_json::json!({
            "version": "", "pid": 1, "started_at": "2026-01-01T00:00:00Z", "last_seq": 1,
            "history": {"durable": true}, "stuck_calls": [], "mapped_libraries": [], "refused": []
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn growth_of_each_kind_is_found() {
        let good = Footprint {
            threads: 40,
            calling_threads: 10,
            descriptors: 100,
            mappings: 900,
            resident_mib: 100,
        };
        assert_eq!(beyond(good, &info()), [""; 0]);
        for (bad, says) in [
            (
                Footprint {
                    threads: 2_000,
                    ..good
                },
                "2000 threads",
            ),
            (
                Footprint {
                    calling_threads: 500,
                    ..good
                },
                "500 threads that call plugins",
            ),
            (
                Footprint {
                    descriptors: 5_000,
                    ..good
                },
                "5000 descriptors",
            ),
            (
                Footprint {
                    mappings: 9_000,
                    ..good
                },
                "9000 mappings",
            ),
            (
                Footprint {
                    resident_mib: 2_000,
                    ..good
                },
                "2000 MiB",
            ),
        ] {
            assert!(
                beyond(bad, &info()).iter().any(|one| one.starts_with(says)),
                "{says}"
            );
        }
    }
}
