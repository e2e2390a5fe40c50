//! S6: the database after the end of a process, asked by the views that are documented: what was told to be durable is there, and every
//! number stands for something.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row};

/// What was seen of a transition while the engine ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) at: u64,
    pub(crate) id: String,
    pub(crate) cause: String,
    pub(crate) to: String,
}

/// How many numbers of one database stand for what.
const ACCOUNT: &str = "
WITH last AS (SELECT max(
    (SELECT ifnull(max(seq), 0) FROM transitions),
    (SELECT ifnull(max(max(started_seq, ifnull(stopped_seq, 0))), 0) FROM engine_runs),
    (SELECT ifnull(max(last_seq), 0) FROM folded),
    (SELECT ifnull(max(last_seq), 0) FROM gaps)) AS seq)
SELECT seq,
    (SELECT count(*) FROM transitions)
    + (SELECT count(*) + count(stopped_seq) + ifnull(sum(lost_last - lost_first + 1), 0) FROM engine_runs)
    + (SELECT ifnull(sum(transitions), 0) FROM folded)
    + (SELECT ifnull(sum(transitions), 0) FROM gaps)
    + (SELECT ifnull(sum(removed_transitions), 0) FROM plugins)
FROM last";

/// A number, which SQLite has with a sign.
fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

/// Looks at the database of an engine that does not run. `seen` is what was seen by number, `durable` up to which number it was told to be
/// durable; up to `forgotten` numbers may be missing, of the plugins for which `is_forgotten` holds.
pub(crate) fn check(
    path: &Path,
    seen: &BTreeMap<u64, Seen>,
    durable: u64,
    forgotten: u64,
    is_forgotten: impl Fn(&str) -> bool,
) -> rusqlite::Result<Vec<String>> {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut problems = Vec::new();
    let (last, counted) =
        database.query_row(ACCOUNT, [], |row| Ok((number(row, 0)?, number(row, 1)?)))?;
    if counted > last || counted + forgotten < last {
        problems.push(format!(
            "{counted} of {last} numbers stand for something; at most {forgotten} were forgotten"
        ));
    }
    if last < durable {
        problems.push(format!(
            "{durable} was told to be durable, and {last} is the last number"
        ));
    }
    let first = seen.keys().next().copied().unwrap_or(0);
    let mut stored: BTreeMap<u64, (String, String)> = BTreeMap::new();
    let mut rows = database
        .prepare("SELECT seq, id, cause FROM transitions WHERE run_last_seq >= ?1 AND seq >= ?1")?;
    let mut rows = rows.query([i64::try_from(first).unwrap_or(i64::MAX)])?;
    while let Some(row) = rows.next()? {
        let seq = number(row, 0)?;
        if stored.insert(seq, (row.get(1)?, row.get(2)?)).is_some() {
            problems.push(format!("{seq} is used twice"));
        }
    }
    let mut sums = database.prepare("SELECT id, first_seq, last_seq FROM folded UNION ALL SELECT id, first_seq, last_seq FROM gaps")?;
    let sums = sums.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, number(row, 1)?..=number(row, 2)?))
    })?;
    let sums: Vec<_> = sums.collect::<Result<_, _>>()?;
    for (seq, seen) in seen.range(..=durable) {
        let is_in_sum = || {
            sums.iter()
                .any(|(id, range)| *id == seen.id && range.contains(seq))
        };
        match stored.get(seq) {
            Some((id, cause)) if *id == seen.id && *cause == seen.cause => {}
            Some(other) => problems.push(format!("{seq} was {seen:?} and is stored as {other:?}")),
            None if is_forgotten(&seen.id) || is_in_sum() => {}
            None => problems.push(format!("{seq} ({seen:?}) was durable and is gone")),
        }
    }
    problems.truncate(20);
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database with the views that are asked, and transitions of these numbers.
    fn forged(dir: &Path, seqs: &[i64]) -> std::path::PathBuf {
        let path = dir.join("history.db");
        let database = Connection::open(&path).unwrap();
        database
            .execute_batch(
                "CREATE TABLE transitions (seq, run_last_seq, id, cause);
                 CREATE TABLE engine_runs (started_seq, stopped_seq, lost_first, lost_last);
                 CREATE TABLE folded (id, first_seq, last_seq, transitions);
                 CREATE TABLE gaps (id, first_seq, last_seq, transitions);
                 CREATE TABLE plugins (removed_transitions);
                 INSERT INTO engine_runs VALUES (1, NULL, NULL, NULL)",
            )
            .unwrap();
        for seq in seqs {
            database
                .execute(
                    "INSERT INTO transitions VALUES (?1, ?1, 'a', 'update_started')",
                    [seq],
                )
                .unwrap();
        }
        path
    }

    fn seen(seqs: &[u64]) -> BTreeMap<u64, Seen> {
        let one = Seen {
            at: 0,
            id: "a".to_owned(),
            cause: "update_started".to_owned(),
            to: String::new(),
        };
        seqs.iter().map(|seq| (*seq, one.clone())).collect()
    }

    fn problems(stored: &[i64], seen_seqs: &[u64], durable: u64, forgotten: u64) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        check(
            &forged(dir.path(), stored),
            &seen(seen_seqs),
            durable,
            forgotten,
            |id| id == "b",
        )
        .unwrap()
    }

    #[test]
    fn what_is_all_there_is_good() {
        assert_eq!(problems(&[2, 3, 4], &[3, 4], 4, 0), [""; 0]);
        assert_eq!(
            problems(&[2, 3, 4], &[3, 4, 5, 6], 4, 0),
            [""; 0],
            "5 was not yet durable"
        );
        assert_eq!(problems(&[2, 5], &[], 5, 2), [""; 0], "two were forgotten");
    }

    #[test]
    fn a_number_that_stands_for_nothing_is_found() {
        assert!(problems(&[2, 4], &[], 4, 0)[0].contains("3 of 4 numbers"));
    }

    #[test]
    fn a_number_that_is_stored_twice_is_found() {
        let found = problems(&[2, 3, 3], &[2], 3, 0);
        assert!(
            found.iter().any(|one| one.contains("3 is used twice")),
            "{found:?}"
        );
    }

    #[test]
    fn what_was_durable_and_is_gone_or_another_is_found() {
        assert!(problems(&[2, 3], &[3, 4], 4, 0)[0].contains("3 is the last number"));
        assert!(problems(&[2, 4], &[3, 4], 4, 1)[0].contains("was durable and is gone"));
        let dir = tempfile::tempdir().unwrap();
        let mut other = seen(&[2]);
        other
            .values_mut()
            .for_each(|one| one.cause = "reset".to_owned());
        let found = check(&forged(dir.path(), &[2]), &other, 2, 0, |_| false).unwrap();
        assert!(found[0].contains("is stored as"));
    }
}
