//! Checks a configuration file without an engine, and without running any code of a plugin.

use std::cmp::Ordering;
use std::path::Path;

use super::error::ConfigError;
use super::keys::{self, Section};
use super::{read_beside_text, read_engine_text};

/// What a configuration file speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// The engine: `[[plugin]]`, `[defaults]`, `[engine]`, `[verify]`.
    Engine,
    /// The plugin beside whose file it lies.
    Plugin,
}

/// Reads a file and says which kind it is: the one of which it has more keys, or as which it has fewer problems. Where there is no
/// difference, a file that lies beside a plugin file speaks of that.
///
/// ```
/// use plugin_engine::config::{FileKind, check};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let file = dir.path().join("engine.toml");
/// std::fs::write(&file, "[[plugin]]\nid = \"clock\"\ninterval = \"2s\"\n")?;
/// assert_eq!(check(&file)?, FileKind::Engine);
/// # Ok(()) }
/// ```
///
/// # Errors
/// The file cannot be read, or has problems: all of them.
pub fn check(path: impl AsRef<Path>) -> Result<FileKind, ConfigError> {
    let path = path.as_ref();
    let absent = || std::io::Error::from(rustix::io::Errno::NOENT);
    let source = super::source(path)?.ok_or_else(|| ConfigError::unreadable(path, absent()))?;
    let engine = read_engine_text(&source).map(|_| FileKind::Engine);
    let plugin = read_beside_text(&source).map(|_| FileKind::Plugin);
    let problems = |read: &Result<FileKind, ConfigError>| match read {
        Ok(_) => 0,
        Err(error) => error.count(),
    };
    let lies_beside = path
        .with_extension(std::env::consts::DLL_EXTENSION)
        .is_file();
    let (of_engine, of_plugin) = known_keys(&source.text);
    match problems(&engine).cmp(&problems(&plugin)) {
        _ if of_engine > of_plugin => engine,
        _ if of_engine < of_plugin => plugin,
        Ordering::Less => engine,
        Ordering::Greater => plugin,
        Ordering::Equal if lies_beside => plugin,
        Ordering::Equal => engine,
    }
}

/// How many keys of the engine's file the text has at its top, and how many of one beside a plugin.
fn known_keys(text: &str) -> (usize, usize) {
    let (table, _) = super::parse(text);
    let of = |section: &Section| {
        let known = table.get_ref().keys();
        known
            .filter(|key| section.find(key.get_ref()).is_some())
            .count()
    };
    (of(&keys::ENGINE_FILE), of(&keys::BESIDE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_it_has_fewer_problems_as() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("a.toml");
        let kind = |text: &str| {
            std::fs::write(&path, text).unwrap();
            check(&path)
        };
        assert_eq!(kind("[engine]\nworkers = 1"), Ok(FileKind::Engine));
        assert_eq!(kind("interval = \"1s\""), Ok(FileKind::Plugin));
        assert_eq!(kind(""), Ok(FileKind::Engine));
        let typo = kind("[[plugni]]\nid = \"a\"\n[engine]\nworkers = 1").unwrap_err();
        assert!(
            typo.to_string().contains("did you mean `plugin`?"),
            "{typo}"
        );
        let worse = kind("[[plugin]]\nx = 1\ny = 1\nz = 1").unwrap_err();
        assert_eq!(worse.count(), 4, "{worse}");
        std::fs::write(dir.path().join("a.so"), "").unwrap();
        assert_eq!(kind(""), Ok(FileKind::Plugin));
        assert_eq!(
            check(dir.path().join("b.toml")).unwrap_err().code(),
            "PE0301"
        );
    }
}
