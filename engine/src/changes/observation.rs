//! What a look at the plugin directory sees, as data.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// What a file is known by without reading it: as long as this is the same, so are its bytes and who may change them. The time of the last
/// change of its inode is part of it, which nobody can set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileIdentity {
    /// A file that can be looked at.
    Seen {
        device: u64,
        inode: u64,
        len: u64,
        /// Seconds and nanoseconds, as the file system has them.
        modified: (i64, i64),
        changed: (i64, i64),
    },
    /// What is no file, a directory above all: what happens within it says nothing of it, and it is refused for what it is.
    NoFile { device: u64, inode: u64 },
    /// Nobody knows what it was when something was last done about it, so that whatever is there now is something else, and so is nothing.
    Unclear,
    /// A name under which nothing can be looked at, with the number of the system's error: a link that leads nowhere, or what the user
    /// of the engine must not see.
    Hidden(i32),
}

#[cfg(feature = "simulation")]
impl FileIdentity {
    /// That of a file which is known by a number.
    pub(crate) fn numbered(number: u64) -> Self {
        Self::Seen {
            device: 0,
            inode: number,
            len: 0,
            modified: (0, 0),
            changed: (0, 0),
        }
    }
}

impl From<&Metadata> for FileIdentity {
    fn from(metadata: &Metadata) -> Self {
        if !metadata.is_file() {
            return Self::NoFile {
                device: metadata.dev(),
                inode: metadata.ino(),
            };
        }
        Self::Seen {
            device: metadata.dev(),
            inode: metadata.ino(),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// What a directory is known by: its device and its inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DirectoryIdentity {
    device: u64,
    inode: u64,
}

#[cfg(feature = "simulation")]
impl DirectoryIdentity {
    /// That of a directory which is known by a number.
    pub(crate) fn numbered(inode: u64) -> Self {
        Self { device: 0, inode }
    }
}

impl From<&Metadata> for DirectoryIdentity {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// What can change on its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// The engine's configuration file.
    EngineConfig,
    /// The list of the files that may be loaded.
    Lock,
    /// A plugin file, by its name in the directory.
    Plugin(OsString),
}

/// A file and what lies beside it, which belong together: who replaces a plugin often replaces its configuration and its signature, too.
/// With nothing in it, there is no such file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FileGroup {
    pub(crate) file: Option<FileIdentity>,
    pub(crate) config: Option<FileIdentity>,
    pub(crate) signature: Option<FileIdentity>,
}

impl FileGroup {
    /// A file that nothing lies beside.
    pub(crate) fn alone(file: Option<FileIdentity>) -> Self {
        Self {
            file,
            ..Self::default()
        }
    }
}

/// What is there, by what it is about. What is not in it is absent.
pub(crate) type Groups = BTreeMap<Subject, FileGroup>;

/// What one look at everything saw.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Observation {
    /// The plugin directory itself.
    pub(crate) directory: Option<DirectoryIdentity>,
    pub(crate) groups: Groups,
}

impl Observation {
    /// Whether this is another directory than before, without any plugin file, where there were some: a file system that was unmounted
    /// leaves the empty directory that it was mounted on.
    pub(crate) fn is_empty_in_place_of(&self, before: &Self) -> bool {
        let has_plugins = |seen: &Self| {
            let subjects = seen.groups.keys();
            subjects
                .rev()
                .any(|subject| matches!(subject, Subject::Plugin(_)))
        };
        before.directory.is_some()
            && before.directory != self.directory
            && has_plugins(before)
            && !has_plugins(self)
    }

    /// Makes this what is there of one subject.
    pub(crate) fn set(&mut self, subject: &Subject, group: FileGroup) {
        if group == FileGroup::default() {
            self.groups.remove(subject);
        } else {
            self.groups.insert(subject.clone(), group);
        }
    }

    /// What is there of one subject.
    pub(crate) fn group(&self, subject: &Subject) -> FileGroup {
        self.groups.get(subject).copied().unwrap_or_default()
    }
}

/// What became of one subject, from one observation to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The file was not there before.
    Appeared,
    /// The file is another one, or was written to.
    Replaced,
    /// The file is gone.
    Removed,
    /// The file is the same, and its configuration is not.
    ConfigChanged,
    /// File and configuration are the same, and the signature is not.
    SignatureChanged,
}

impl Change {
    /// What lies between two groups; `None` if nothing does.
    pub(crate) fn between(before: &FileGroup, now: &FileGroup) -> Option<Self> {
        Some(match (before.file, now.file) {
            (None, None) => return None,
            (None, Some(_)) => Self::Appeared,
            (Some(_), None) => Self::Removed,
            (Some(before), Some(now)) if before != now => Self::Replaced,
            _ if before.config != now.config => Self::ConfigChanged,
            _ if before.signature != now.signature => Self::SignatureChanged,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u64) -> Option<FileIdentity> {
        Some(FileIdentity::Seen {
            device: 1,
            inode: version,
            len: 10,
            modified: (0, 0),
            changed: (0, 0),
        })
    }

    fn group(file_version: u64, config: u64, signature: u64) -> FileGroup {
        let of = |version| if version == 0 { None } else { file(version) };
        FileGroup {
            file: of(file_version),
            config: of(config),
            signature: of(signature),
        }
    }

    #[test]
    fn the_change_is_the_greatest_of_what_changed() {
        for (before, now, change) in [
            ((0, 0, 0), (1, 1, 1), Some(Change::Appeared)),
            ((1, 1, 1), (0, 1, 1), Some(Change::Removed)),
            ((1, 1, 1), (2, 2, 2), Some(Change::Replaced)),
            ((1, 1, 1), (1, 2, 2), Some(Change::ConfigChanged)),
            ((1, 1, 1), (1, 0, 1), Some(Change::ConfigChanged)),
            ((1, 0, 0), (1, 1, 0), Some(Change::ConfigChanged)),
            ((1, 1, 1), (1, 1, 2), Some(Change::SignatureChanged)),
            ((1, 1, 0), (1, 1, 1), Some(Change::SignatureChanged)),
            ((1, 1, 1), (1, 1, 1), None),
            ((0, 0, 0), (0, 1, 1), None),
        ] {
            let (before, now) = (
                group(before.0, before.1, before.2),
                group(now.0, now.1, now.2),
            );
            assert_eq!(Change::between(&before, &now), change, "{before:?} {now:?}");
        }
    }

    #[test]
    fn what_happens_within_a_directory_is_no_change_of_the_name_that_leads_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let look = || FileIdentity::from(&dir.path().metadata().unwrap());
        let before = look();
        std::fs::write(dir.path().join("new"), "").unwrap();
        std::fs::set_permissions(
            dir.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o750),
        )
        .unwrap();
        assert_eq!(look(), before);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(
            FileIdentity::from(&other.path().metadata().unwrap()),
            before
        );
    }

    #[test]
    fn an_unmounted_directory_is_known_by_being_another_one_and_empty() {
        let directory = |inode| Some(DirectoryIdentity { device: 1, inode });
        let plugins = Groups::from([(Subject::Plugin("a.so".into()), group(1, 0, 0))]);
        let others = Groups::from([(Subject::EngineConfig, group(1, 0, 0))]);
        let before = Observation {
            directory: directory(1),
            groups: plugins.clone(),
        };
        for (inode, groups, is_empty) in [
            (1, &others, false),
            (2, &others, true),
            (2, &plugins, false),
            (1, &plugins, false),
        ] {
            let now = Observation {
                directory: directory(inode),
                groups: groups.clone(),
            };
            assert_eq!(now.is_empty_in_place_of(&before), is_empty, "{now:?}");
        }
        let never_seen = Observation::default();
        let now = Observation {
            directory: directory(2),
            groups: others.clone(),
        };
        assert!(!now.is_empty_in_place_of(&never_seen));
        let bare = Observation {
            directory: directory(1),
            groups: others,
        };
        assert!(!now.is_empty_in_place_of(&bare));
    }
}
