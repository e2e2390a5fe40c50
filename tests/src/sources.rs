//! Sources of this repository, copied and edited in memory, to be built elsewhere. An edit that finds nothing to change is a panic:
//! it would build what it should differ from.

use std::fs;
use std::path::Path;

use crate::files::root;

/// Files by their path from the root, with their text.
#[derive(Default)]
pub(crate) struct Sources {
    files: Vec<(String, String)>,
}

impl Sources {
    /// A workspace of `plugin-api` and the crate in the directory `krate`, which lie below `name` in it: Cargo tells packages apart by their
    /// place in the workspace, and all that share what is built have a place of their own.
    pub(crate) fn of_workspace(name: &str, krate: &str) -> Self {
        let mut text = Self::default();
        text.take("Cargo.toml");
        text.take("Cargo.lock");
        for dir in ["plugin-api", "plugin-api/c", "plugin-api/src", krate] {
            text.take_all(dir);
        }
        text.take_all(&format!("{krate}/src"));
        let members = text.between("Cargo.toml", "members = [", "]");
        let own = format!("\n    \"{name}/plugin-api\",\n    \"{name}/{krate}\",\n");
        text.edit("Cargo.toml", &members, &own);
        let path = format!("path = \"{name}/plugin-api\"");
        text.edit("Cargo.toml", "path = \"plugin-api\"", &path);
        // Only its examples need it, which are not built here.
        let host = "plugin-test-host.workspace = true\n";
        text.edit("plugin-api/Cargo.toml", host, "");
        text
    }

    pub(crate) fn take(&mut self, path: &str) {
        let text = fs::read_to_string(root().join(path)).expect("the file is there");
        self.files.push((path.to_owned(), text));
    }

    pub(crate) fn take_all(&mut self, dir: &str) {
        for entry in fs::read_dir(root().join(dir)).expect("the directory is there") {
            let entry = entry.expect("an entry can be read");
            if entry.file_type().expect("it has a type").is_file() {
                let name = entry.file_name();
                self.take(&format!("{dir}/{}", name.to_str().expect("a name is text")));
            }
        }
    }

    fn text(&mut self, path: &str) -> &mut String {
        let file = self.files.iter_mut().find(|(name, _)| name == path);
        &mut file.unwrap_or_else(|| panic!("{path} was not taken")).1
    }

    /// Replaces the only place in the file where `from` stands.
    pub(crate) fn edit(&mut self, path: &str, from: &str, to: &str) {
        let text = self.text(path);
        let times = text.matches(from).count();
        assert_eq!(times, 1, "{path}: this stands there {times} times: {from}");
        *text = text.replace(from, to);
    }

    /// What stands between the only `begin` in the file and the next `end`.
    pub(crate) fn between(&mut self, path: &str, begin: &str, end: &str) -> String {
        let text = self.text(path);
        let (_, rest) = text
            .split_once(begin)
            .unwrap_or_else(|| panic!("{path}: there is no {begin}"));
        assert!(!rest.contains(begin), "{path}: {begin} stands there twice");
        let (between, _) = rest
            .split_once(end)
            .unwrap_or_else(|| panic!("{path}: nothing ends {begin}"));
        between.to_owned()
    }

    /// Writes all into `workspace`, what lies in directories below `name` in it, leaving alone what is there already, so that
    /// nothing is built twice.
    pub(crate) fn write(&self, workspace: &Path, name: &str) {
        for (path, text) in &self.files {
            let is_of_the_root = !path.contains('/');
            let dir = if is_of_the_root { "" } else { name };
            let file = workspace.join(dir).join(path);
            // Cargo changes the copy of the lock file; what it was is kept beside it.
            let kept = if path == "Cargo.lock" {
                workspace.join("Cargo.lock.root")
            } else {
                file.clone()
            };
            if fs::read_to_string(&kept).is_ok_and(|found| found == *text) {
                continue;
            }
            let dir = file.parent().expect("a file lies in a directory");
            fs::create_dir_all(dir).expect("a directory can be made");
            for file in [file, kept] {
                fs::write(file, text).expect("a file can be written");
            }
        }
    }
}
