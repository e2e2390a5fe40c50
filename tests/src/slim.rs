//! Many different builds of one plugin, small and without building anything: a plugin file cut down to what is mapped of it, with a
//! number behind its end.

use std::path::Path;

use crate::built;

/// The bytes of the plugin file of a crate without what is only for debuggers, which is most of them.
///
/// # Panics
/// It is no ELF file of 64 bits, little-endian.
fn slim(name: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(built(name)).expect("a file can be read");
    let number = |at: usize, len: usize| {
        bytes[at..at + len]
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    assert_eq!(
        (number(4, 1), number(5, 1)),
        (2, 1),
        "64 bits, little-endian"
    );
    let (headers, size, count) = (number(0x20, 8), number(0x36, 2), number(0x38, 2));
    let end = (0..count)
        .map(|at| headers + at * size)
        .map(|header| number(header + 0x08, 8) + number(header + 0x20, 8))
        .max();
    bytes.truncate(end.expect("a library has program headers"));
    // There are no section headers any more.
    bytes[0x28..0x30].fill(0);
    bytes[0x3a..0x40].fill(0);
    bytes
}

/// Different builds of one plugin.
pub struct Builds {
    bytes: Vec<u8>,
}

impl Builds {
    /// Builds of the plugin of a crate.
    pub fn of(name: &str) -> Self {
        Self { bytes: slim(name) }
    }

    /// Writes the build of this number.
    pub fn write(&self, number: u64, file: &Path) {
        let mut bytes = self.bytes.clone();
        bytes.extend(number.to_le_bytes());
        std::fs::write(file, bytes).expect("a file can be written");
    }
}
