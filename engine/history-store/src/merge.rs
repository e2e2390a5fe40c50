//! Brings what was written lately in order: many short rows become few long ones, each with its plugin.
//!
//! A batch of a thousand plugins that do little has a thousand short rows. Put with their plugins at once, they would change a page of the
//! file each; in the order of writing they change a few, and merged later one page serves many batches.

use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params};

use crate::batch::{self, Entry};
use crate::error::Trouble;
use crate::rows::{insert_run, put};
use crate::runs::{self, ROW_TEXT_LEN};
use crate::text::{self, Base};

/// Entries of one generation of a plugin.
struct Group {
    generation: u32,
    version: Option<String>,
    entries: Vec<Entry>,
}

/// Moves all that waits to its plugins.
pub(crate) fn merge(connection: &Connection) -> Result<(), Trouble> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    {
        let mut select = transaction.prepare_cached(
            "SELECT plugin, first_seq, base_at, generation, version, entries FROM recent ORDER BY plugin, last_seq",
        )?;
        let mut rows = select.query([])?;
        let mut of_one: Vec<Waiting> = Vec::new();
        while let Some(row) = rows.next()? {
            let waiting = Waiting::read(row)?;
            if of_one
                .last()
                .is_some_and(|last| last.plugin != waiting.plugin)
            {
                merge_plugin(&transaction, std::mem::take(&mut of_one))?;
            }
            of_one.push(waiting);
        }
        merge_plugin(&transaction, of_one)?;
    }
    transaction.execute("DELETE FROM recent", [])?;
    transaction.commit()?;
    Ok(())
}

/// A row that waits.
struct Waiting {
    plugin: i64,
    first_seq: i64,
    group: Group,
}

impl Waiting {
    fn read(row: &Row<'_>) -> Result<Self, Trouble> {
        Ok(Self {
            plugin: row.get(0)?,
            first_seq: row.get(1)?,
            group: Group::read(row)?,
        })
    }
}

impl Group {
    /// Of `plugin, first_seq, base_at, generation, version, entries`.
    fn read(row: &Row<'_>) -> Result<Self, Trouble> {
        let base = Base::read(row.get(1)?, row.get(2)?);
        let text = row.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?;
        Ok(Self {
            generation: row.get(3)?,
            version: row.get(4)?,
            entries: text::read(text, base)?,
        })
    }

    fn is_of(&self, other: &Self) -> bool {
        self.generation == other.generation && self.version == other.version
    }
}

/// Moves the rows of one plugin, which are in order.
fn merge_plugin(connection: &Connection, waiting: Vec<Waiting>) -> Result<(), Trouble> {
    let Some(Waiting {
        plugin, first_seq, ..
    }) = waiting.first()
    else {
        return Ok(());
    };
    let plugin = *plugin;
    let newest: Option<i64> = connection
        .prepare_cached("SELECT max(last_seq) FROM run WHERE plugin = ?1")?
        .query_row([plugin], |row| row.get(0))?;
    // Rows of the plugin that are longer were put in their place at once. No row may reach over one of them.
    let apart = newest.is_some_and(|newest| newest > *first_seq);
    let mut groups: Vec<Group> = Vec::new();
    for Waiting { group, .. } in waiting {
        match groups.last_mut() {
            Some(last) if !apart && last.is_of(&group) => {
                for entry in group.entries {
                    batch::push(&mut last.entries, entry);
                }
            }
            _ => groups.push(group),
        }
    }
    if let (Some(newest), Some(first), false) = (newest, groups.first_mut(), apart)
        && let Some(mut before) = short(connection, plugin, newest)?
        && before.is_of(first)
    {
        connection
            .prepare_cached("DELETE FROM run WHERE plugin = ?1 AND last_seq = ?2")?
            .execute([plugin, newest])?;
        for entry in std::mem::take(&mut first.entries) {
            batch::push(&mut before.entries, entry);
        }
        *first = before;
    }
    let mut insert = insert_run(connection)?;
    let mut text = String::new();
    for group in &groups {
        let version = group.version.as_deref();
        runs::cut(&group.entries, &mut text, |row| {
            put(&mut insert, plugin, group.generation, version, row)
        })?;
    }
    Ok(())
}

/// The row of a plugin that ends with this number, if there is room in it for more.
fn short(connection: &Connection, plugin: i64, last_seq: i64) -> Result<Option<Group>, Trouble> {
    let mut select = connection.prepare_cached(
        "SELECT plugin, first_seq, base_at, generation, version, entries FROM run
         WHERE plugin = ?1 AND last_seq = ?2 AND length(entries) < ?3",
    )?;
    let mut rows = select.query(params![plugin, last_seq, (ROW_TEXT_LEN / 2) as i64])?;
    rows.next()?.map(Group::read).transpose()
}
