//! How a plugin stands at one moment: what every way to show a run is given. Never how it is shown.

use plugin_engine::{Engine, PluginUsage, Snapshot};
use plugin_engine_wire as wire;

/// How a plugin stands.
pub(crate) struct Standing {
    pub(crate) snapshot: Snapshot,
    /// `None` for one that became known between two looks.
    pub(crate) usage: Option<PluginUsage>,
}

impl Standing {
    /// How all of them stand, in the order in which they became known.
    pub(crate) fn of_all(engine: &Engine) -> Vec<Self> {
        // Both are in that order, and none is ever taken away.
        let mut usages = engine.plugin_usages().into_iter();
        let snapshots = engine.snapshots().into_iter();
        snapshots
            .map(|snapshot| Self {
                snapshot,
                usage: usages.next().map(|(_, usage)| usage),
            })
            .collect()
    }

    /// As those who ask a running engine are told.
    pub(crate) fn whole(&self) -> wire::Snapshot {
        wire::Snapshot::new(&self.snapshot, self.usage.as_ref())
    }

    /// The same for a table that is painted again and again, and must not wait until the digest of a file is worked out.
    pub(crate) fn for_table(&self) -> wire::Snapshot {
        wire::Snapshot::without_digest(&self.snapshot, self.usage.as_ref())
    }
}
