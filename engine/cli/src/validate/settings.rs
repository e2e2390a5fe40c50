//! The settings that somebody gives a plugin to be validated with: a file, or the lines themselves.

use std::path::Path;

use plugin_engine::Code;
use toml::{Table, Value};

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings in {path}: {source}")]
    Unreadable {
        path: String,
        #[source]
        source: std::io::Error,
    },
    /// It is no TOML.
    #[error("the settings {given} are no TOML, and no file of that name is there: {reason}")]
    NoToml { given: String, reason: String },
}

impl SettingsError {
    pub(crate) fn code(&self) -> Code {
        Code::VALIDATE_SETTINGS_UNREADABLE
    }
}

/// The settings as a table of TOML. A file is one beside a plugin file, whose `[settings]` are taken, or has nothing but settings.
pub(super) fn read(given: &str) -> Result<Table, SettingsError> {
    let path = Path::new(given);
    if !path.is_file() {
        return parse(given, given);
    }
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Unreadable {
        path: given.to_owned(),
        source,
    })?;
    let mut table = parse(&text, given)?;
    let mut settings = match table.remove("settings") {
        Some(Value::Table(settings)) => settings,
        Some(other) => {
            table.insert("settings".to_owned(), other);
            table
        }
        None => table,
    };
    // The configuration of the child lies elsewhere than this file.
    if let Ok(path) = path.canonicalize()
        && let Some(dir) = path.parent()
    {
        settings.iter_mut().for_each(|(_, value)| root(value, dir));
    }
    Ok(settings)
}

fn parse(text: &str, given: &str) -> Result<Table, SettingsError> {
    text.parse().map_err(|error: toml::de::Error| {
        let shown = plugin_engine::bounded(given, 80);
        SettingsError::NoToml {
            given: format!("{shown:?}"),
            reason: error.message().replace('\n', " "),
        }
    })
}

/// What refers to a file below `dir` refers to it from anywhere.
fn root(value: &mut Value, dir: &Path) {
    match value {
        Value::String(text) => {
            if let Some(path) = text.strip_prefix("file:")
                && !path.is_empty()
                && let Some(path) = dir.join(path).to_str()
            {
                *text = format!("file:{path}");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|value| root(value, dir)),
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| root(value, dir)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_lines_or_a_file_of_them_or_a_configuration_with_them() {
        assert_eq!(read("a = 1").unwrap()["a"].as_integer(), Some(1));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.toml");
        let given = file.to_str().unwrap();
        for text in [
            "a = \"file:b\"",
            "interval = \"1s\"\n[settings]\na = \"file:b\"",
        ] {
            std::fs::write(&file, text).unwrap();
            let settings = read(given).unwrap();
            assert_eq!(settings.len(), 1, "{text}");
            let path = dir.path().canonicalize().unwrap().join("b");
            let expected = format!("file:{}", path.display());
            assert_eq!(settings["a"].as_str(), Some(&*expected));
        }
    }

    #[test]
    fn what_is_neither_is_told_with_what_was_given() {
        let said = read("no such file.toml").unwrap_err().to_string();
        assert!(
            said.contains("\"no such file.toml\"") && said.contains("no TOML"),
            "{said}"
        );
    }
}
