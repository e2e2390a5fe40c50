//! How often each plugin has crashed the engine, as it is kept in a file: JSON with a version, replaced as a whole.
//!
//! A count is of a plugin with the bytes that it had: other bytes have not crashed yet.

use std::collections::BTreeMap;

use plugin_engine_core::{CallKind, PluginId, WallTime, bounded, escape_control};
use plugin_engine_crash_marks::{How, RunId};
use serde::{Deserialize, Serialize};

use crate::digest::{Fingerprint, hex};

const VERSION: u32 = 1;
/// The most plugins that are kept. At the bound the one whose crash is the longest ago leaves.
const PLUGINS_MAX: usize = 65_536;
/// The longest file that is read.
pub(super) const LEN_MAX: u64 = 64 * 1024 * 1024;

/// How often each plugin has crashed the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// The run of which the crashes were counted last, so that they are counted once also if the start after it ends too soon.
    pub(super) seen: Option<RunId>,
    plugins: BTreeMap<PluginId, Count>,
}

/// The crashes of one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Count {
    /// What the bytes of its file are known by.
    pub(super) bytes: Fingerprint,
    pub(super) crashes: u32,
    pub(super) last: LastCrash,
}

/// The last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastCrash {
    /// `None` for the load or the unmapping of its file.
    pub(super) call: Option<CallKind>,
    pub(super) how: How,
    pub(super) at: WallTime,
}

/// Why such a file is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it has the format {0}, and this version knows {VERSION}")]
    Newer(u32),
    #[error("it is damaged: {0}")]
    Damaged(String),
}

#[derive(Deserialize)]
struct VersionJson {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CountsJson {
    version: u32,
    seen: Option<RunJson>,
    plugins: Vec<CountJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunJson {
    boot_id: String,
    pid: u32,
    opened_ns: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CountJson {
    id: String,
    /// The BLAKE3 of its file.
    bytes: String,
    crashes: u32,
    call: Option<String>,
    how: HowJson,
    at_ns: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HowJson {
    Signal(i32),
    Exit(i32),
}

impl Counts {
    /// Reads the file. Its bytes may be anything.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        let damaged = |error: serde_json::Error| {
            // It may quote what stands in the file.
            let text = error.to_string();
            Unreadable::Damaged(escape_control(bounded(&text, 100)).into_owned())
        };
        let VersionJson { version } = serde_json::from_slice(bytes).map_err(damaged)?;
        if version > VERSION {
            return Err(Unreadable::Newer(version));
        }
        let json: CountsJson = serde_json::from_slice(bytes).map_err(damaged)?;
        if json.version != VERSION || json.plugins.len() > PLUGINS_MAX {
            let what = "no version has this format, or this many plugins";
            return Err(Unreadable::Damaged(what.to_owned()));
        }
        let plugins = json.plugins.into_iter().map(|one| {
            one.read()
                .ok_or_else(|| Unreadable::Damaged("an entry of a plugin is none".to_owned()))
        });
        Ok(Self {
            seen: json.seen.map(|run| RunId {
                boot_id: run.boot_id,
                pid: run.pid,
                opened_ns: run.opened_ns,
            }),
            plugins: plugins.collect::<Result<_, _>>()?,
        })
    }

    /// The file as it is written.
    pub(crate) fn text(&self) -> String {
        let json = CountsJson {
            version: VERSION,
            seen: self.seen.as_ref().map(|run| RunJson {
                boot_id: run.boot_id.clone(),
                pid: run.pid,
                opened_ns: run.opened_ns,
            }),
            plugins: self.plugins.iter().map(CountJson::new).collect(),
        };
        // Neither a map with keys that are no texts nor a writer that fails is in it.
        let mut text = serde_json::to_string_pretty(&json).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Counts a crash, and returns how many there are of this plugin with these bytes now.
    pub(super) fn add(&mut self, id: &PluginId, bytes: Fingerprint, last: LastCrash) -> u32 {
        let before = self.of(id, &bytes).map_or(0, |count| count.crashes);
        let crashes = before.saturating_add(1);
        let count = Count {
            bytes,
            crashes,
            last,
        };
        if self.plugins.len() >= PLUGINS_MAX && !self.plugins.contains_key(id) {
            let oldest = self.plugins.iter().min_by_key(|(_, count)| count.last.at);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                self.plugins.remove(&oldest);
            }
        }
        self.plugins.insert(id.clone(), count);
        crashes
    }

    /// The crashes of a plugin with these bytes.
    pub(super) fn of(&self, id: &PluginId, bytes: &Fingerprint) -> Option<&Count> {
        self.plugins.get(id).filter(|count| count.bytes == *bytes)
    }

    /// Whether there is anything to forget of a plugin.
    pub(super) fn has(&self, id: &PluginId) -> bool {
        self.plugins.contains_key(id)
    }

    pub(super) fn forget(&mut self, id: &PluginId) {
        self.plugins.remove(id);
    }
}

impl CountJson {
    fn new((id, count): (&PluginId, &Count)) -> Self {
        let Count {
            bytes,
            crashes,
            last,
        } = count;
        Self {
            id: id.to_string(),
            bytes: hex(bytes),
            crashes: *crashes,
            call: last.call.map(|call| call.name().to_owned()),
            how: match last.how {
                How::Signal(signal) | How::SentSignal(signal) => HowJson::Signal(signal),
                How::Exit(status) => HowJson::Exit(status),
            },
            at_ns: last.at.as_unix_nanos(),
        }
    }

    fn read(self) -> Option<(PluginId, Count)> {
        let call = match self.call {
            None => None,
            Some(name) => Some(call_named(&name)?),
        };
        let count = Count {
            bytes: unhex(&self.bytes)?,
            crashes: self.crashes,
            last: LastCrash {
                call,
                how: match self.how {
                    HowJson::Signal(signal) => How::Signal(signal),
                    HowJson::Exit(status) => How::Exit(status),
                },
                at: WallTime::from_unix_nanos(self.at_ns),
            },
        };
        Some((PluginId::new(&self.id).ok()?, count))
    }
}

fn call_named(name: &str) -> Option<CallKind> {
    (0..=u8::MAX)
        .map_while(CallKind::from_code)
        .find(|call| call.name() == name)
}

fn unhex(text: &str) -> Option<Fingerprint> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = include_str!("../../../fixtures/files/state/crashes-1.json");

    fn id(text: &str) -> PluginId {
        PluginId::new(text).unwrap()
    }

    fn last(seconds: u64) -> LastCrash {
        LastCrash {
            call: Some(CallKind::Update),
            how: How::Signal(11),
            at: WallTime::from_unix_nanos(seconds * 1_000_000_000),
        }
    }

    fn counts() -> Counts {
        let mut counts = Counts {
            seen: Some(RunId {
                boot_id: "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0".to_owned(),
                pid: 4711,
                opened_ns: 1_767_225_600_123_456_789,
            }),
            ..Counts::default()
        };
        counts.add(&id("clock"), [0xab; 32], last(1_767_225_601));
        counts.add(&id("clock"), [0xab; 32], last(1_767_225_602));
        let exit = LastCrash {
            call: None,
            how: How::Exit(3),
            ..last(1_767_225_603)
        };
        counts.add(&id("exits"), [1; 32], exit);
        counts
    }

    #[test]
    fn the_first_version_of_the_file_is_written_and_read_as_it_ever_was() {
        assert_eq!(Counts::parse(GOLDEN.as_bytes()).unwrap(), counts());
        assert_eq!(counts().text(), GOLDEN);
    }

    #[test]
    fn crashes_are_counted_by_plugin_and_by_bytes() {
        let mut counts = counts();
        assert_eq!(counts.of(&id("clock"), &[0xab; 32]).unwrap().crashes, 2);
        assert_eq!(counts.of(&id("clock"), &[0; 32]), None);
        assert_eq!(counts.add(&id("clock"), [0; 32], last(5)), 1);
        assert_eq!(counts.of(&id("clock"), &[0xab; 32]), None);
        counts.forget(&id("clock"));
        assert!(!counts.has(&id("clock")) && counts.has(&id("exits")));
    }

    #[test]
    fn what_is_no_such_file_is_told_and_not_believed() {
        for (bytes, says) in [
            ("", "damaged"),
            ("{}", "damaged"),
            ("[1]", "damaged"),
            ("{\"version\":2,\"what\":\"else\"}", "format 2"),
            ("{\"version\":1,\"plugins\":[]}trailing", "damaged"),
            ("{\"version\":0,\"seen\":null,\"plugins\":[]}", "no version"),
            (
                "{\"version\":1,\"seen\":null,\"plugins\":[],\"more\":1}",
                "damaged",
            ),
        ] {
            let error = Counts::parse(bytes.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(says), "{bytes}: {error}");
        }
        for (right, wrong) in [
            ("\"clock\"", "\"Not An Id\""),
            ("\"update\"", "\"updates\""),
            ("abababab", "xbababab"),
            ("abababab", "äbabab"),
            ("\"signal\"", "\"signals\""),
        ] {
            let text = GOLDEN.replacen(right, wrong, 1);
            assert!(matches!(
                Counts::parse(text.as_bytes()),
                Err(Unreadable::Damaged(_))
            ));
        }
        for len in 0..GOLDEN.trim_end().len() {
            assert!(Counts::parse(&GOLDEN.as_bytes()[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn at_the_bound_the_crash_that_is_the_longest_ago_leaves() {
        let mut counts = Counts::default();
        for n in 0..PLUGINS_MAX as u64 {
            counts.add(&id(&format!("p{n}")), [0; 32], last(n + 10));
        }
        counts.add(&id("last"), [0; 32], last(5));
        assert_eq!(counts.plugins.len(), PLUGINS_MAX);
        assert!(!counts.has(&id("p0")) && counts.has(&id("p1")) && counts.has(&id("last")));
    }
}
