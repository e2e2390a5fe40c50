//! Bugs that are planted, to see that a check would find them.

use std::rc::Rc;

use plugin_engine::simulation::Tampering;

use crate::world::World;

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// A wall clock that is set forward moves the schedule along.
    WallClockSchedules,
}

impl Planted {
    pub(crate) fn tampering(self, _world: &Rc<World>) -> Option<Rc<dyn Tampering>> {
        None
    }
}
