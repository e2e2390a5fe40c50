//! What a batch says to a question before it is in the file.

use plugin_engine_core::HistoryFilter;

use crate::batch::{Batch, EngineRecord};
use crate::history_entry::HistoryEntry;
use crate::walk::unfold;

impl Batch {
    /// What `filter` wants of it, in the order asked for; the limit is not looked at. The same as a [`Reader`](crate::Reader) would answer if nothing else were in the
    /// file.
    #[must_use]
    pub fn history_entries(&self, filter: &HistoryFilter) -> Vec<HistoryEntry> {
        let mut found = Vec::new();
        for plugin in self
            .plugins
            .iter()
            .filter(|plugin| filter.takes_id(&plugin.id))
        {
            for entry in &plugin.entries {
                let version = plugin.version.as_ref();
                unfold(
                    &mut found,
                    &plugin.id,
                    plugin.generation,
                    version,
                    entry.clone(),
                );
            }
        }
        found.extend(self.engine.iter().map(|record| match record {
            EngineRecord::Started(started) => HistoryEntry::Started(started.clone()),
            EngineRecord::Stopped(stopped) => HistoryEntry::Stopped(*stopped),
        }));
        found.retain(|entry| entry.is_wanted(filter));
        found.sort_by_key(HistoryEntry::seq);
        if filter.newest_first {
            found.reverse();
        }
        found
    }
}
