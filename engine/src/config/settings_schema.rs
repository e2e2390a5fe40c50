//! The JSON Schema that a plugin ships for its settings, and the check of settings against it before any instance is made.
//!
//! Values that came from references are quoted nowhere.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jsonschema::error::ValidationErrorKind;
use plugin_api::limits::SCHEMA_LEN_MAX;
use plugin_engine_core::bounded;
use serde_json::Value;

use super::error::{ConfigError, Problem, Problems, code};
use super::nearest::nearest;
use super::settings::{Resolved, Settings};
use super::source::Place;

/// A schema that was found to be one.
pub(crate) struct SettingsSchema {
    schema: Value,
    validator: jsonschema::Validator,
}

impl SettingsSchema {
    /// Reads a schema. The error says in words why it is none. Nothing that it refers to is fetched from anywhere.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        if text.len() > SCHEMA_LEN_MAX {
            return Err(format!(
                "it has {} bytes; the limit is {SCHEMA_LEN_MAX}",
                text.len()
            ));
        }
        let schema: Value =
            serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
        if !schema.is_object() {
            return Err("it is no JSON object".to_owned());
        }
        let compiled =
            catch_unwind(|| jsonschema::validator_for(&schema).map_err(|e| e.to_string()));
        match compiled {
            Ok(Ok(validator)) => Ok(Self { schema, validator }),
            Ok(Err(reason)) => Err(bounded(&reason, 300).to_owned()),
            Err(_) => Err("it cannot be compiled".to_owned()),
        }
    }

    /// Checks settings. `at` is where the plugin is configured, for what is missing altogether.
    pub(super) fn check(
        &self,
        resolved: &Resolved,
        settings: Option<&Settings>,
        at: &dyn Fn(String) -> Problem,
    ) -> Result<(), ConfigError> {
        let mut problems = Problems::default();
        let checked = catch_unwind(AssertUnwindSafe(|| {
            for violation in self.validator.iter_errors(&resolved.value) {
                self.describe(&violation, settings, at, &mut problems);
            }
        }));
        if checked.is_err() {
            problems.add(at(
                "the settings cannot be compared with the plugin's schema".to_owned(),
            ));
        }
        problems.or(())
    }

    fn describe(
        &self,
        violation: &jsonschema::ValidationError<'_>,
        settings: Option<&Settings>,
        at: &dyn Fn(String) -> Problem,
        problems: &mut Problems,
    ) {
        let pointer = violation.instance_path().as_str();
        let steps: Vec<String> = pointer
            .split('/')
            .skip(1)
            .map(|step| step.replace("~1", "/").replace("~0", "~"))
            .collect();
        let steps = || steps.iter().map(String::as_str);
        let key = steps().fold("settings".to_owned(), |key, step| key + "." + step);
        let problem = |place: Option<Place>, reason: String| match place {
            Some(place) => Problem::new(code::SETTINGS, &place, reason),
            None => at(reason),
        };
        if let ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } = violation.kind()
        {
            for name in unexpected {
                let place = settings.and_then(|settings| settings.find_key(steps(), name));
                let reason = format!("unknown key `{key}.{}`", bounded(name, 80));
                problems.add(problem(place, reason).help(self.meant(pointer, name)));
            }
            return;
        }
        let found = settings.map(|settings| settings.find(steps()));
        let said = match &found {
            Some((_, true)) => violation.masked_with("the value").to_string(),
            _ => violation.to_string(),
        };
        let reason = format!("`{key}`: {}", bounded(&said, 300));
        problems.add(problem(found.map(|(place, _)| place), reason));
    }

    /// The key that was probably meant, where the schema names its keys.
    fn meant(&self, pointer: &str, name: &str) -> Option<String> {
        let known = self.schema.get("properties")?.as_object()?;
        let meant = nearest(name, known.keys().map(String::as_str))?;
        pointer
            .is_empty()
            .then(|| format!("did you mean `{meant}`?"))
    }
}

impl std::fmt::Display for SettingsSchema {
    /// As JSON.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.schema.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;

    fn checked(schema: &str, text: &str) -> Vec<String> {
        let text = format!("[settings]\n{text}");
        let source = super::super::source::Source::new(Path::new("a.toml"), text);
        let layer = super::super::read_beside_text(&source).unwrap();
        let config = super::super::PluginConfig {
            entry: None,
            beside: Arc::new(layer),
            defaults: Arc::default(),
        };
        let settings = config.settings().unwrap();
        let resolved = settings.resolve().unwrap();
        let none = |_| panic!("every violation has a place");
        let schema = SettingsSchema::compile(schema).unwrap();
        match schema.check(&resolved, Some(&settings), &none) {
            Ok(()) => Vec::new(),
            Err(error) => error.problems().iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn every_violation_is_told_with_the_place_of_the_value() {
        let schema = r#"{"properties":{"a":{"type":"integer","minimum":2},"b":{"items":{"maxLength":2}},"c/d":{"type":"string"}},
            "required":["e"],"additionalProperties":false}"#;
        assert_eq!(
            checked(schema, "a = 1\nb = [\"x\", \"xyz\"]\n\"c/d\" = 1\nbb = 1"),
            [
                "a.toml:1:1: `settings`: \"e\" is a required property",
                "a.toml:2:5: `settings.a`: 1 is less than the minimum of 2",
                "a.toml:3:11: `settings.b.1`: \"xyz\" is longer than 2 characters",
                "a.toml:4:9: `settings.c/d`: 1 is not of type \"string\"",
                "a.toml:5:1: unknown key `settings.bb`",
            ]
        );
    }

    #[test]
    fn a_violation_around_a_secret_quotes_nothing() {
        let secret = std::env::var("CARGO_PKG_DESCRIPTION").unwrap();
        for schema in [
            r#"{"properties":{"a":{"const":"x"}}}"#,
            r#"{"properties":{"a":{"pattern":"^x$"}}}"#,
            r#"{"anyOf":[{"properties":{"a":{"type":"integer"}}},{"properties":{"a":{"enum":[1]}}}]}"#,
            r#"{"not":{"required":["a"]}}"#,
            r#"{"maxProperties":0}"#,
            r#"{"properties":{"a":false}}"#,
        ] {
            let said = checked(schema, "a = \"${CARGO_PKG_DESCRIPTION}\"").join("\n");
            assert!(!said.is_empty() && !said.contains(&secret), "{said}");
        }
    }

    #[test]
    fn a_violation_around_a_list_with_a_secret_quotes_nothing() {
        let secret = std::env::var("CARGO_PKG_DESCRIPTION").unwrap();
        for schema in [
            r#"{"properties":{"a":{"prefixItems":[{}],"unevaluatedItems":false}}}"#,
            r#"{"properties":{"a":{"prefixItems":[{}],"items":false}}}"#,
            r#"{"$schema":"http://json-schema.org/draft-07/schema#","properties":{"a":{"items":[{}],"additionalItems":false}}}"#,
            r#"{"properties":{"a":{"uniqueItems":true}}}"#,
            r#"{"properties":{"a":{"contains":{"type":"integer"}}}}"#,
            r#"{"properties":{"a":{"maxItems":1}}}"#,
            r#"{"properties":{"a":{"items":{"type":"integer"}}}}"#,
        ] {
            let said = checked(
                schema,
                "a = [\"${CARGO_PKG_DESCRIPTION}\", \"${CARGO_PKG_DESCRIPTION}\"]",
            );
            let said = said.join("\n");
            assert!(!said.is_empty() && !said.contains(&secret), "{said}");
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        assert!(
            checked(
                r##"{"properties":{"a":{"$ref":"#"}}}"##,
                "a = { a = { a = {} } }"
            )
            .is_empty()
        );
        let _ = checked(r##"{"$ref":"#"}"##, "a = 1");
    }

    #[test]
    fn what_is_no_schema_is_refused_in_words() {
        for (text, says) in [
            ("", "it is no JSON"),
            ("[]", "no JSON object"),
            (r#"{"type":"integr"}"#, "integr"),
            (r#"{"$ref":"https://localhost/x"}"#, ""),
            (r#"{"$ref":"file:///etc/passwd"}"#, ""),
            (&"[".repeat(1 << 10), "no JSON"),
            (&"x".repeat(SCHEMA_LEN_MAX + 1), "the limit is 262144"),
        ] {
            let reason = SettingsSchema::compile(text).err().expect("it is none");
            assert!(reason.contains(says) && reason.len() < 400, "{reason}");
            assert!(!reason.contains("root:"), "{reason}");
        }
    }
}
