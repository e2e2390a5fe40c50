//! The plugins that the file knows, and their numbers in it.

use plugin_engine_core::PluginId;
use rusqlite::{Connection, params};

use crate::batch::PluginRow;
use crate::error::Trouble;

/// All that are not forgotten, by id, each with its number.
pub(crate) fn all(connection: &Connection) -> Result<Vec<(i64, PluginRow)>, Trouble> {
    let mut select = connection.prepare_cached(
        "SELECT number, id, generation, off_by_hand FROM plugin WHERE id IS NOT NULL ORDER BY id",
    )?;
    let mut rows = select.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let id = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        let id = PluginId::new(id).map_err(|error| Trouble::Damaged(error.to_string()))?;
        let plugin = PluginRow {
            id,
            generation: row.get(2)?,
            off_by_hand: row.get(3)?,
        };
        all.push((row.get(0)?, plugin));
    }
    Ok(all)
}

/// Enters a plugin, and returns its number.
pub(crate) fn enter(connection: &Connection, id: &PluginId) -> Result<i64, Trouble> {
    Ok(connection
        .prepare_cached("INSERT INTO plugin (id) VALUES (?1) RETURNING number")?
        .query_row([id.as_str()], |row| row.get(0))?)
}

/// Remembers what is to be remembered of a plugin that was entered.
pub(crate) fn update(connection: &Connection, row: &PluginRow) -> Result<(), Trouble> {
    connection
        .prepare_cached("UPDATE plugin SET generation = ?2, off_by_hand = ?3 WHERE id = ?1")?
        .execute(params![row.id.as_str(), row.generation, row.off_by_hand])?;
    Ok(())
}
