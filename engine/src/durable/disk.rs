//! The file of the history and that of the mark, which in a simulation are on the disk of the simulated machine.
//!
//! What lives here: that choice, and how the mark is read and overwritten. What never will: what is in either.

#[cfg(not(feature = "simulation"))]
mod on_disk {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::unix::fs::{FileExt, OpenOptionsExt};
    use std::path::Path;

    pub(in crate::durable) use plugin_engine_history_store::{Reader, Store, set_aside};

    /// A small file that is overwritten in place.
    pub(in crate::durable) struct MarkFile(File);

    impl MarkFile {
        pub(in crate::durable) fn open(path: &Path) -> io::Result<Self> {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
                .open(path)?;
            Ok(Self(file))
        }

        pub(in crate::durable) fn len(&self) -> io::Result<u64> {
            Ok(self.0.metadata()?.len())
        }

        pub(in crate::durable) fn read(&self, bytes: &mut [u8]) -> io::Result<()> {
            self.0.read_exact_at(bytes, 0)
        }

        /// The disk has it when this returns.
        pub(in crate::durable) fn overwrite(&self, bytes: &[u8]) -> io::Result<()> {
            self.0.write_all_at(bytes, 0)?;
            self.0.sync_data()
        }
    }
}

#[cfg(not(feature = "simulation"))]
pub(super) use on_disk::{MarkFile, Reader, Store, set_aside};

#[cfg(feature = "simulation")]
pub(super) use crate::simulation::disk::{MarkFile, Reader, Store, set_aside};
