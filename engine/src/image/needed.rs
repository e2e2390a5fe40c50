//! Finds out which of the libraries that a file needs the system's loader would not find.
//!
//! A fence against a surprise at load, not a second loader: where it cannot tell, it says so, and loading decides. It looks at names only,
//! and vouches for nothing of what is in a library.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use parking_lot::Mutex;

use super::{SearchPath, loader_cache};

/// The most bytes that are read of the loader's cache, and of the list of what is mapped.
const FILE_LEN_MAX: u64 = 16 * 1024 * 1024;

/// The most directories of search paths that are looked into. One file can name millions of them.
const DIRS_MAX: usize = 64;

/// Why a needed library was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absence {
    /// It is nowhere where the system's loader looks.
    Missing,
    /// It is nowhere where it was looked for, but the system's loader may look elsewhere.
    Unknown,
    /// It is named by its path, which holds for one machine only, or by one relative to wherever the process is.
    Path,
    /// Its name has a part that the loader replaces (`$ORIGIN`, `$LIB`, `$PLATFORM`), which means nothing in a private copy.
    Variable,
}

/// A needed library that was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Absent {
    /// Its name as the file has it.
    pub(crate) library: String,
    pub(crate) absence: Absence,
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let library = &self.library;
        match self.absence {
            Absence::Missing => write!(f, "needs {library}, which is not installed"),
            Absence::Unknown => write!(f, "needs {library}, which may not be installed"),
            Absence::Path => write!(f, "needs {library} by its path; link it by its name"),
            Absence::Variable => write!(
                f,
                "needs {library}, a name relative to the file, which is loaded from a private copy"
            ),
        }
    }
}

/// Where the system's loader looks for libraries. Can be shared by threads; what it remembers of the loader's cache is kept until that
/// file changes.
pub(crate) struct SystemLoader {
    cache_file: PathBuf,
    maps_file: PathBuf,
    /// The loader's variable as it was when this was made; the loader itself reads it at the start of the process.
    library_path: Option<String>,
    default_dirs: Vec<PathBuf>,
    remembered: Mutex<Option<Remembered>>,
}

struct Remembered {
    modified: SystemTime,
    len: u64,
    names: Option<Arc<HashSet<String>>>,
}

/// The loader of this process.
static OF_THIS_PROCESS: LazyLock<SystemLoader> = LazyLock::new(|| SystemLoader {
    cache_file: PathBuf::from("/etc/ld.so.cache"),
    maps_file: PathBuf::from("/proc/self/maps"),
    library_path: std::env::var_os("LD_LIBRARY_PATH")
        .map(|path| path.to_string_lossy().into_owned())
        .filter(|path| !path.is_empty()),
    default_dirs: default_dirs(),
    remembered: Mutex::new(None),
});

fn default_dirs() -> Vec<PathBuf> {
    let triple = match std::env::consts::ARCH {
        "x86" => "i386-linux-gnu".to_owned(),
        "arm" => "arm-linux-gnueabihf".to_owned(),
        "powerpc64" if cfg!(target_endian = "little") => "powerpc64le-linux-gnu".to_owned(),
        arch => format!("{arch}-linux-gnu"),
    };
    let mut dirs: Vec<PathBuf> = ["/lib", "/usr/lib", "/lib64", "/usr/lib64"]
        .map(PathBuf::from)
        .into();
    dirs.extend(["/lib", "/usr/lib"].map(|dir| Path::new(dir).join(&triple)));
    if cfg!(target_env = "musl") {
        dirs.push(PathBuf::from("/usr/local/lib"));
    }
    dirs
}

/// Which of the needed libraries this process's loader would not find, in the order of the file. `own_paths` are the search paths of the
/// file that needs them.
pub(crate) fn missing(needed: &[String], own_paths: &[SearchPath]) -> Vec<Absent> {
    OF_THIS_PROCESS.missing(needed, own_paths)
}

impl SystemLoader {
    fn missing(&self, needed: &[String], own_paths: &[SearchPath]) -> Vec<Absent> {
        // Looked at at most once, and not at all in the usual case that the loader's cache has every name: it is long in a process that
        // has loaded a thousand libraries.
        let mapped = LazyLock::new(|| self.mapped());
        let names = self.cached_names();
        let dirs = self.dirs(own_paths);
        let absence = |library: &str| {
            if library.contains('$') {
                return Some(Absence::Variable);
            }
            if library.contains('/') {
                return Some(Absence::Path);
            }
            let is_found = names.as_ref().is_some_and(|names| names.contains(library))
                || dirs.found.iter().any(|dir| dir.join(library).is_file())
                || mapped
                    .as_ref()
                    .is_some_and(|files| files.iter().any(|file| is_file_of(file, library)));
            if is_found {
                return None;
            }
            let is_sure = names.is_some() && mapped.is_some() && !dirs.are_more;
            Some(if is_sure {
                Absence::Missing
            } else {
                Absence::Unknown
            })
        };
        needed
            .iter()
            .filter_map(|library| {
                absence(library).map(|absence| Absent {
                    library: library.clone(),
                    absence,
                })
            })
            .collect()
    }

    fn dirs(&self, own_paths: &[SearchPath]) -> Dirs {
        let mut dirs = Dirs {
            found: self.default_dirs.clone(),
            are_more: false,
        };
        let variable = self
            .library_path
            .iter()
            .flat_map(|path| path.split([':', ';']));
        let own = own_paths.iter().flat_map(|path| path.path.split(':'));
        for (index, dir) in variable.chain(own).enumerate() {
            if index == DIRS_MAX {
                dirs.are_more = true;
                break;
            }
            if dir.contains('$') {
                dirs.are_more = true;
            } else {
                // The loader takes an empty one for the current directory.
                dirs.found
                    .push(PathBuf::from(if dir.is_empty() { "." } else { dir }));
            }
        }
        dirs
    }

    /// The names in the loader's cache, unless it cannot be read: musl has none, and some distributions go without.
    fn cached_names(&self) -> Option<Arc<HashSet<String>>> {
        let file = File::open(&self.cache_file).ok()?;
        let metadata = file.metadata().ok()?;
        let (modified, len) = (metadata.modified().ok()?, metadata.len());
        let mut remembered = self.remembered.lock();
        if let Some(known) = &*remembered
            && (known.modified, known.len) == (modified, len)
        {
            return known.names.clone();
        }
        let names = read_bounded(file).and_then(|bytes| loader_cache::names(&bytes).map(Arc::new));
        *remembered = Some(Remembered {
            modified,
            len,
            names: names.clone(),
        });
        names
    }

    /// The names of the files that this process has mapped.
    fn mapped(&self) -> Option<HashSet<String>> {
        let bytes = read_bounded(File::open(&self.maps_file).ok()?)?;
        let text = String::from_utf8_lossy(&bytes);
        let paths = text
            .lines()
            .filter_map(|line| Some(&line[line.find('/')?..]));
        Some(
            paths
                .filter_map(|path| path.rsplit('/').next())
                .map(str::to_owned)
                .collect(),
        )
    }
}

struct Dirs {
    found: Vec<PathBuf>,
    /// Whether the loader looks in others, which cannot be told here.
    are_more: bool,
}

/// Whether a file is likely to be the library of a name: a mapped file has lost the link by which it was found, so that
/// `libm.so.6` may be seen as `libm.so.6.1`.
fn is_file_of(file: &str, library: &str) -> bool {
    file.strip_prefix(library)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ' ']))
}

fn read_bounded(file: File) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= FILE_LEN_MAX).then_some(bytes)
}

#[cfg(test)]
#[path = "needed_tests.rs"]
mod tests;
