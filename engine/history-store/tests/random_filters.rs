//! What is asked of the file gets the answer that a plain list would give.

mod support;

use plugin_engine_core::HistoryFilter;
use plugin_engine_history_store::{Batch, Reader, Store, StoreOptions};
use support::{Engine, Random, expected, filter, transitions};

/// Appends in batches of `batch` or fewer, asks after some of them, and again when the file is closed.
fn answers_agree(seed: u64, count: u64, batch: u64, questions: u64) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    // Few rows wait, so that they are merged many times.
    let options = StoreOptions {
        waiting_rows_max: 90,
        ..StoreOptions::default()
    };
    let (mut store, _) = Store::open_with(&path, &options).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    let mut engine = Engine::new(seed, 7);
    let mut random = Random(seed.wrapping_mul(31) | 1);
    let mut all = Vec::new();
    let mut asked = 0;
    while (all.len() as u64) < count {
        let some = engine.some(1 + random.below(batch));
        store.append(&Batch::of(&some).unwrap()).unwrap();
        all.extend(some);
        if random.one_in(20) && asked < questions / 2 {
            asked += 1;
            agree(&mut reader, &mut random, &all);
        }
    }
    drop((store, reader));
    let mut reader = Reader::open(&path).unwrap();
    let everything = transitions(&mut reader, &HistoryFilter::default(), u64::MAX);
    assert!(everything == all, "seed {seed}: not everything is there");
    for _ in asked..questions {
        agree(&mut reader, &mut random, &all);
    }
}

fn agree(reader: &mut Reader, random: &mut Random, all: &[plugin_engine_core::Transition]) {
    let filter = filter(random, all);
    let upto = if random.one_in(2) {
        u64::MAX
    } else {
        random.below(all.len() as u64 + 2)
    };
    let (found, wanted) = (
        transitions(reader, &filter, upto),
        expected(all, &filter, upto),
    );
    assert!(
        found == wanted,
        "{filter} up to {upto}: {} entries instead of {}; first found {:?}, first wanted {:?}",
        found.len(),
        wanted.len(),
        found
            .iter()
            .zip(&wanted)
            .find(|(found, wanted)| found != wanted),
        wanted.get(found.len()),
    );
}

#[test]
fn a_thousand_random_filters_get_the_answer_of_a_plain_list() {
    // Small batches wait and are merged, large ones go to their plugins at once, and those between do both.
    answers_agree(1, 5_000, 6, 300);
    answers_agree(2, 8_000, 1_500, 350);
    answers_agree(3, 8_000, 120, 350);
}
