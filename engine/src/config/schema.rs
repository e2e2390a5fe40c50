//! The JSON Schema of configuration files, made from the table of keys, for editors.

use serde_json::{Map, Value, json};

use plugin_engine_core::REQUIREMENTS_MAX;

use super::keys::{self, Default, Key, Kind, Section};

/// The JSON Schema of a configuration file: of the engine's, or of one beside a plugin file. Ends with a line feed.
///
/// ```
/// let schema: serde_json::Value = serde_json::from_str(&plugin_engine::config::schema())?;
/// assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[must_use]
pub fn schema() -> String {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of a plugin engine, or of one plugin",
        "anyOf": [section(&keys::ENGINE_FILE), section(&keys::BESIDE)],
    });
    // An object of strings, numbers and lists is always written.
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

fn section(section: &Section) -> Value {
    let keys = section.keys.iter();
    let properties: Map<_, _> = keys
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    json!({
        "type": "object",
        "description": section.doc,
        "properties": properties,
        "additionalProperties": false,
    })
}

fn property(key: &Key) -> Value {
    let mut property = match key.kind {
        Kind::Id => json!({ "type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$" }),
        Kind::Path => json!({ "type": "string", "minLength": 1 }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Duration { .. } => json!({
            "type": "string",
            "pattern": "^([0-9]+ *[a-zA-Z]+ *)+$|^0$",
            "examples": ["500ms", "1s", "5m", "1h 30m"],
        }),
        Kind::Count { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Choice(choices) => json!({ "type": "string", "enum": choices }),
        Kind::PublicKeys => json!({
            "type": "array",
            "maxItems": keys::LIST_LEN_MAX,
            "items": { "type": "string", "minLength": 56, "maxLength": 56 },
        }),
        Kind::Owners => json!({
            "type": "array",
            "maxItems": keys::LIST_LEN_MAX,
            "items": { "type": "integer", "minimum": 0, "maximum": u32::MAX },
        }),
        Kind::Requirements => json!({
            "type": "array",
            "maxItems": REQUIREMENTS_MAX,
            "items": {
                "type": "string",
                "pattern": "^ *[a-z0-9][a-z0-9_-]{0,63} *([<>=~^*].*)?$|^ *[a-z0-9][a-z0-9_-]{0,63} +[0-9xX].*$",
                "examples": ["clock", "clock >= 1.2", "clock >= 1.2, < 2"],
            },
        }),
        Kind::Settings => json!({ "type": "object" }),
        Kind::Table(table) => section(table),
        Kind::Tables(table) => {
            let mut items = section(table);
            items["anyOf"] = json!([{ "required": ["id"] }, { "required": ["file"] }]);
            json!({ "type": "array", "maxItems": keys::ENTRIES_MAX, "items": items })
        }
    };
    let range = match key.kind {
        Kind::Duration { .. } => format!(" Write {}.", key.kind.wanted()),
        _ => String::new(),
    };
    property["description"] = Value::from(format!("{}{range}", key.doc));
    match key.default {
        Default::None => {}
        Default::Flag(flag) => property["default"] = Value::from(flag),
        Default::Duration(time) => property["default"] = Value::from(keys::duration_text(time)),
        Default::Count(count) => property["default"] = Value::from(count),
        Default::Choice(choice) => property["default"] = Value::from(choice),
    }
    property
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_schema_is_that_of_the_table_of_keys() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/config.schema.json");
        let published = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            published == schema(),
            "engine/schema/config.schema.json is out of step; `plugin-engine config schema` writes it"
        );
    }

    #[test]
    fn the_schema_takes_what_the_engine_takes_and_refuses_what_it_refuses() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        let schema = jsonschema::validator_for(&schema).unwrap();
        for (file, fits) in [
            (json!({}), true),
            (json!({ "interval": "1s", "settings": { "x": 1 } }), true),
            (json!({ "interval": 1 }), false),
            (json!({ "intervall": "1s" }), false),
            (json!({ "unmap": "when-safe" }), true),
            (json!({ "unmap": "at-once" }), false),
            (
                json!({ "plugin": [{ "id": "a" }, { "file": "x.so" }] }),
                true,
            ),
            (json!({ "plugin": [{ "enabled": true }] }), false),
            (json!({ "engine": { "workers": 257 } }), false),
            (
                json!({ "engine": { "workers": 256 }, "defaults": { "jitter": "5s" } }),
                true,
            ),
            (json!({ "verify": { "trusted_owners": [-1] } }), false),
            (
                json!({ "requires": ["clock", "clock>=1.2", "feed 1.2, <1.9"] }),
                true,
            ),
            (json!({ "requires": ["Clock"] }), false),
            (json!({ "requires": ["clock feed"] }), false),
            (json!({ "requires": "clock" }), false),
            (json!({ "requires": vec!["clock"; 65] }), false),
            (json!({ "defaults": { "requires": ["clock"] } }), false),
        ] {
            assert_eq!(schema.is_valid(&file), fits, "{file}");
        }
    }
}
