//! A database of the history that was damaged: what the file promises to whoever opens it all the same. Part of the fuzzing and of the
//! tests; the input says where a good file is spoilt, and how.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use parking_lot::Mutex;
use plugin_engine_core::{
    CAUSES, Fault, FaultKind, FaultReport, HistoryFilter, PluginId, STATES, Transition, WallTime,
};
use plugin_engine_history_store::{Batch, Reader, Store};

/// How many entries the good file has.
const ENTRIES: u64 = 400;
/// More than it has: nobody waits for an answer without end.
const ANSWER_MAX: usize = 5_000;
/// How many bytes of the input are one change.
const CHANGE_LEN: usize = 4;

struct Good {
    path: PathBuf,
    bytes: Vec<u8>,
}

static GOOD: LazyLock<Mutex<Good>> = LazyLock::new(|| Mutex::new(Good::new()));

impl Good {
    fn new() -> Self {
        // In memory, where there is such a place: every file is written anew.
        let shared = Path::new("/dev/shm");
        let dir = if shared.is_dir() {
            shared.to_owned()
        } else {
            std::env::temp_dir()
        };
        let path = dir.join(format!("plugin-engine-fuzz-{}.db", std::process::id()));
        remove(&path);
        let (mut store, _) = Store::open(&path).expect("a file can be made");
        let transitions: Vec<Transition> = (1..=ENTRIES).map(transition).collect();
        for part in transitions.chunks(50) {
            let batch = Batch::of(part).expect("there are some");
            store.append(&batch).expect("it can be written");
        }
        store.close().expect("it can be closed");
        let bytes = std::fs::read(&path).expect("it can be read");
        remove(&path);
        Self { path, bytes }
    }
}

/// Removes a database with what lies beside it.
fn remove(path: &Path) {
    for end in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        let _ = std::fs::remove_file(name);
    }
}

fn transition(seq: u64) -> Transition {
    let at = WallTime::from_unix_nanos(1_790_000_000_000_000_000 + seq * 1_000_000);
    let pick = |count: usize| (seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % count;
    let error = seq.is_multiple_of(3).then(|| {
        let report = FaultReport::new(FaultKind::Failed, format!("for the {seq}th time"));
        Fault::new(&report, at, None, true, 1).into()
    });
    Transition {
        seq,
        at,
        id: PluginId::new(&format!("plugin-{}", seq % 5)).expect("it is an id"),
        generation: 1 + (seq / 100) as u32,
        version: Some("1.0.0".into()),
        from: STATES[pick(STATES.len())],
        to: STATES[pick(STATES.len() - 1)],
        cause: CAUSES[pick(CAUSES.len())],
        error,
        duration: None,
    }
}

/// The good bytes with the changes that the input says.
fn damaged(good: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for change in changes.chunks_exact(CHANGE_LEN) {
        let [high, low, how, value] = change.try_into().expect("it has that length");
        // Every byte can be meant: the file is not longer than this reaches.
        let place = usize::from(u16::from_be_bytes([high, low])) * 4 + usize::from(how >> 6);
        let at = place % bytes.len().max(1);
        let Some(byte) = bytes.get_mut(at) else {
            break;
        };
        match how & 0x07 {
            0..=2 => *byte = value,
            3..=4 => *byte ^= value | 1,
            5 => bytes.truncate(at),
            6 => {
                let end = (at + usize::from(value) * 16).min(bytes.len());
                bytes[at..end].fill(0);
            }
            _ => {
                let end = (at + usize::from(value)).min(bytes.len());
                bytes[at..end].fill(0xff);
            }
        }
    }
    bytes
}

/// A damaged file is refused with a kind and a text, or read and written as far as it goes: nothing panics, and no answer is longer than
/// was asked for or has what was not asked for.
pub(crate) fn history(bytes: &[u8]) {
    let good = GOOD.lock();
    let path = &good.path;
    std::fs::write(path, damaged(&good.bytes, bytes)).expect("it can be written");
    if let Ok(mut reader) = Reader::open(path) {
        for question in [
            "",
            "order=newest&limit=7",
            "id=plugin-1&errors=true",
            "after=300&since=1h",
        ] {
            ask(&mut reader, question);
        }
        let _ = (reader.last_seq(), reader.plugins());
    }
    match Store::open(path) {
        Ok((mut store, opened)) => {
            let next = opened.last_seq.max(store.last_seq());
            if let Some(next) = next.checked_add(1)
                && let Some(batch) = Batch::of(&[transition(next)])
            {
                let _ = store.append(&batch);
            }
            let _ = store.close();
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty() && text.len() <= 2_000, "{text}");
        }
    }
    remove(path);
}

fn ask(reader: &mut Reader, question: &str) {
    let mut filter = HistoryFilter {
        limit: Some(ANSWER_MAX),
        ..HistoryFilter::default()
    };
    for pair in question.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').expect("a key and a value");
        let now = WallTime::from_unix_nanos(1_790_000_001_000_000_000);
        filter.set(key, value, now).expect("it is a question");
    }
    if let Ok(entries) = reader.query(&filter, ENTRIES) {
        assert!(entries.len() <= filter.limit());
        for entry in entries {
            let seq = entry.seq();
            assert!(seq <= ENTRIES && filter.takes_seq(seq), "{seq}: {question}");
        }
    }
    let _ = reader.lost(&filter);
}
