//! Where the project takes `plugin-api` and the test host from.

use std::fs;
use std::path::{Path, PathBuf};

use super::ProjectError;

/// The version of this program, which is that of the crates it knows.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where the project takes `plugin-api` and the test host from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApiSource {
    /// A release of this program's version.
    Released,
    /// The crate in this directory, which is absolute and can be written in a file.
    Directory(PathBuf),
}

impl ApiSource {
    /// Finds the crate in a directory, or in `plugin-api` below it.
    pub(crate) fn directory(path: &Path) -> Result<Self, ProjectError> {
        let no_api = |reason: &str| ProjectError::NoApi {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let found = [path.to_owned(), path.join("plugin-api")]
            .into_iter()
            .find(|dir| is_plugin_api(dir))
            .ok_or_else(|| no_api("no Cargo.toml of that name is there"))?;
        if !found.join("test-host/Cargo.toml").is_file() {
            return Err(no_api("it comes without its test-host"));
        }
        let found = fs::canonicalize(&found).map_err(|error| no_api(&error.to_string()))?;
        match found.to_str() {
            Some(text) if !text.contains(char::is_control) => Ok(Self::Directory(found)),
            _ => Err(no_api("its path cannot be written in a Cargo.toml")),
        }
    }

    /// The line of a Cargo.toml. `features` as they stand in its list.
    pub(super) fn dependency(&self, name: &str, features: &str) -> String {
        let features = match features {
            "" => String::new(),
            list => format!(", features = [{list}]"),
        };
        match self {
            Self::Released => format!("{name} = {{ version = \"{VERSION}\"{features} }}"),
            Self::Directory(dir) => {
                let dir = match name {
                    "plugin-test-host" => dir.join("test-host"),
                    _ => dir.clone(),
                };
                let path = dir.display().to_string();
                let path = path.replace('\\', "\\\\").replace('"', "\\\"");
                format!("{name} = {{ path = \"{path}\"{features} }}")
            }
        }
    }

    /// What the README of the project says of it.
    pub(super) fn readme(&self) -> String {
        match self {
            Self::Released => format!(
                "\
## plugin-api

`Cargo.toml` names plugin-api {VERSION} and plugin-test-host {VERSION}, which are not published yet. Until they are, name a checkout of their
repository in their place, or the repository itself:

```toml
plugin-api = {{ path = \"../plugin-engine/plugin-api\", features = [\"schema\"] }}
plugin-test-host = {{ path = \"../plugin-engine/plugin-api/test-host\" }}
```"
            ),
            Self::Directory(_) => "\
## plugin-api

`Cargo.toml` names plugin-api and plugin-test-host by their directory on this machine. For others, and for `.github/workflows/ci.yml`, name
the repository (`git = \"…\"`), or the version once it is published."
                .to_owned(),
        }
    }
}

fn is_plugin_api(dir: &Path) -> bool {
    let manifest = fs::read_to_string(dir.join("Cargo.toml")).unwrap_or_default();
    let mut lines = manifest.lines();
    lines.any(|line| line.replace(' ', "") == "name=\"plugin-api\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crate_is_found_in_the_directory_or_below_it() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let found = ApiSource::directory(&workspace).unwrap();
        assert_eq!(
            found,
            ApiSource::directory(&workspace.join("plugin-api")).unwrap()
        );
        let line = found.dependency("plugin-test-host", "");
        assert!(line.contains("/plugin-api/test-host\" }"), "{line}");
        let error = ApiSource::directory(&workspace.join("engine")).unwrap_err();
        assert_eq!(error.code().as_str(), "PE0804");
    }

    #[test]
    fn a_path_is_written_as_toml_wants_it() {
        let source = ApiSource::Directory(PathBuf::from("/a \"b\"\\c"));
        assert_eq!(
            source.dependency("plugin-api", "\"schema\""),
            r#"plugin-api = { path = "/a \"b\"\\c", features = ["schema"] }"#
        );
    }
}
