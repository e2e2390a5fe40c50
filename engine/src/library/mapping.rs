//! What one mapped plugin file holds of the process, and how it is given back. One of the few places with unsafe code.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use libloading::os::unix::Library;

use super::objects::Object;
use crate::seal::SealedFile;

/// What is called in a file before it is unmapped.
pub(super) type Release = unsafe extern "C" fn();

/// A plugin file in memory.
///
/// Dropped, it is left as it is: the code stays mapped and the descriptor stays open, because the system's loader would take a new file
/// under the same number, be it another engine's, for this one.
pub(crate) struct Mapping {
    /// `None` once it was given back to the system's loader.
    handle: Option<ManuallyDrop<Library>>,
    sealed: ManuallyDrop<Arc<SealedFile>>,
    /// Where the code lies, if the system's loader says so.
    object: Option<Object>,
    /// What gives back what the file's `init` took; `None` if that was not called, if the file is older than this function, or if it
    /// was called already.
    release: Option<Release>,
    /// By which number running its code is recorded for whoever comes after a crash.
    recorded_as: u32,
}

impl Mapping {
    pub(super) fn new(
        handle: ManuallyDrop<Library>,
        sealed: Arc<SealedFile>,
        object: Option<Object>,
        release: Option<Release>,
        recorded_as: u32,
    ) -> Self {
        Self {
            handle: Some(handle),
            sealed: ManuallyDrop::new(sealed),
            object,
            release,
            recorded_as,
        }
    }

    pub(crate) fn recorded_as(&self) -> u32 {
        self.recorded_as
    }

    pub(crate) fn object(&self) -> Option<&Object> {
        self.object.as_ref()
    }

    /// How much of the address space it takes.
    pub(super) fn len(&self) -> u64 {
        let range = self.object.as_ref().map(|object| &object.range);
        range.map_or(0, |range| range.len() as u64)
    }

    /// What gives back what the file's `init` took, to be run once, on a thread that ends with it. Nothing else of the file may be run
    /// after that but its destructors.
    pub(crate) fn releasing(&mut self) -> impl FnOnce() + Send + 'static {
        let release = self.release.take();
        move || {
            if let Some(release) = release {
                // SAFETY: the file is mapped, its contract was checked, and whoever unmaps it has seen to it that nothing else of it
                // runs and that this is the last call.
                unsafe { release() };
            }
        }
    }

    /// What gives the file back to the system's loader, which runs its destructors, to be run on a thread that ends with it.
    pub(crate) fn closing(&mut self) -> impl FnOnce() -> Result<(), String> + Send + 'static {
        let handle = self.handle.take();
        move || {
            let handle = handle.map(ManuallyDrop::into_inner);
            match handle.map(Library::close) {
                Some(Err(error)) => Err(super::describe(&error)),
                _ => Ok(()),
            }
        }
    }

    /// Closes the descriptor, once the system's loader has nothing of the file any more.
    pub(crate) fn let_go(self) {
        drop(ManuallyDrop::into_inner(self.sealed));
    }
}
