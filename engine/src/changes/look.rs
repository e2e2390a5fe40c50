//! Looks at the plugin directory and at the files that say something of it, without opening any of them.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::observation::{
    DirectoryIdentity, FileGroup, FileIdentity, Groups, Observation, Subject,
};
use crate::discover::{self, DiscoverError, is_plugin_name};

/// What the configuration of a plugin is called, after the file's stem.
const CONFIG_SUFFIX: &str = ".toml";
/// What the signature of a file is called, after the file's name.
const SIGNATURE_SUFFIX: &str = ".minisig";

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) directory: PathBuf,
    pub(crate) engine_config: Option<PathBuf>,
    pub(crate) lock: PathBuf,
}

impl Places {
    /// The path of a subject.
    pub(crate) fn path(&self, subject: &Subject) -> PathBuf {
        match subject {
            Subject::EngineConfig => self.engine_config.clone().unwrap_or_default(),
            Subject::Lock => self.lock.clone(),
            Subject::Plugin(name) => self.directory.join(name),
        }
    }

    /// What the file at this path is, if it lies in the directory and is one that is looked at.
    pub(crate) fn plugin(&self, path: &Path) -> Option<Subject> {
        let name = path.file_name()?;
        let is_there = path.parent() == Some(&self.directory);
        (is_there && is_plugin_name(&name.to_string_lossy())).then(|| Subject::Plugin(name.into()))
    }
}

/// Looks at everything. Costs a system call for each file that belongs to a plugin, and one for each hundred names or so.
///
/// # Errors
/// The directory cannot be read, so that nothing can be said of what is in it.
pub(crate) fn look(places: &Places) -> Result<Observation, DiscoverError> {
    let failed = |source| DiscoverError {
        path: places.directory.clone(),
        source,
    };
    // Before the names are read: a directory that is exchanged in between is another one at the next look.
    let directory = DirectoryIdentity::of(&places.directory).map_err(failed)?;
    let mut names = Vec::new();
    let mut beside = HashSet::new();
    for name in discover::names(&places.directory).map_err(failed)? {
        let bytes = name.as_bytes();
        if is_plugin_name(&name.to_string_lossy()) {
            names.push(name);
        } else if bytes.ends_with(CONFIG_SUFFIX.as_bytes())
            || bytes.ends_with(SIGNATURE_SUFFIX.as_bytes())
        {
            beside.insert(name);
        }
    }
    let mut groups = Groups::new();
    // Several files may have one configuration, where they differ in what comes after the last dot only.
    let mut configs: HashMap<OsString, Option<FileIdentity>> = HashMap::new();
    for name in names {
        let path = places.directory.join(&name);
        let Some(file) = FileIdentity::of(&path) else {
            // It went between the two looks.
            continue;
        };
        let mut look_beside = |name: OsString| {
            let is_there = beside.contains(&name);
            let path = places.directory.join(&name);
            *configs
                .entry(name)
                .or_insert_with(|| is_there.then(|| FileIdentity::of(&path)).flatten())
        };
        let group = FileGroup {
            file: Some(file),
            config: look_beside(config_name(&name)),
            signature: look_beside(with_suffix(&name, SIGNATURE_SUFFIX)),
        };
        groups.insert(Subject::Plugin(name), group);
    }
    let others = [
        (Subject::EngineConfig, places.engine_config.as_deref()),
        (Subject::Lock, Some(places.lock.as_path())),
    ];
    for (subject, path) in others {
        if let Some(file) = path.and_then(FileIdentity::of) {
            groups.insert(subject, FileGroup::alone(Some(file)));
        }
    }
    Ok(Observation {
        directory: Some(directory),
        groups,
    })
}

fn config_name(name: &OsStr) -> OsString {
    Path::new(name).with_extension("toml").into_os_string()
}

fn with_suffix(name: &OsStr, suffix: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(suffix);
    name
}

impl DirectoryIdentity {
    /// That of the directory at a path.
    fn of(path: &Path) -> io::Result<Self> {
        #[cfg(feature = "simulation")]
        if let Some(identity) = crate::simulation::directory::identity(path) {
            return identity;
        }
        Ok((&fs::metadata(path)?).into())
    }
}

impl FileIdentity {
    /// What is under a path, where a link stands for what it leads to. `None` if nothing is.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        #[cfg(feature = "simulation")]
        if let Some(file) = crate::simulation::directory::file(path) {
            return file;
        }
        let error = match fs::metadata(path) {
            Ok(metadata) => return Some((&metadata).into()),
            Err(error) => error,
        };
        // A link that leads nowhere is there all the same, and whoever put it there should learn that it leads nowhere.
        if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() {
            return None;
        }
        Some(Self::Hidden(error.raw_os_error().unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::super::observation::Change;
    use super::*;

    struct Rig {
        dir: TempDir,
        places: Places,
    }

    impl Rig {
        fn new() -> Self {
            let dir = TempDir::new().unwrap();
            let plugins = dir.path().join("plugins.d");
            fs::create_dir(&plugins).unwrap();
            let places = Places {
                lock: plugins.join("plugins.lock"),
                directory: plugins,
                engine_config: Some(dir.path().join("engine.toml")),
            };
            Self { dir, places }
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.places.directory.join(name), text).unwrap();
        }

        fn look(&self) -> Observation {
            look(&self.places).unwrap()
        }

        fn change(&self, name: &str, before: &Observation) -> Option<Change> {
            let subject = Subject::Plugin(name.into());
            Change::between(&before.group(&subject), &self.look().group(&subject))
        }
    }

    #[test]
    fn what_is_no_plugin_and_lies_beside_none_is_not_seen() {
        let rig = Rig::new();
        for name in [
            ".liba.so",
            ".liba.so.Xy12",
            "liba.so~",
            "liba.so.part",
            "liba.toml",
            "liba.so.minisig",
            "notes.txt",
        ] {
            rig.write(name, "");
        }
        assert_eq!(rig.look().groups, Groups::new());
    }

    #[test]
    fn every_part_of_a_plugin_is_seen_and_so_is_what_holds_for_all() {
        let rig = Rig::new();
        let before = rig.look();
        rig.write("a.so", "one");
        assert_eq!(rig.change("a.so", &before), Some(Change::Appeared));
        let steps: [(&str, Change); 3] = [
            ("a.toml", Change::ConfigChanged),
            ("a.so.minisig", Change::SignatureChanged),
            ("a.so", Change::Replaced),
        ];
        for (name, change) in steps {
            let before = rig.look();
            rig.write(name, "some text");
            assert_eq!(rig.change("a.so", &before), Some(change), "{name}");
        }
        let before = rig.look();
        fs::write(rig.dir.path().join("engine.toml"), "").unwrap();
        rig.write("plugins.lock", "");
        let after = rig.look();
        for subject in [Subject::EngineConfig, Subject::Lock] {
            let change = Change::between(&before.group(&subject), &after.group(&subject));
            assert_eq!(change, Some(Change::Appeared), "{subject:?}");
        }
        assert_eq!(rig.change("a.so", &after), None);
    }

    #[test]
    fn a_directory_of_ten_thousand_plugins_is_seen_whole_and_as_it_was() {
        let rig = Rig::new();
        for n in 0..10_000 {
            rig.write(&format!("p{n}.so"), "");
            rig.write(&format!("p{n}.toml"), "");
        }
        let began = std::time::Instant::now();
        let seen = rig.look();
        println!("a look at 10,000 plugins took {:?}", began.elapsed());
        assert_eq!(seen.groups.len(), 10_000);
        assert!(seen.groups.values().all(|group| group.config.is_some()));
        assert_eq!(rig.look(), seen);
    }

    #[test]
    fn a_link_stands_for_what_it_leads_to() {
        let rig = Rig::new();
        for version in ["..one", "..two"] {
            let dir = rig.places.directory.join(version);
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join("a.so"), version).unwrap();
        }
        let data = rig.places.directory.join("..data");
        symlink("..one", &data).unwrap();
        symlink("..data/a.so", rig.places.directory.join("a.so")).unwrap();
        let before = rig.look();
        let swapped = rig.places.directory.join("..tmp");
        symlink("..two", &swapped).unwrap();
        fs::rename(&swapped, &data).unwrap();
        assert_eq!(rig.change("a.so", &before), Some(Change::Replaced));
    }

    #[test]
    fn a_link_that_leads_nowhere_is_there() {
        let rig = Rig::new();
        symlink("nowhere", rig.places.directory.join("a.so")).unwrap();
        symlink("b.so", rig.places.directory.join("b.so")).unwrap();
        let seen = rig.look();
        for name in ["a.so", "b.so"] {
            let group = seen.group(&Subject::Plugin(name.into()));
            assert!(
                matches!(group.file, Some(FileIdentity::Hidden(_))),
                "{name}: {group:?}"
            );
        }
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let rig = Rig::new();
        fs::remove_dir(&rig.places.directory).unwrap();
        let error = look(&rig.places).unwrap_err();
        assert_eq!(error.path, rig.places.directory);
        assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_path_is_a_plugin_only_in_the_directory() {
        let rig = Rig::new();
        let plugin = |path: PathBuf| rig.places.plugin(&path);
        let dir = &rig.places.directory;
        assert_eq!(
            plugin(dir.join("a.so")),
            Some(Subject::Plugin("a.so".into()))
        );
        assert_eq!(plugin(dir.join("a.toml")), None);
        assert_eq!(plugin(dir.join("below").join("a.so")), None);
        assert_eq!(plugin("a.so".into()), None);
    }

    #[test]
    fn every_subject_has_its_path() {
        let rig = Rig::new();
        let dir = &rig.places.directory;
        for (subject, path) in [
            (Subject::EngineConfig, rig.dir.path().join("engine.toml")),
            (Subject::Lock, dir.join("plugins.lock")),
            (Subject::Plugin("a.so".into()), dir.join("a.so")),
        ] {
            assert_eq!(rig.places.path(&subject), path);
        }
    }
}
