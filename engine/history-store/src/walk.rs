//! The way through the entries that a filter wants, in order, without reading more than are asked for.
//!
//! Every plugin has rows in order, and every row entries in order. All that can come next waits in a heap by the first number that it
//! can have; a row is read only when its turn has come.

use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::vec::IntoIter;

use plugin_engine_core::{HistoryFilter, PluginId, Transition};
use rusqlite::{CachedStatement, Connection, OptionalExtension, named_params, params};

use crate::batch::{Change, Entry};
use crate::error::Trouble;
use crate::history_entry::{HistoryEntry, wants_engine, wants_plain};
use crate::runs::{HAS_CHANGES, HAS_ERRORS, HAS_GAPS};
use crate::text::{self, Base, sql_nanos};

/// What has to hold of a row for an entry of it to be wanted, as far as can be said without reading its text.
const WANTED: &str =
    "last_seq > :after AND first_seq <= :upto AND at_max >= :since AND at_min <= :until
    AND ((generation BETWEEN :low AND :high AND (:flags = 0 OR flags & :flags)) OR flags & 8)";

/// The same as numbers.
struct Wanted {
    after: i64,
    upto: i64,
    since: i64,
    until: i64,
    low: u32,
    high: u32,
    flags: i64,
}

impl Wanted {
    fn of(filter: &HistoryFilter, upto: u64) -> Self {
        let clamped = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX);
        let flags = if filter.errors_only {
            HAS_ERRORS | HAS_GAPS
        } else if wants_plain(filter) {
            0
        } else {
            HAS_CHANGES | HAS_GAPS
        };
        let generations = filter.generations.clone().unwrap_or(0..=u32::MAX);
        Self {
            after: filter.after.map_or(-1, clamped),
            upto: clamped(upto),
            since: filter
                .since
                .map_or(i64::MIN, |at| sql_nanos(at.as_unix_nanos())),
            until: filter
                .until
                .map_or(i64::MAX, |at| sql_nanos(at.as_unix_nanos())),
            low: *generations.start(),
            high: *generations.end(),
            flags,
        }
    }
}

/// Where a row stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    Run,
    Recent,
}

/// A row that waits for its turn, or is being walked through.
struct Stop {
    table: Table,
    plugin: i64,
    last_seq: i64,
    /// What is wanted of it, in order, once it was read.
    entries: Option<IntoIter<HistoryEntry>>,
}

/// The walk.
pub(crate) struct Walk<'a> {
    connection: &'a Connection,
    filter: &'a HistoryFilter,
    upto: u64,
    wanted: Wanted,
    plugins: &'a HashMap<i64, PluginId>,
    next_row: CachedStatement<'a>,
    read_run: CachedStatement<'a>,
    read_recent: CachedStatement<'a>,
    stops: Vec<Stop>,
    /// What comes next: the place in the order, and which stop has it.
    heap: BinaryHeap<(u64, usize)>,
    versions: HashMap<String, Arc<str>>,
}

impl<'a> Walk<'a> {
    /// A walk over these plugins, by their numbers.
    pub(crate) fn new(
        connection: &'a Connection,
        filter: &'a HistoryFilter,
        upto: u64,
        plugins: &'a HashMap<i64, PluginId>,
    ) -> Result<Self, Trouble> {
        let (beyond, order) = if filter.newest_first {
            ("last_seq < :at", "DESC")
        } else {
            ("last_seq > :at", "ASC")
        };
        let next_row = format!(
            "SELECT last_seq, first_seq FROM run WHERE plugin = :plugin AND {beyond} AND {WANTED} ORDER BY last_seq {order} LIMIT 1"
        );
        let read = |table: &str| {
            format!(
                "SELECT first_seq, base_at, generation, version, entries FROM {table} WHERE plugin = ?1 AND last_seq = ?2"
            )
        };
        let mut walk = Self {
            connection,
            filter,
            upto,
            wanted: Wanted::of(filter, upto),
            plugins,
            next_row: connection.prepare_cached(&next_row)?,
            read_run: connection.prepare_cached(&read("run"))?,
            read_recent: connection.prepare_cached(&read("recent"))?,
            stops: Vec::new(),
            heap: BinaryHeap::new(),
            versions: HashMap::new(),
        };
        let before_all = if filter.newest_first { i64::MAX } else { -1 };
        for plugin in plugins.keys() {
            walk.go_to_next_row(*plugin, before_all)?;
        }
        walk.add_recent()?;
        walk.add_engine_runs()?;
        Ok(walk)
    }

    /// The next entry, if there is one.
    pub(crate) fn next(&mut self) -> Result<Option<HistoryEntry>, Trouble> {
        while let Some((_, stop)) = self.heap.pop() {
            let mut found = None;
            match &mut self.stops[stop].entries {
                Some(entries) => found = entries.next(),
                None => {
                    let entries = self.read(stop)?;
                    self.stops[stop].entries = Some(entries.into_iter());
                }
            }
            self.go_on(stop)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Puts what comes next in this row into the heap, or the row after it.
    fn go_on(&mut self, stop: usize) -> Result<(), Trouble> {
        let Stop {
            table,
            plugin,
            last_seq,
            entries,
        } = &self.stops[stop];
        if let Some(next) = entries.as_ref().and_then(|rest| rest.as_slice().first()) {
            let place = self.place(next.seq());
            self.heap.push((place, stop));
            return Ok(());
        }
        match table {
            Table::Run => {
                let (plugin, last_seq) = (*plugin, *last_seq);
                self.stops[stop].entries = None;
                self.go_to_next_row(plugin, last_seq)
            }
            Table::Recent => Ok(()),
        }
    }

    /// The place of a number in the order: the largest comes first.
    fn place(&self, seq: u64) -> u64 {
        if self.filter.newest_first {
            seq
        } else {
            u64::MAX - seq
        }
    }

    fn add(&mut self, stop: Stop, last_seq: i64, first_seq: i64) {
        let first = if self.filter.newest_first {
            last_seq
        } else {
            first_seq
        };
        self.heap
            .push((self.place(first.unsigned_abs()), self.stops.len()));
        self.stops.push(stop);
    }

    fn go_to_next_row(&mut self, plugin: i64, at: i64) -> Result<(), Trouble> {
        let wanted = &self.wanted;
        let found: Option<(i64, i64)> = self
            .next_row
            .query_row(
                named_params! {
                    ":plugin": plugin, ":at": at, ":after": wanted.after, ":upto": wanted.upto, ":since": wanted.since,
                    ":until": wanted.until, ":low": wanted.low, ":high": wanted.high, ":flags": wanted.flags,
                },
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        if let Some((last_seq, first_seq)) = found {
            let stop = Stop {
                table: Table::Run,
                plugin,
                last_seq,
                entries: None,
            };
            self.add(stop, last_seq, first_seq);
        }
        Ok(())
    }

    /// There are not many, so that all are looked at; their texts are not.
    fn add_recent(&mut self) -> Result<(), Trouble> {
        let only = match (self.plugins.len(), self.plugins.keys().next()) {
            (1, Some(plugin)) => Some(*plugin),
            _ => None,
        };
        let wanted = &self.wanted;
        let mut select = self.connection.prepare_cached(&format!(
            "SELECT plugin, last_seq, first_seq FROM recent WHERE (:only IS NULL OR plugin = :only) AND {WANTED}"
        ))?;
        let mut rows = select.query(named_params! {
            ":only": only, ":after": wanted.after, ":upto": wanted.upto, ":since": wanted.since,
            ":until": wanted.until, ":low": wanted.low, ":high": wanted.high, ":flags": wanted.flags,
        })?;
        while let Some(row) = rows.next()? {
            let (plugin, last_seq, first_seq) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if self.plugins.contains_key(&plugin) {
                let stop = Stop {
                    table: Table::Recent,
                    plugin,
                    last_seq,
                    entries: None,
                };
                self.add(stop, last_seq, first_seq);
            }
        }
        Ok(())
    }

    fn add_engine_runs(&mut self) -> Result<(), Trouble> {
        if !wants_engine(self.filter) {
            return Ok(());
        }
        let mut entries = Vec::new();
        for run in crate::engine_runs::all(self.connection)? {
            entries.push(HistoryEntry::Started(run.started));
            entries.extend(run.stopped.map(HistoryEntry::Stopped));
        }
        let entries = self.wanted_of(entries);
        if let Some(first) = entries.first() {
            let place = self.place(first.seq());
            self.heap.push((place, self.stops.len()));
            self.stops.push(Stop {
                table: Table::Recent,
                plugin: 0,
                last_seq: 0,
                entries: Some(entries.into_iter()),
            });
        }
        Ok(())
    }

    /// Those of some entries in order that are wanted, in the order asked for.
    fn wanted_of(&self, mut entries: Vec<HistoryEntry>) -> Vec<HistoryEntry> {
        entries.retain(|entry| entry.seq() <= self.upto && entry.is_wanted(self.filter));
        if self.filter.newest_first {
            entries.reverse();
        }
        entries
    }

    fn read(&mut self, stop: usize) -> Result<Vec<HistoryEntry>, Trouble> {
        let Stop {
            table,
            plugin,
            last_seq,
            ..
        } = self.stops[stop];
        let select = match table {
            Table::Run => &mut self.read_run,
            Table::Recent => &mut self.read_recent,
        };
        let mut rows = select.query(params![plugin, last_seq])?;
        let (Some(row), Some(id)) = (rows.next()?, self.plugins.get(&plugin)) else {
            return Err(Trouble::Damaged(format!("row {last_seq} is gone")));
        };
        let base = Base::read(row.get(0)?, row.get(1)?);
        let generation = row.get(2)?;
        let version = row
            .get_ref(3)?
            .as_str_or_null()
            .map_err(rusqlite::Error::from)?;
        let version = version.map(|version| match self.versions.get(version) {
            Some(known) => Arc::clone(known),
            None => {
                let new: Arc<str> = version.into();
                self.versions.insert(version.to_owned(), Arc::clone(&new));
                new
            }
        });
        let text = row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?;
        let entries = text::read(text, base)?;
        drop(rows);
        let mut found = Vec::with_capacity(entries.len() * 2);
        for entry in entries {
            unfold(&mut found, id, generation, version.as_ref(), entry);
        }
        Ok(self.wanted_of(found))
    }
}

/// Makes of an entry what is asked for.
pub(crate) fn unfold(
    found: &mut Vec<HistoryEntry>,
    id: &PluginId,
    generation: u32,
    version: Option<&Arc<str>>,
    entry: Entry,
) {
    let mut transition = |change: Change| {
        found.push(HistoryEntry::Transition(Transition {
            seq: change.seq,
            at: change.at,
            id: id.clone(),
            generation,
            version: version.cloned(),
            from: change.from,
            to: change.to,
            cause: change.cause,
            error: change.error,
            duration: change.duration,
        }));
    };
    match entry {
        Entry::Update(update) => {
            transition(Change::plain_start(update.start_seq, update.at));
            transition(Change::plain_end(
                update.end_seq,
                update.at.saturating_add(update.duration),
                update.duration,
            ));
        }
        Entry::Change(change) => transition(change),
        Entry::Folded(folded) => found.push(HistoryEntry::Folded {
            id: id.clone(),
            generation,
            folded,
        }),
        Entry::Gap(gap) => found.push(HistoryEntry::Gap {
            id: id.clone(),
            gap,
        }),
    }
}
