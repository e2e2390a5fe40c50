//! Lets the oldest entries go, by age and by size, a little at a time.
//!
//! What lives here: which rows go, and what is remembered of them. What never will: when somebody asks for it.

use std::time::{Duration, Instant};

use plugin_engine_core::{HistoryFilter, WallTime};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::error::Trouble;
use crate::rows::sql_seq;
use crate::text::sql_nanos;

/// How long one step of [`Store::retain`](crate::Store::retain) goes on taking rows away. Committing that, and giving space back, comes
/// after it: some milliseconds more, or as long as the disk needs.
pub const RETAIN_STEP: Duration = Duration::from_millis(20);
/// How many rows are taken away between two looks at the time.
const ROWS_A_LOOK: i64 = 64;
/// How many free pages one step gives back to the file system.
const PAGES_A_STEP: i64 = 512;
/// A sweep by size takes away one part in so many of the numbers that there are.
const PARTS: i64 = 20;
/// A smaller limit by size is taken as this one: the tables alone take some pages.
const BYTES_MIN: u64 = 1024 * 1024;

/// What one step of [`Store::retain`](crate::Store::retain) has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retained {
    /// How many transitions were removed, those included that were folded or gaps already.
    pub transitions: u64,
    /// The largest number among them; 0 if there are none.
    pub last_seq: u64,
    /// How many bytes the file is shorter.
    pub bytes: u64,
    /// Whether nothing is left to be done now. If not, another step does more.
    pub done: bool,
}

/// A way through all plugins that takes the oldest entries of each.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// The limits that hold for it, and the number of the plugin that comes next; `None` if none is under way.
    under_way: Option<(Limits, i64)>,
}

/// What goes: rows that end with this number or a smaller one, and rows whose last entry is older than this time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    seq: i64,
    at: i64,
    /// All numbers go.
    all: bool,
    max_bytes: u64,
}

impl Limits {
    /// What has to go now.
    pub(crate) fn find(
        connection: &Connection,
        last_seq: u64,
        max_age: Duration,
        max_bytes: u64,
        now: WallTime,
    ) -> Result<Self, Trouble> {
        let last_seq = sql_seq(last_seq)?;
        let max_bytes = max_bytes.max(BYTES_MIN);
        let mut seq: i64 =
            connection.query_row("SELECT trimmed_seq FROM state", [], |row| row.get(0))?;
        if Space::of(connection)?.used() > max_bytes {
            let left = last_seq.saturating_sub(seq).max(0);
            seq += (left / PARTS).max(1).min(left);
        }
        let oldest = now
            .as_unix_nanos()
            .saturating_sub(crate::text::nanos(max_age));
        Ok(Self {
            seq,
            at: sql_nanos(oldest),
            all: seq >= last_seq,
            max_bytes,
        })
    }

    /// Whether something would go from the rows that wait to be put with their plugins.
    pub(crate) fn reach_recent(&self, connection: &Connection) -> Result<bool, Trouble> {
        Ok(connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM recent WHERE last_seq <= ?1 OR at_max < ?2)",
            params![self.seq, self.at],
            |row| row.get(0),
        )?)
    }
}

impl Sweep {
    /// Whether it is to be begun.
    pub(crate) fn is_at_its_beginning(&self) -> bool {
        self.under_way.is_none()
    }

    /// Begins it.
    pub(crate) fn begin(&mut self, limits: Limits) {
        self.under_way = Some((limits, 0));
    }

    /// Takes one step, if it was begun.
    pub(crate) fn step(&mut self, connection: &Connection) -> Result<Retained, Trouble> {
        let mut retained = Retained::default();
        let Some((limits, from)) = self.under_way else {
            retained.done = true;
            return Ok(retained);
        };
        let next = take_away(connection, limits, from, &mut retained)?;
        self.under_way = next.map(|plugin| (limits, plugin));
        retained.bytes = give_back(connection, limits.max_bytes)?;
        let space = Space::of(connection)?;
        retained.done = next.is_none()
            && (limits.all || space.used() <= limits.max_bytes)
            && !space.is_wasted(limits.max_bytes);
        Ok(retained)
    }
}

/// Goes through the plugins from this number on. Where to go on is returned, if that is not all.
fn take_away(
    connection: &Connection,
    limits: Limits,
    from: i64,
    retained: &mut Retained,
) -> Result<Option<i64>, Trouble> {
    let began = Instant::now();
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let mut next = Some(from);
    while let Some(at) = next
        && began.elapsed() < RETAIN_STEP
    {
        let plugin: Option<(i64, bool)> = transaction
            .prepare_cached(
                "SELECT number, id IS NULL FROM plugin WHERE number >= ?1 ORDER BY number LIMIT 1",
            )?
            .query_row([at], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        next = match plugin {
            None => None,
            Some((number, false)) => {
                let more = take_rows(&transaction, number, limits, retained)?;
                Some(if more { number } else { number + 1 })
            }
            Some((number, true)) => {
                let more = take_forgotten(&transaction, number, limits)?;
                Some(if more { number } else { number + 1 })
            }
        };
    }
    if next.is_none() {
        transaction.execute(
            "UPDATE state SET trimmed_seq = max(trimmed_seq, ?1)",
            [limits.seq],
        )?;
        transaction.execute(
            "DELETE FROM engine_run WHERE (started_seq <= ?1 OR coalesce(stopped_at, started_at) < ?2)
             AND started_seq < (SELECT max(started_seq) FROM engine_run)",
            params![limits.seq, limits.at],
        )?;
    }
    transaction.commit()?;
    Ok(next)
}

/// Takes the oldest rows of a plugin, some at a time, and returns whether there may be more.
fn take_rows(
    connection: &Connection,
    plugin: i64,
    limits: Limits,
    retained: &mut Retained,
) -> Result<bool, Trouble> {
    let mut select = connection.prepare_cached(
        "SELECT last_seq, at_max, transitions FROM run WHERE plugin = ?1 ORDER BY last_seq LIMIT ?2",
    )?;
    let mut rows = select.query([plugin, ROWS_A_LOOK])?;
    let (mut count, mut last_seq, mut last_at, mut transitions) = (0, 0, 0, 0_i64);
    while let Some(row) = rows.next()? {
        let (seq, at): (i64, i64) = (row.get(0)?, row.get(1)?);
        if seq > limits.seq && at >= limits.at {
            break;
        }
        count += 1;
        last_seq = seq;
        last_at = at.max(last_at);
        transitions = transitions.saturating_add(row.get(2)?);
    }
    drop(rows);
    if count == 0 {
        return Ok(false);
    }
    connection
        .prepare_cached("DELETE FROM run WHERE plugin = ?1 AND last_seq <= ?2")?
        .execute([plugin, last_seq])?;
    connection
        .prepare_cached(
            "UPDATE plugin SET removed = removed + ?2, removed_seq = ?3, removed_at = max(removed_at, ?4) WHERE number = ?1",
        )?
        .execute(params![plugin, transitions, last_seq, last_at])?;
    retained.transitions += transitions.unsigned_abs();
    retained.last_seq = retained.last_seq.max(last_seq.unsigned_abs());
    Ok(count == ROWS_A_LOOK)
}

/// Takes the rows of a plugin that is forgotten, some at a time, and at last its number. Nobody can ask for them any more, so that
/// nobody has to be told.
fn take_forgotten(connection: &Connection, plugin: i64, limits: Limits) -> Result<bool, Trouble> {
    let all = Limits {
        seq: i64::MAX,
        ..limits
    };
    if take_rows(connection, plugin, all, &mut Retained::default())? {
        return Ok(true);
    }
    connection.execute("DELETE FROM recent WHERE plugin = ?1", [plugin])?;
    connection.execute("DELETE FROM plugin WHERE number = ?1", [plugin])?;
    Ok(false)
}

/// Gives free pages back to the file system, unless they are few and will soon be used again. How many bytes that were is returned.
fn give_back(connection: &Connection, max_bytes: u64) -> Result<u64, Trouble> {
    let before = Space::of(connection)?;
    if !before.is_wasted(max_bytes) {
        return Ok(0);
    }
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES_A_STEP})"))?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    let after = Space::of(connection)?;
    if !after.is_wasted(max_bytes) {
        // What was given back is still only noted in the log.
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    }
    Ok(before.total().saturating_sub(after.total()))
}

/// How large the file is, with what is in the log but not yet in it.
pub(crate) struct Space {
    pages: u64,
    free: u64,
    page_size: u64,
}

impl Space {
    pub(crate) fn of(connection: &Connection) -> Result<Self, Trouble> {
        let number = |pragma: &str| -> Result<u64, Trouble> {
            let number: i64 = connection.pragma_query_value(None, pragma, |row| row.get(0))?;
            Ok(number.unsigned_abs())
        };
        Ok(Self {
            pages: number("page_count")?,
            free: number("freelist_count")?,
            page_size: number("page_size")?,
        })
    }

    fn total(&self) -> u64 {
        self.pages * self.page_size
    }

    pub(crate) fn used(&self) -> u64 {
        self.pages.saturating_sub(self.free) * self.page_size
    }

    /// Whether the file is larger than it has to be: than it may, or than it is worth to keep for what comes next.
    fn is_wasted(&self, max_bytes: u64) -> bool {
        self.free > 0 && (self.total() > max_bytes || self.free > self.pages / 4)
    }
}

/// How many transitions were removed that a filter may have wanted.
pub(crate) fn lost(connection: &Connection, filter: &HistoryFilter) -> Result<u64, Trouble> {
    let mut select = connection.prepare_cached(
        "SELECT id, removed FROM plugin WHERE id IS NOT NULL AND removed > 0 AND removed_seq > ?1 AND removed_at >= ?2",
    )?;
    let after = filter
        .after
        .map_or(-1, |after| i64::try_from(after).unwrap_or(i64::MAX));
    let since = filter
        .since
        .map_or(i64::MIN, |since| sql_nanos(since.as_unix_nanos()));
    let mut rows = select.query([after, since])?;
    let mut lost: u64 = 0;
    while let Some(row) = rows.next()? {
        let id = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        if filter.ids.is_empty() || filter.ids.iter().any(|wanted| wanted == id) {
            lost = lost.saturating_add(row.get::<_, i64>(1)?.unsigned_abs());
        }
    }
    Ok(lost)
}
