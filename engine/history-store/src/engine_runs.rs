//! Starts and stops of the engine.

use plugin_engine_core::WallTime;
use rusqlite::{Connection, Row, params};

use crate::batch::{EngineRecord, Started, Stopped};
use crate::error::Trouble;
use crate::rows::sql_seq;
use crate::text::sql_nanos;

/// A start of the engine, and its stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineRun {
    /// The start.
    pub started: Started,
    /// The stop, if it was an orderly one, or else `None`: it runs, or was killed.
    pub stopped: Option<Stopped>,
}

const COLUMNS: &str =
    "started_seq, started_at, pid, version, lost_first, lost_last, stopped_seq, stopped_at";

/// The last one.
pub(crate) fn last(connection: &Connection) -> Result<Option<EngineRun>, Trouble> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM engine_run ORDER BY started_seq DESC LIMIT 1"
    ))?;
    let mut rows = select.query([])?;
    Ok(rows.next()?.map(read).transpose()?)
}

/// All, oldest first. They are few: one a start.
pub(crate) fn all(connection: &Connection) -> Result<Vec<EngineRun>, Trouble> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM engine_run ORDER BY started_seq"
    ))?;
    let mut rows = select.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

fn read(row: &Row<'_>) -> Result<EngineRun, rusqlite::Error> {
    let number =
        |at: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(at)?.map(i64::unsigned_abs));
    let time = |nanos: u64| WallTime::from_unix_nanos(nanos);
    Ok(EngineRun {
        started: Started {
            seq: number(0)?.unwrap_or(0),
            at: time(number(1)?.unwrap_or(0)),
            pid: row.get(2)?,
            version: row.get::<_, String>(3)?.into(),
            lost: number(4)?.zip(number(5)?),
        },
        stopped: number(6)?
            .zip(number(7)?)
            .map(|(seq, at)| Stopped { seq, at: time(at) }),
    })
}

/// Writes one of them.
pub(crate) fn write(connection: &Connection, record: &EngineRecord) -> Result<(), Trouble> {
    match record {
        EngineRecord::Started(started) => {
            let lost = started
                .lost
                .map(|(first, last)| Ok::<_, Trouble>((sql_seq(first)?, sql_seq(last)?)));
            let (first, last) = lost.transpose()?.unzip();
            connection.execute(
                "INSERT INTO engine_run (started_seq, started_at, pid, version, lost_first, lost_last) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    sql_seq(started.seq)?,
                    sql_nanos(started.at.as_unix_nanos()),
                    started.pid,
                    &*started.version,
                    first,
                    last,
                ],
            )?;
        }
        EngineRecord::Stopped(stopped) => {
            let changed = connection.execute(
                "UPDATE engine_run SET stopped_seq = ?1, stopped_at = ?2
                 WHERE started_seq = (SELECT max(started_seq) FROM engine_run) AND stopped_seq IS NULL AND started_seq < ?1",
                params![
                    sql_seq(stopped.seq)?,
                    sql_nanos(stopped.at.as_unix_nanos()),
                ],
            )?;
            if changed == 0 {
                return Err(Trouble::Invalid(format!(
                    "number {} stops an engine that was not started",
                    stopped.seq
                )));
            }
        }
    }
    Ok(())
}
