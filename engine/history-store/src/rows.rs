//! Puts rows into the tables.

use rusqlite::{CachedStatement, Connection, params};

use crate::error::Trouble;
use crate::runs::Row;
use crate::text::sql_nanos;

/// The statements that put rows into the two tables.
pub(crate) struct Inserts<'c> {
    pub(crate) run: CachedStatement<'c>,
    pub(crate) recent: CachedStatement<'c>,
}

impl<'c> Inserts<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> Result<Self, Trouble> {
        Ok(Self {
            run: insert_run(connection)?,
            recent: connection.prepare_cached(
                "INSERT INTO recent (plugin, last_seq, first_seq, base_at, at_min, at_max, generation, version, flags, transitions, entries)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?,
        })
    }
}

/// The statement that puts a row into the table of its plugin.
pub(crate) fn insert_run(connection: &Connection) -> Result<CachedStatement<'_>, Trouble> {
    Ok(connection.prepare_cached(
        "INSERT INTO run (plugin, last_seq, first_seq, base_at, at_min, at_max, generation, version, flags, transitions, entries)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?)
}

/// Puts one row.
pub(crate) fn put(
    into: &mut CachedStatement<'_>,
    plugin: i64,
    generation: u32,
    version: Option<&str>,
    row: &Row<'_>,
) -> Result<(), Trouble> {
    into.execute(params![
        plugin,
        sql_seq(row.last_seq)?,
        sql_seq(row.first_seq)?,
        sql_nanos(row.base_at.as_unix_nanos()),
        sql_nanos(row.at_min.as_unix_nanos()),
        sql_nanos(row.at_max.as_unix_nanos()),
        generation,
        version,
        row.flags,
        sql_seq(row.transitions)?,
        row.text,
    ])?;
    Ok(())
}

/// A number as SQLite can hold it.
pub(crate) fn sql_seq(seq: u64) -> Result<i64, Trouble> {
    i64::try_from(seq)
        .map_err(|_| Trouble::Invalid(format!("the number {seq} is beyond {}", i64::MAX)))
}
