//! How the entries of a run are written: compact JSON, which any SQLite shell can take apart.
//!
//! What lives here: the text of one entry, both ways. What never will: where a run begins and ends, and the file.
//!
//! An array is something plain, told apart by how many numbers it has; all of them count from the first entry of the run:
//!
//! | numbers | what |
//! |---|---|
//! | `[seq, at]` | an update was started: its number, its time |
//! | `[seq, at, duration]` | an update was completed |
//! | `[seq, at, more, duration]` | both: the completion has the number `seq + more` and the time `at + duration` |
//!
//! An object is anything else, with full numbers and names. Times and durations are in nanoseconds.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{CallKind, Cause, Fault, FaultKind, PluginState, WallTime};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::batch::{Change, Entry, Folded, Gap, Update, is_plain_end, is_plain_start};
use crate::error::Trouble;

/// From where the numbers and times of plain entries count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Base {
    pub(crate) seq: u64,
    pub(crate) at: WallTime,
}

impl Base {
    /// As it is stored.
    pub(crate) fn read(first_seq: i64, base_at: i64) -> Self {
        Self {
            seq: first_seq.unsigned_abs(),
            at: time(base_at),
        }
    }
}

/// Nanoseconds as SQLite can hold them: to the year 2262, or for 292 years.
pub(crate) fn sql_nanos(nanos: u64) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos())
        .unwrap_or(u64::MAX)
        .min(i64::MAX as u64)
}

/// Appends the text of one entry.
pub(crate) fn write(text: &mut String, base: Base, entry: &Entry) {
    match entry {
        Entry::Update(update) => {
            open(text, base, update.start_seq, update.at);
            text.push(',');
            push_number(text, update.end_seq.wrapping_sub(update.start_seq));
            text.push(',');
            push_number(text, nanos(update.duration));
            text.push(']');
        }
        Entry::Change(change) if is_plain_start(change) => {
            open(text, base, change.seq, change.at);
            text.push(']');
        }
        Entry::Change(change) if is_plain_end(change) => {
            open(text, base, change.seq, change.at);
            text.push(',');
            push_number(text, change.duration.map_or(0, nanos));
            text.push(']');
        }
        Entry::Change(change) => object(text, &ChangeText::from(change)),
        Entry::Folded(folded) => object(text, &FoldedText::from(folded)),
        Entry::Gap(gap) => object(text, &GapText::from(gap)),
    }
}

fn open(text: &mut String, base: Base, seq: u64, at: WallTime) {
    text.push('[');
    push_number(text, seq.wrapping_sub(base.seq));
    text.push(',');
    let (at, base) = (at.as_unix_nanos(), base.at.as_unix_nanos());
    if at < base {
        // The wall clock was set back meanwhile.
        text.push('-');
    }
    push_number(text, at.abs_diff(base));
}

fn push_number(text: &mut String, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend(digits[at..].iter().map(|digit| char::from(*digit)));
}

fn object(text: &mut String, value: &impl Serialize) {
    // Only a map whose keys are no text, or a writer that fails, could make this fail.
    text.push_str(&serde_json::to_string(value).unwrap_or_default());
}

#[derive(Serialize)]
struct ChangeText<'a> {
    seq: u64,
    at: i64,
    from: &'a str,
    to: &'a str,
    cause: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<FaultText<'a>>,
}

impl<'a> From<&'a Change> for ChangeText<'a> {
    fn from(change: &'a Change) -> Self {
        Self {
            seq: change.seq,
            at: sql_nanos(change.at.as_unix_nanos()),
            from: change.from.name(),
            to: change.to.name(),
            cause: change.cause.name(),
            duration: change.duration.map(nanos),
            error: change.error.as_deref().map(FaultText::from),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct FaultText<'a> {
    kind: Cow<'a, str>,
    message: Cow<'a, str>,
    #[serde(rename = "type", default, skip_serializing_if = "str::is_empty")]
    type_name: Cow<'a, str>,
    at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<Cow<'a, str>>,
    recoverable: bool,
    consecutive: u32,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    location: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    backtrace: Cow<'a, str>,
}

impl<'a> From<&'a Fault> for FaultText<'a> {
    fn from(fault: &'a Fault) -> Self {
        Self {
            kind: fault.kind.name().into(),
            message: (&*fault.message).into(),
            type_name: (&*fault.type_name).into(),
            at: sql_nanos(fault.at.as_unix_nanos()),
            call: fault.call.map(|call| call.name().into()),
            recoverable: fault.recoverable,
            consecutive: fault.consecutive,
            location: (&*fault.location).into(),
            backtrace: (&*fault.backtrace).into(),
        }
    }
}

#[derive(Serialize)]
struct FoldedText {
    folded: FoldedFields,
}

#[derive(Serialize, Deserialize)]
struct FoldedFields {
    first_seq: u64,
    last_seq: u64,
    transitions: u64,
    updates: u64,
    first_at: i64,
    last_at: i64,
    total_duration: u64,
}

impl From<&Folded> for FoldedText {
    fn from(folded: &Folded) -> Self {
        Self {
            folded: FoldedFields {
                first_seq: folded.first_seq,
                last_seq: folded.last_seq,
                transitions: folded.transitions,
                updates: folded.updates,
                first_at: sql_nanos(folded.first_at.as_unix_nanos()),
                last_at: sql_nanos(folded.last_at.as_unix_nanos()),
                total_duration: nanos(folded.total_duration),
            },
        }
    }
}

#[derive(Serialize)]
struct GapText {
    gap: GapFields,
}

#[derive(Serialize, Deserialize)]
struct GapFields {
    first_seq: u64,
    last_seq: u64,
    count: u64,
    first_at: i64,
    last_at: i64,
}

impl From<&Gap> for GapText {
    fn from(gap: &Gap) -> Self {
        Self {
            gap: GapFields {
                first_seq: gap.first_seq,
                last_seq: gap.last_seq,
                count: gap.count,
                first_at: sql_nanos(gap.first_at.as_unix_nanos()),
                last_at: sql_nanos(gap.last_at.as_unix_nanos()),
            },
        }
    }
}

/// Reads the entries of a run.
pub(crate) fn read(text: &str, base: Base) -> Result<Vec<Entry>, Trouble> {
    let stored: Vec<Stored> = serde_json::from_str(text)
        .map_err(|error| Trouble::Damaged(format!("entries are no entries: {error}")))?;
    stored
        .into_iter()
        .map(|entry| match entry {
            Stored::Plain(numbers, len) => plain(numbers, len, base),
            Stored::Object(object) => object.entry(),
        })
        .collect()
}

fn plain(numbers: [i64; 4], len: usize, base: Base) -> Result<Entry, Trouble> {
    let damaged = || Trouble::Damaged("an entry with a number that cannot be".to_owned());
    let unsigned = |number: i64| u64::try_from(number).map_err(|_| damaged());
    let seq = base
        .seq
        .checked_add(unsigned(numbers[0])?)
        .ok_or_else(damaged)?;
    let at = base.at.as_unix_nanos().checked_add_signed(numbers[1]);
    let at = WallTime::from_unix_nanos(at.ok_or_else(damaged)?);
    let duration = Duration::from_nanos(unsigned(numbers[len - 1]).unwrap_or(0));
    Ok(match len {
        2 => Entry::Change(Change::plain_start(seq, at)),
        3 => Entry::Change(Change::plain_end(seq, at, duration)),
        _ => Entry::Update(Update {
            start_seq: seq,
            end_seq: seq.checked_add(unsigned(numbers[2])?).ok_or_else(damaged)?,
            at,
            duration,
        }),
    })
}

impl Change {
    /// The start of an update.
    pub(crate) fn plain_start(seq: u64, at: WallTime) -> Self {
        Self {
            seq,
            at,
            from: PluginState::Enabled,
            to: PluginState::Running,
            cause: Cause::UpdateStarted,
            error: None,
            duration: None,
        }
    }

    /// The completion of an update.
    pub(crate) fn plain_end(seq: u64, at: WallTime, duration: Duration) -> Self {
        Self {
            seq,
            at,
            from: PluginState::Running,
            to: PluginState::Enabled,
            cause: Cause::UpdateCompleted,
            error: None,
            duration: Some(duration),
        }
    }
}

enum Stored {
    /// The numbers, and how many there are.
    Plain([i64; 4], usize),
    Object(Box<ObjectText>),
}

/// Any object: which one it is tells the key that is there.
#[derive(Deserialize)]
struct ObjectText {
    folded: Option<FoldedFields>,
    gap: Option<GapFields>,
    seq: Option<u64>,
    at: Option<i64>,
    from: Option<String>,
    to: Option<String>,
    cause: Option<String>,
    duration: Option<u64>,
    error: Option<FaultText<'static>>,
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Stored;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("2 to 4 numbers, or an object")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Stored, A::Error> {
                let mut numbers = [0; 4];
                let mut len = 0;
                while let Some(number) = seq.next_element()? {
                    let Some(place) = numbers.get_mut(len) else {
                        return Err(serde::de::Error::invalid_length(len + 1, &self));
                    };
                    *place = number;
                    len += 1;
                }
                if len < 2 {
                    return Err(serde::de::Error::invalid_length(len, &self));
                }
                Ok(Stored::Plain(numbers, len))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Stored, A::Error> {
                ObjectText::deserialize(MapAccessDeserializer::new(map))
                    .map(|object| Stored::Object(Box::new(object)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl ObjectText {
    fn entry(self) -> Result<Entry, Trouble> {
        if let Some(folded) = self.folded {
            return Ok(Entry::Folded(Folded {
                first_seq: folded.first_seq,
                last_seq: folded.last_seq,
                transitions: folded.transitions,
                updates: folded.updates,
                first_at: time(folded.first_at),
                last_at: time(folded.last_at),
                total_duration: Duration::from_nanos(folded.total_duration),
            }));
        }
        if let Some(gap) = self.gap {
            return Ok(Entry::Gap(Gap {
                first_seq: gap.first_seq,
                last_seq: gap.last_seq,
                count: gap.count,
                first_at: time(gap.first_at),
                last_at: time(gap.last_at),
            }));
        }
        let (Some(seq), Some(at), Some(from), Some(to), Some(cause)) =
            (self.seq, self.at, self.from, self.to, self.cause)
        else {
            return Err(Trouble::Damaged("an entry lacks a part".to_owned()));
        };
        Ok(Entry::Change(Change {
            seq,
            at: time(at),
            from: from.parse().map_err(|_| unknown(&from))?,
            to: to.parse().map_err(|_| unknown(&to))?,
            cause: cause.parse().map_err(|_| unknown(&cause))?,
            error: self.error.map(fault).transpose()?.map(Arc::new),
            duration: self.duration.map(Duration::from_nanos),
        }))
    }
}

/// A name that an entry has and this program has not.
fn unknown(name: &str) -> Trouble {
    Trouble::NewerName(plugin_engine_core::bounded(name, 64).to_owned())
}

pub(crate) fn time(nanos: i64) -> WallTime {
    WallTime::from_unix_nanos(u64::try_from(nanos).unwrap_or(0))
}

fn fault(text: FaultText<'_>) -> Result<Fault, Trouble> {
    let call = |name: &str| {
        (0..=u8::MAX)
            .map_while(CallKind::from_code)
            .find(|call| call.name() == name)
            .ok_or_else(|| unknown(name))
    };
    Ok(Fault {
        kind: FaultKind::find(&text.kind).ok_or_else(|| unknown(&text.kind))?,
        message: text.message.into(),
        type_name: text.type_name.into(),
        at: time(text.at),
        call: text.call.as_deref().map(call).transpose()?,
        recoverable: text.recoverable,
        consecutive: text.consecutive,
        location: text.location.into(),
        backtrace: text.backtrace.into(),
    })
}
