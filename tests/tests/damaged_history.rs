//! Databases of the history that fuzzing has damaged, and many more: read again without a fuzzer.

#[path = "../../engine/fuzz/damaged_history.rs"]
mod damaged;
#[path = "../../engine/fuzz/replay.rs"]
mod replaying;
#[path = "../../engine/src/sequence.rs"]
mod sequence;

use sequence::Sequence;

/// Where the targets lie, and what they are fed.
const FUZZ_DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/fuzz");
/// How many files are damaged beside those that fuzzing has found.
const ROUNDS: usize = 100;

#[test]
fn histories_that_fuzzing_found_are_opened_as_promised() {
    let target = replaying::files(&replaying::fuzz_dir().join("fuzz_targets"));
    assert!(target.iter().any(|(name, _)| name == "history.rs"));
    replaying::replay(&[("history", damaged::history)], "history", 4);
}

#[test]
fn a_history_that_is_damaged_in_a_few_bytes_is_refused_or_read_as_far_as_it_goes() {
    let mut sequence = Sequence(0x5eed_0009);
    for round in 0..ROUNDS {
        let count = 1 + sequence.below(6);
        let changes: Vec<u8> = (0..4 * count).map(|_| sequence.below(256) as u8).collect();
        replaying::run(
            damaged::history,
            &changes,
            "made up",
            &format!("round {round}"),
        );
    }
}
