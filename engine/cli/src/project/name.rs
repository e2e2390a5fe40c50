//! The name of a project, which is that of its crate and the id of its plugin.

use super::ProjectError;

/// The longest id of a plugin, in characters.
const LEN_MAX: usize = 64;

/// Words of the language, and names that it or its tools have given away.
const RESERVED: [&str; 58] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "union",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
    "tests",
];

/// What a project depends on, which cannot have its name.
const DEPENDENCIES: [&str; 6] = [
    "plugin-api",
    "plugin-test-host",
    "serde",
    "serde-json",
    "tokio",
    "tracing",
];

/// A name that can be that of a crate and the id of a plugin: `[a-z][a-z0-9_-]{0,63}`, and no word of the language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProjectName(String);

impl ProjectName {
    pub(crate) fn new(name: &str) -> Result<Self, ProjectError> {
        match objection(name) {
            None => Ok(Self(name.to_owned())),
            Some(reason) => Err(ProjectError::Name {
                name: name.to_owned(),
                reason,
            }),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the type that implements the plugin: `WeatherReport` for `weather-report`.
    pub(super) fn type_name(&self) -> String {
        let words = self.0.split(['-', '_']).filter(|word| !word.is_empty());
        words
            .map(|word| {
                let (first, rest) = word.split_at(1);
                first.to_ascii_uppercase() + rest
            })
            .collect()
    }

    /// The name of the file that Cargo builds, without its ending.
    pub(crate) fn library_stem(&self) -> String {
        format!("lib{}", self.0.replace('-', "_"))
    }
}

/// Why this is no name, if so.
fn objection(name: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let form = "a name begins with a letter from a to z, and goes on with those, digits, - and _";
    if name.contains(['/', '\\']) {
        return Some("it is a path; say with --in where the project is to be".to_owned());
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(fits) {
        let lower = name.to_ascii_lowercase();
        let is_meant = lower != name && objection(&lower).is_none();
        return Some(if is_meant {
            format!("{form}; did you mean \"{lower}\"?")
        } else {
            form.to_owned()
        });
    }
    if name.len() > LEN_MAX {
        return Some(format!(
            "it has {} characters; the limit is {LEN_MAX}",
            name.len()
        ));
    }
    let plain = name.replace('_', "-");
    if RESERVED.contains(&plain.as_str()) {
        return Some("it is a word that the language or its tools have for themselves".to_owned());
    }
    let taken = DEPENDENCIES.contains(&plain.as_str());
    taken.then(|| "it is that of a crate that the project depends on".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_good_for_a_crate_and_for_an_id() {
        for good in [
            "a",
            "weather",
            "weather-report",
            "weather_2",
            &"x".repeat(64),
        ] {
            let name = ProjectName::new(good).unwrap();
            plugin_engine::PluginId::new(name.as_str()).unwrap();
        }
        for (bad, why) in [
            ("", "begins with a letter"),
            ("2weather", "begins with a letter"),
            ("-weather", "begins with a letter"),
            ("Weather", "did you mean \"weather\"?"),
            ("Self", "begins with a letter"),
            ("wetter bericht", "begins with a letter"),
            ("größe", "begins with a letter"),
            ("a/b", "--in"),
            ("..", "begins with a letter"),
            (&"x".repeat(65), "the limit is 64"),
            ("async", "the language"),
            ("proc_macro", "the language"),
            ("plugin_api", "depends on"),
            ("tokio", "depends on"),
        ] {
            let error = ProjectName::new(bad).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn the_type_and_the_file_are_named_after_it() {
        let name = ProjectName::new("weather-report_2").unwrap();
        assert_eq!(name.type_name(), "WeatherReport2");
        assert_eq!(name.library_stem(), "libweather_report_2");
        assert_eq!(ProjectName::new("a--b-").unwrap().type_name(), "AB");
    }
}
