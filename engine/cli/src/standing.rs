//! How a plugin stands at one moment: what every way to show a run is given. Never how it is shown.

use plugin_engine::{Engine, PluginUsage, Snapshot};

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
}
