//! Questions about the history: any keys with any values, and the answers out of memory against a plain list.

use std::sync::LazyLock;

use plugin_engine_core::{HistoryFilter, Transition, WallTime};

use super::boundary::Rig;
use super::bytes::Bytes;
use super::stand_in::{Answer, SCRIPT};
use crate::Engine;
use crate::manifest::Contract;
use crate::sequence::Sequence;

/// The history that is asked about: failures, panics, commands and updates of one plugin.
struct Asked {
    engine: Engine,
    entries: Vec<Transition>,
    now: WallTime,
}

static ASKED: LazyLock<Asked> = LazyLock::new(Asked::new);

impl Asked {
    fn new() -> Self {
        let _turn = super::boundary::TURN.lock();
        *SCRIPT.lock() = super::stand_in::Script::default();
        let mut rig = Rig::new(Contract::Rust);
        let mut sequence = Sequence(0x5eed_0007);
        for _ in 0..150 {
            let bytes: [u8; 64] = std::array::from_fn(|_| sequence.below(256) as u8);
            let answer = Answer::draw(&mut Bytes(&bytes), Contract::Rust);
            SCRIPT.lock().answers.push_back(answer);
            rig.step(sequence.below(7) as u8);
        }
        let engine = rig.engine.clone();
        let entries = engine.query(&HistoryFilter::default()).entries;
        assert!(entries.len() > 100, "{} entries", entries.len());
        let now = entries.last().expect("there are some").at;
        // The last handle ends the engine: this one is kept.
        Self {
            engine,
            entries,
            now,
        }
    }

    /// What a plain list answers.
    fn by_hand(&self, filter: &HistoryFilter) -> Vec<&Transition> {
        let mut wanted: Vec<_> = self
            .entries
            .iter()
            .filter(|one| filter.takes(one))
            .collect();
        if filter.newest_first {
            wanted.reverse();
        }
        wanted.truncate(filter.limit());
        wanted
    }
}

/// A question as the query of an address: what is refused is refused in one bounded line and changes nothing; what is understood is
/// understood again as it is written; and the memory answers it as a plain list would.
pub fn questions(bytes: &[u8]) {
    let asked = &*ASKED;
    let text = String::from_utf8_lossy(bytes);
    let mut filter = HistoryFilter::default();
    for pair in text.split(['&', '\n']) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let before = filter.clone();
        if let Err(error) = filter.set(key, value, asked.now) {
            assert_eq!(filter, before, "nothing is half understood");
            super::assert_message(error);
        }
    }
    let written = filter.to_string();
    let mut again = HistoryFilter::default();
    for pair in written.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').expect("a key and a value");
        let set = again.set(key, value, WallTime::from_unix_nanos(0));
        set.unwrap_or_else(|error| panic!("{written}: {error}"));
    }
    assert_eq!(again, filter, "{written}");
    let answer = asked.engine.query(&filter);
    let found: Vec<_> = answer.entries.iter().collect();
    assert_eq!(found, asked.by_hand(&filter), "{written}");
}
