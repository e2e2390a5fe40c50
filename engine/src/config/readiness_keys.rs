//! The key about what the engine is ready without.

use super::keys::{Default, Key, Kind};

pub(super) const REQUIRED: Key = Key {
    name: "required",
    kind: Kind::Flag,
    default: Default::Flag(false),
    doc: "Whether the engine counts as ready only while this plugin is enabled or running.",
};
