//! Settings that nobody has thought of, made from the schema of a plugin: some that fit, some that do not.

use serde_json::{Map, Value, json};

/// The most properties that are tried each by itself.
const PROPERTIES_MAX: usize = 64;
/// A text that is longer than anybody writes by hand.
const LONG_TEXT: usize = 64 * 1024;
/// The key that no plugin has.
const UNKNOWN: &str = "no-such-setting-of-any-plugin";
/// How deep references are followed.
const DEPTH_MAX: usize = 8;

/// Settings to be tried.
pub(super) struct Sample {
    /// What is special about them.
    pub(super) what: String,
    pub(super) settings: Map<String, Value>,
    /// Whether the schema does not allow them.
    pub(super) is_wrong: bool,
}

/// What is tried of a plugin with this schema, or with none. `given` are settings that somebody says are good.
pub(super) fn samples(schema: Option<&Value>, given: &Map<String, Value>) -> Vec<Sample> {
    let Some(schema) = schema else {
        return vec![
            with(given, "an unknown key", UNKNOWN, json!(true), false),
            with(
                given,
                "an unknown key with a table",
                UNKNOWN,
                json!({ "a": [1] }),
                false,
            ),
        ];
    };
    let base = base(schema, given);
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let mut samples = vec![
        Sample {
            what: "what the schema asks for".to_owned(),
            settings: base.clone(),
            is_wrong: false,
        },
        with(&base, "an unknown key", UNKNOWN, json!(true), closed),
    ];
    for name in required(schema) {
        let mut settings = base.clone();
        settings.remove(name);
        samples.push(Sample {
            what: format!("no `{name}`"),
            settings,
            is_wrong: true,
        });
    }
    for (name, property) in properties(schema).take(PROPERTIES_MAX) {
        let property = resolved(schema, property);
        if let Some(wrong) = of_another_type(property) {
            let what = format!("`{name}` of another type");
            samples.push(with(&base, &what, name, wrong, true));
        }
        for (what, value) in edges(property) {
            let what = format!("`{name}` {what}");
            samples.push(with(&base, &what, name, value, false));
        }
    }
    samples
}

fn with(base: &Map<String, Value>, what: &str, name: &str, value: Value, is_wrong: bool) -> Sample {
    let mut settings = base.clone();
    settings.insert(name.to_owned(), value);
    Sample {
        what: what.to_owned(),
        settings,
        is_wrong,
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let properties = properties.into_iter().flatten();
    properties.map(|(name, property)| (&**name, property))
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    let required = schema.get("required").and_then(Value::as_array);
    required.into_iter().flatten().filter_map(Value::as_str)
}

/// Settings with everything that is required: as given, or made up.
fn base(schema: &Value, given: &Map<String, Value>) -> Map<String, Value> {
    let mut base = given.clone();
    for name in required(schema) {
        let property = properties(schema).find(|(one, _)| *one == name);
        if let Some((_, property)) = property
            && !base.contains_key(name)
            && let Some(value) = made_up(resolved(schema, property))
        {
            base.insert(name.to_owned(), value);
        }
    }
    base
}

/// The property that a reference within the schema leads to.
fn resolved<'a>(schema: &'a Value, mut property: &'a Value) -> &'a Value {
    for _ in 0..DEPTH_MAX {
        let path = property.get("$ref").and_then(Value::as_str);
        let found = path.and_then(|path| schema.pointer(path.strip_prefix('#')?));
        match found {
            Some(found) => property = found,
            None => break,
        }
    }
    property
}

/// The one type that a property may have.
fn type_of(property: &Value) -> Option<&str> {
    property.get("type").and_then(Value::as_str)
}

fn made_up(property: &Value) -> Option<Value> {
    for key in ["default", "const"] {
        if let Some(value) = property.get(key) {
            return Some(value.clone());
        }
    }
    for key in ["examples", "enum"] {
        if let Some(value) = property.get(key).and_then(|list| list.get(0)) {
            return Some(value.clone());
        }
    }
    let number = |key| property.get(key).cloned();
    match type_of(property)? {
        "string" => {
            let least = property.get("minLength").and_then(Value::as_u64);
            let least = usize::try_from(least.unwrap_or(1))
                .unwrap_or(1)
                .clamp(1, LONG_TEXT);
            Some(Value::String("a".repeat(least)))
        }
        "integer" | "number" => Some(number("minimum").unwrap_or(json!(1))),
        "boolean" => Some(json!(false)),
        "array" => Some(json!([])),
        "object" => Some(json!({})),
        _ => None,
    }
}

fn of_another_type(property: &Value) -> Option<Value> {
    match type_of(property)? {
        "string" => Some(json!(7)),
        "integer" | "number" | "boolean" | "array" | "object" => Some(json!("of another type")),
        _ => None,
    }
}

/// Values that are allowed, or are for the plugin itself to refuse.
fn edges(property: &Value) -> Vec<(&'static str, Value)> {
    match type_of(property) {
        Some("string") => vec![
            ("that is empty", json!("")),
            (
                "that is very long",
                Value::String("é".repeat(LONG_TEXT / 2)),
            ),
        ],
        Some("integer" | "number") => {
            let bound = |key, default| property.get(key).cloned().unwrap_or(default);
            vec![
                ("as low as may be", bound("minimum", json!(i64::MIN))),
                ("as high as may be", bound("maximum", json!(i64::MAX))),
            ]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(schema: &Value, given: Value) -> Vec<(String, Value, bool)> {
        let given = given.as_object().unwrap();
        let samples = samples(Some(schema), given).into_iter();
        samples
            .map(|one| (one.what, Value::Object(one.settings), one.is_wrong))
            .collect()
    }

    #[test]
    fn what_is_required_is_made_up_left_out_and_given_another_type() {
        let schema = json!({
            "additionalProperties": false, "required": ["path"],
            "properties": { "path": { "$ref": "#/$defs/P" }, "n": { "type": "integer", "maximum": 9 } },
            "$defs": { "P": { "type": "string", "minLength": 2 } },
        });
        let tried = tried(&schema, json!({}));
        let is_wrong = |what: &str| tried.iter().find(|one| one.0 == what).unwrap().2;
        assert_eq!(tried[0].1, json!({ "path": "aa" }));
        for (what, wrong) in [
            ("an unknown key", true),
            ("no `path`", true),
            ("`path` of another type", true),
            ("`n` of another type", true),
            ("`path` that is empty", false),
            ("`n` as high as may be", false),
        ] {
            assert_eq!(is_wrong(what), wrong, "{what}");
        }
        let high = tried.iter().find(|one| one.0 == "`n` as high as may be");
        assert_eq!(high.unwrap().1["n"], 9);
    }

    #[test]
    fn what_is_given_stays_and_an_open_schema_forbids_no_key() {
        let schema = json!({ "required": ["a"], "properties": { "a": { "type": "string" } } });
        let tried = tried(&schema, json!({ "a": "mine" }));
        assert_eq!(tried[0].1, json!({ "a": "mine" }));
        assert!(!tried[1].2);
    }
}
