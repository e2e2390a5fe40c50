//! The files that were refused, whether a plugin shows the reason or not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use plugin_engine_core::PluginId;

use crate::error::LoadError;

/// The most files that are remembered. What is beyond is still named in the outcome of the load.
const FILES_MAX: usize = 65_536;

/// The files that were refused, by path.
#[derive(Default)]
pub(crate) struct RefusedFiles {
    files: Mutex<BTreeMap<PathBuf, RefusedFile>>,
}

struct RefusedFile {
    error: Arc<LoadError>,
    /// The plugins that show the reason in their state.
    shown_by: Vec<PluginId>,
}

impl RefusedFiles {
    /// Remembers a refused file. `shown_by` are the plugins that show the reason; with none it is in the list.
    pub(crate) fn insert(&self, path: &Path, error: &Arc<LoadError>, shown_by: Vec<PluginId>) {
        let mut files = self.files.lock();
        if files.len() < FILES_MAX || files.contains_key(path) {
            let error = Arc::clone(error);
            files.insert(path.to_owned(), RefusedFile { error, shown_by });
        }
    }

    /// Why a file was refused, if it was.
    pub(crate) fn reason(&self, path: &Path) -> Option<Arc<LoadError>> {
        let files = self.files.lock();
        files.get(path).map(|file| Arc::clone(&file.error))
    }

    /// The file was loaded, or is gone.
    pub(crate) fn forget(&self, path: &Path) {
        self.files.lock().remove(path);
    }

    /// Keeps, of the files in this directory, those that are still there.
    pub(crate) fn keep_only(&self, dir: &Path, mut is_there: impl FnMut(&Path) -> bool) {
        self.files
            .lock()
            .retain(|path, _| path.parent() != Some(dir) || is_there(path));
    }

    /// The id is another file's now; who showed a reason under it shows it in the list.
    pub(crate) fn take_id(&self, id: &PluginId) {
        for file in self.files.lock().values_mut() {
            file.shown_by.retain(|shown_by| shown_by != id);
        }
    }

    /// The reasons that no plugin shows.
    pub(crate) fn unshown(&self) -> Vec<Arc<LoadError>> {
        let files = self.files.lock();
        files
            .values()
            .filter(|file| file.shown_by.is_empty())
            .map(|file| Arc::clone(&file.error))
            .collect()
    }
}
