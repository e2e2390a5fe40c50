//! The keys about crashes of the engine.

use super::keys::{Default, Key, Kind};

/// How often a plugin may crash the engine before it is not loaded any more.
pub(crate) const AFTER_CRASHES_DEFAULT: u64 = 2;

pub(super) const AFTER_CRASHES: Key = Key {
    name: "after_crashes",
    kind: Kind::Count { min: 0, max: 1_000 },
    default: Default::Count(AFTER_CRASHES_DEFAULT),
    doc: "How often the plugin may crash the engine, with the same bytes, before it is not loaded any more until it is reset; 0 for never. Counted only where there is a state directory.",
};
