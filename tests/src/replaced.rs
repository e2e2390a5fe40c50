//! Other builds of a plugin file: the same code under other bytes.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Rig, built};

/// Writes the plugin file of a crate as another build of it: what is behind the end of a library does nothing, and makes other bytes of it.
pub fn write_other_build(name: &str, file: &Path) {
    static BUILDS: AtomicU64 = AtomicU64::new(0);
    let mut bytes = std::fs::read(built(name)).expect("a file can be read");
    let number = BUILDS.fetch_add(1, Ordering::Relaxed) + 1;
    bytes.extend_from_slice(&number.to_le_bytes());
    // Under another name first, as one should.
    let beside = file.with_extension("new");
    std::fs::write(&beside, bytes).expect("a file can be written");
    std::fs::rename(beside, file).expect("a file can be renamed");
}

impl Rig {
    /// Puts another build of the crate `name` in the place of the plugin `id`, and leaves the configuration as it is.
    pub fn rebuild(&self, name: &str, id: &str) {
        write_other_build(name, &self.dir().join(format!("{id}.so")));
    }

    /// Writes another configuration beside the plugin `id`.
    pub fn configure(&self, id: &str, config: &str) {
        let config = format!("id = \"{id}\"\n{config}");
        std::fs::write(self.dir().join(format!("{id}.toml")), config)
            .expect("a file can be written");
    }
}
