//! How the files of one load are checked: each when it is its turn, or before that.

use std::path::Path;
use std::sync::Arc;

use super::plan::Planned;
use crate::ahead::Ahead;
use crate::shared::Shared;
use crate::verify::Rules;

pub(super) struct Checks {
    pub(super) rules: Arc<Rules>,
    pub(super) ahead: Ahead,
}

impl Checks {
    /// Each when it is its turn.
    pub(super) fn in_turn(engine: &Shared, rules: Arc<Rules>) -> Self {
        Self::begin(engine, rules, &[], |_| false)
    }

    /// Those of a plan before it is their turn that are to be mapped for certain.
    pub(super) fn begin(
        engine: &Shared,
        rules: Arc<Rules>,
        plan: &[Planned],
        is_to_be_mapped: impl Fn(&Path) -> bool,
    ) -> Self {
        let candidates = plan.iter().map(|planned| &planned.candidate);
        let candidates = candidates.filter(|candidate| is_to_be_mapped(&candidate.path));
        let ahead = Ahead::begin(
            candidates.map(Arc::clone).collect(),
            &rules,
            engine.loader.limit(),
        );
        Self { rules, ahead }
    }
}
