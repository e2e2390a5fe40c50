//! A table of redb, ordered by plugin and number, so that what one plugin has done lies together.

use std::path::Path;

use plugin_engine_core::{PluginId, Transition};
use redb::{Database, Durability, ReadableDatabase, TableDefinition};

use crate::plain_table::NEWEST;

type Key = (&'static str, u64);

const TRANSITIONS: TableDefinition<'static, Key, &'static [u8]> =
    TableDefinition::new("transitions");

pub(crate) struct RedbTable(Database);

impl RedbTable {
    pub(crate) fn open(path: &Path) -> Self {
        let database = Database::create(path).expect("a file can be made");
        let begun = database.begin_write().expect("it begins");
        begun.open_table(TRANSITIONS).expect("a table can be made");
        begun.commit().expect("it is taken");
        Self(database)
    }

    /// In transactions of `len` rows, of which every so many is written to the disk before it ends, and the last one.
    pub(crate) fn append(&mut self, transitions: &[Transition], len: usize, sync_each: usize) {
        let last = transitions.len().div_ceil(len);
        for (at, some) in (1..).zip(transitions.chunks(len)) {
            let mut begun = self.0.begin_write().expect("it begins");
            let durability = match at % sync_each == 0 || at == last {
                true => Durability::Immediate,
                false => Durability::None,
            };
            begun.set_durability(durability).expect("it can be set");
            {
                let mut table = begun.open_table(TRANSITIONS).expect("it is there");
                for transition in some {
                    let key = (transition.id.as_str(), transition.seq);
                    let row = row(transition);
                    table.insert(key, row.as_slice()).expect("it is taken");
                }
            }
            begun.commit().expect("it is taken");
        }
    }

    pub(crate) fn newest(&self, id: &PluginId) -> usize {
        let begun = self.0.begin_read().expect("it begins");
        let table = begun.open_table(TRANSITIONS).expect("it is there");
        let rows = table.range((id.as_str(), 0)..=(id.as_str(), u64::MAX));
        rows.expect("it answers")
            .rev()
            .take(NEWEST)
            .map(|row| row.expect("it answers"))
            .filter(|(key, row)| key.value().1 > 0 && !row.value().is_empty())
            .count()
    }
}

/// What is not in the key.
fn row(transition: &Transition) -> Vec<u8> {
    let mut row = Vec::with_capacity(64);
    row.extend(transition.at.as_unix_nanos().to_le_bytes());
    row.extend(transition.generation.to_le_bytes());
    row.extend([
        transition.from as u8,
        transition.to as u8,
        transition.cause as u8,
    ]);
    let took = transition
        .duration
        .map_or(u64::MAX, |took| took.as_nanos() as u64);
    row.extend(took.to_le_bytes());
    row.extend(transition.version.as_deref().unwrap_or_default().as_bytes());
    if let Some(error) = &transition.error {
        row.extend(error.to_string().as_bytes());
    }
    row
}
