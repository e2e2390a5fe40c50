//! The tables of the file, and the steps from each version of them to the next.
//!
//! What lives here: how a new file gets its tables, and an old one those of today. What never will: what is in them.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::Trouble;

/// What tells a history from other SQLite files: "plHi".
pub(crate) const APPLICATION_ID: i64 = 0x706c_4869;

/// The steps: the one at place `n` makes version `n + 1` of version `n`.
pub(crate) const STEPS: &[&str] = &[include_str!("schema/1.sql")];

/// The version that this program writes.
pub(crate) const VERSION: i64 = STEPS.len() as i64;

/// What was found in a file.
pub(crate) enum Found {
    /// Nothing yet: a new file.
    Nothing,
    /// A history of this version, at most [`VERSION`].
    Version(i64),
}

/// Looks what is there.
pub(crate) fn look(connection: &Connection) -> Result<Found, Trouble> {
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let application_id = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    match (application_id, version) {
        (APPLICATION_ID, version) if version > VERSION => Err(Trouble::NewerVersion(version)),
        (APPLICATION_ID, version) if version > 0 => Ok(Found::Version(version)),
        (0, 0) if number("SELECT count(*) FROM sqlite_schema")? == 0 => Ok(Found::Nothing),
        _ => Err(Trouble::Foreign(format!(
            "its application_id is {application_id:#x}, not {APPLICATION_ID:#x}"
        ))),
    }
}

/// Takes the steps that are missing, all or none. The version before is returned, 0 for a new file.
pub(crate) fn migrate(connection: &mut Connection, steps: &[&str]) -> Result<i64, Trouble> {
    // Two processes may open the file at a time: the second one looks only when the first is through.
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let before = match look(&transaction)? {
        Found::Nothing => 0,
        Found::Version(version) => version,
    };
    for step in steps
        .iter()
        .skip(usize::try_from(before).unwrap_or(usize::MAX))
    {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", steps.len() as i64)?;
    transaction.commit()?;
    Ok(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(connection: &Connection) -> i64 {
        match look(connection).unwrap() {
            Found::Nothing => 0,
            Found::Version(version) => version,
        }
    }

    /// A step that is not there yet: it adds a column.
    const NEXT: &str = "ALTER TABLE state ADD COLUMN later INTEGER NOT NULL DEFAULT 7";

    #[test]
    fn a_file_takes_the_steps_that_it_lacks_and_no_other() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert_eq!(migrate(&mut connection, STEPS).unwrap(), 0);
        assert_eq!(version(&connection), VERSION);
        assert_eq!(migrate(&mut connection, STEPS).unwrap(), VERSION);
        connection
            .execute("UPDATE state SET last_seq = 5", [])
            .unwrap();
        let mut steps = STEPS.to_vec();
        steps.push(NEXT);
        assert_eq!(migrate(&mut connection, &steps).unwrap(), VERSION);
        let found: (i64, i64) = connection
            .query_row("SELECT last_seq, later FROM state", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(found, (5, 7));
        assert!(matches!(
            look(&connection),
            Err(Trouble::NewerVersion(version)) if version == VERSION + 1
        ));
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_before() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, STEPS).unwrap();
        let mut steps = STEPS.to_vec();
        steps.extend([NEXT, "ALTER TABLE nowhere ADD COLUMN a"]);
        assert!(migrate(&mut connection, &steps).is_err());
        assert_eq!(version(&connection), VERSION);
        assert!(connection.prepare("SELECT later FROM state").is_err());
    }
}
