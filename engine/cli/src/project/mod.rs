//! The project of a new plugin: its name, its template, and the files that it is made of.
//!
//! What lives here: what is written, and where to. What never will: building it, which is Cargo's.

mod error;
mod name;
mod source;
mod template;

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) use error::ProjectError;
pub(crate) use name::ProjectName;
pub(crate) use source::ApiSource;
pub(crate) use template::Template;

/// A project that is to be written.
pub(crate) struct Project {
    pub(crate) name: ProjectName,
    pub(crate) template: Template,
    pub(crate) source: ApiSource,
}

impl Project {
    /// Writes the project into a directory of its name below `parent`, which must not be there yet. Returns that directory and the files
    /// in it. Where a file cannot be written, nothing is left.
    pub(crate) fn write(
        &self,
        parent: &Path,
    ) -> Result<(PathBuf, Vec<&'static str>), ProjectError> {
        let dir = parent.join(self.name.as_str());
        let exists = |error: &std::io::Error| error.kind() == std::io::ErrorKind::AlreadyExists;
        fs::create_dir(&dir).map_err(|error| match error {
            error if exists(&error) => ProjectError::Exists(dir.clone()),
            error => ProjectError::unwritable(&dir, error),
        })?;
        let written = self.write_files(&dir);
        if written.is_err() {
            // It was made above and is nobody else's. What cannot be removed either is told by the error that stands.
            let _ = fs::remove_dir_all(&dir);
        }
        Ok((dir, written?))
    }

    fn write_files(&self, dir: &Path) -> Result<Vec<&'static str>, ProjectError> {
        let mut names = Vec::new();
        for (name, text) in self.files() {
            let path = dir.join(name);
            let parent = path.parent().unwrap_or(dir);
            fs::create_dir_all(parent)
                .and_then(|()| fs::write(&path, text))
                .map_err(|error| ProjectError::unwritable(&path, error))?;
            names.push(name);
        }
        Ok(names)
    }

    fn files(&self) -> [(&'static str, String); 6] {
        [
            ("Cargo.toml", self.cargo_toml()),
            (".gitignore", template::GITIGNORE.to_owned()),
            (".github/workflows/ci.yml", template::CI.to_owned()),
            ("README.md", self.readme()),
            ("src/lib.rs", self.named(self.template.lib())),
            ("src/tests.rs", self.named(self.template.tests())),
        ]
    }

    /// A text of a template with the names of this project.
    fn named(&self, text: &str) -> String {
        let text = text
            .replace("plugin-name", self.name.as_str())
            .replace("PluginName", &self.name.type_name());
        wrap_export(&text)
    }

    fn cargo_toml(&self) -> String {
        let name = self.name.as_str();
        let api = self
            .source
            .dependency("plugin-api", self.template.features());
        let host = self.source.dependency("plugin-test-host", "");
        let more = self.template.dependencies();
        format!(
            "\
[package]
name = \"{name}\"
version = \"0.1.0\"
edition = \"2024\"
publish = false

[lib]
crate-type = [\"cdylib\"]

[dependencies]
{api}
serde = {{ version = \"1\", features = [\"derive\"] }}
{more}
[dev-dependencies]
{host}
serde_json = \"1\"

# A project of its own, also where it lies below another one.
[workspace]
"
        )
    }

    fn readme(&self) -> String {
        let stem = self.name.library_stem();
        template::README
            .replace("PLUGIN_FILE", &format!("{stem}.so"))
            .replace("PLUGIN_STEM", &stem)
            .replace("SETTING", self.template.setting())
            .replace("SOURCE", &self.source.readme())
            .replace("plugin-name", self.name.as_str())
    }
}

/// Sets the one line whose length depends on the name as `rustfmt` does, which keeps arguments of at most 60 characters on one line.
fn wrap_export(text: &str) -> String {
    let Some((before, export)) = text.split_once("export_plugin!(") else {
        return text.to_owned();
    };
    let Some((arguments, after)) = export.split_once(");") else {
        return text.to_owned();
    };
    if arguments.len() <= 60 {
        return text.to_owned();
    }
    let lines = arguments.replace(", ", ",\n    ");
    format!("{before}export_plugin!(\n    {lines}\n);{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(name: &str, template: Template) -> Project {
        Project {
            name: ProjectName::new(name).unwrap(),
            template,
            source: ApiSource::Released,
        }
    }

    #[test]
    fn every_template_is_short_and_none_leaves_a_place_to_be_filled_in() {
        for template in Template::ALL {
            for (name, text) in project("weather-report", template).files() {
                for place in ["plugin-name", "PluginName", "PLUGIN_", "SETTING", "SOURCE"] {
                    assert!(!text.contains(place), "{template:?}: {name}: {place}");
                }
                let code = text.lines().map(str::trim);
                let code = code.filter(|line| !line.is_empty() && !line.starts_with("//"));
                assert!(name != "src/lib.rs" || code.count() < 40, "{template:?}");
            }
        }
    }

    #[test]
    fn the_export_is_set_as_rustfmt_does() {
        let lib = |name: &str| {
            let project = project(name, Template::Minimal);
            let files = project.files();
            files
                .into_iter()
                .find(|file| file.0 == "src/lib.rs")
                .unwrap()
                .1
        };
        assert!(lib("clock").contains("export_plugin!(Clock, id = \"clock\", interval = \"1s\");"));
        let long = lib("quarterly-weather-report");
        let set = "export_plugin!(\n    QuarterlyWeatherReport,\n    id = \"quarterly-weather-report\",\n    interval = \"1s\"\n);";
        assert!(long.contains(set), "{long}");
    }

    #[test]
    fn what_is_there_is_left_alone_and_what_fails_leaves_nothing() {
        let parent = tempfile::TempDir::new().unwrap();
        let project = project("weather", Template::Minimal);
        let (dir, files) = project.write(parent.path()).unwrap();
        fs::write(dir.join("README.md"), "mine").unwrap();
        assert_eq!(files.len(), 6);
        let error = project.write(parent.path()).unwrap_err();
        assert!(matches!(error, ProjectError::Exists(_)), "{error:?}");
        assert_eq!(fs::read_to_string(dir.join("README.md")).unwrap(), "mine");
        let absent = parent.path().join("absent");
        let error = project.write(&absent).unwrap_err();
        assert!(
            matches!(error, ProjectError::Unwritable { .. }),
            "{error:?}"
        );
        assert!(!absent.exists());
    }
}
