//! Entries of one plugin, cut into the rows that they are stored as.
//!
//! What lives here: where a row begins and ends, and what is known of it without reading its text. What never will: tables.

use plugin_engine_core::WallTime;

use crate::batch::{Change, Entry, Update};
use crate::error::Trouble;
use crate::text::{self, Base};

/// A row ends with the entry that makes its text as long as this. Four rows have to fit into a page of 4 KiB, or SQLite puts the
/// end of each elsewhere.
pub(crate) const ROW_TEXT_LEN: usize = 840;

/// There is an error among the entries.
pub(crate) const HAS_ERRORS: i64 = 1;
/// There is a transition among the entries that is not the plain start or completion of an update.
pub(crate) const HAS_CHANGES: i64 = 2;
/// There are folded updates among the entries.
pub(crate) const HAS_FOLDED: i64 = 4;
/// There is a gap among the entries.
pub(crate) const HAS_GAPS: i64 = 8;

/// Some entries as they are stored.
pub(crate) struct Row<'a> {
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    /// The time from which those of plain entries count.
    pub(crate) base_at: WallTime,
    pub(crate) at_min: WallTime,
    pub(crate) at_max: WallTime,
    pub(crate) flags: i64,
    pub(crate) transitions: u64,
    pub(crate) text: &'a str,
}

/// Cuts `entries` into rows and hands each to `put`. `text` is room that is used again and again.
pub(crate) fn cut(
    entries: &[Entry],
    text: &mut String,
    put: impl FnMut(&Row<'_>) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    if in_order(entries) {
        cut_ordered(entries, text, put)
    } else {
        cut_ordered(&ordered(entries)?, text, put)
    }
}

/// The number from which on an entry stands in order. What is folded or a gap stands at its end, among entries with numbers in between.
fn place(entry: &Entry) -> u64 {
    match entry {
        Entry::Update(update) => update.start_seq,
        _ => entry.seq(),
    }
}

/// Whether each entry ends before the next one begins.
fn in_order(entries: &[Entry]) -> bool {
    entries
        .windows(2)
        .all(|pair| pair[0].seq() < place(&pair[1]))
}

/// The same with updates taken apart: something was between the start and the completion of one.
fn ordered(entries: &[Entry]) -> Result<Vec<Entry>, Trouble> {
    let mut all = Vec::with_capacity(entries.len() * 2);
    for entry in entries {
        match entry {
            Entry::Update(Update {
                start_seq,
                end_seq,
                at,
                duration,
            }) => {
                all.push(Entry::Change(Change::plain_start(*start_seq, *at)));
                let end = at.saturating_add(*duration);
                all.push(Entry::Change(Change::plain_end(*end_seq, end, *duration)));
            }
            other => all.push(other.clone()),
        }
    }
    all.sort_by_key(Entry::seq);
    match all.windows(2).find(|pair| pair[0].seq() == pair[1].seq()) {
        Some(pair) => Err(Trouble::Invalid(format!(
            "two entries of one plugin have the number {}",
            pair[0].seq()
        ))),
        None => Ok(all),
    }
}

fn cut_ordered(
    entries: &[Entry],
    text: &mut String,
    mut put: impl FnMut(&Row<'_>) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let mut rest = entries.iter().peekable();
    while let Some(first) = rest.peek() {
        let base = Base {
            seq: place(first),
            at: first.times().0,
        };
        let mut row = Row {
            first_seq: base.seq,
            last_seq: base.seq,
            base_at: base.at,
            at_min: base.at,
            at_max: base.at,
            flags: 0,
            transitions: 0,
            text: "",
        };
        text.clear();
        text.push('[');
        while text.len() < ROW_TEXT_LEN
            && let Some(entry) = rest.next()
        {
            if text.len() > 1 {
                text.push(',');
            }
            text::write(text, base, entry);
            let (from, to) = entry.times();
            row.at_min = row.at_min.min(from);
            row.at_max = row.at_max.max(to);
            row.last_seq = entry.seq();
            row.flags |= flags(entry);
            row.transitions += entry.transitions();
        }
        text.push(']');
        put(&Row { text, ..row })?;
    }
    Ok(())
}

fn flags(entry: &Entry) -> i64 {
    match entry {
        Entry::Update(_) => 0,
        Entry::Change(change) if change.error.is_some() => HAS_ERRORS | HAS_CHANGES,
        Entry::Change(change)
            if crate::batch::is_plain_start(change) || crate::batch::is_plain_end(change) =>
        {
            0
        }
        Entry::Change(_) => HAS_CHANGES,
        Entry::Folded(_) => HAS_FOLDED,
        Entry::Gap(_) => HAS_GAPS,
    }
}
