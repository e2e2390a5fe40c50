//! The settings that a test gives, and the check of them against the plugin's schema.

use plugin_api::limits::SCHEMA_LEN_MAX;
use serde_json::Value;

use crate::error::CallError;

/// The settings as the boundary has them, if they are what an engine would hand over.
pub(crate) fn checked(
    settings: &Result<Value, String>,
    schema: Result<Option<String>, String>,
) -> Result<String, CallError> {
    let value = match settings {
        Ok(value) => value,
        Err(reason) => {
            let found = format!("what cannot be written as one: {reason}");
            return Err(CallError::SettingsNoTable { found });
        }
    };
    if !value.is_object() {
        let found = value.to_string();
        return Err(CallError::SettingsNoTable { found });
    }
    match schema {
        Ok(None) => {}
        Ok(Some(schema)) => compare(value, &schema)?,
        Err(reason) => {
            let reason = format!("it panicked: {reason}");
            return Err(CallError::BadSchema { reason });
        }
    }
    Ok(value.to_string())
}

fn compare(settings: &Value, schema: &str) -> Result<(), CallError> {
    let bad = |reason: String| CallError::BadSchema { reason };
    if schema.len() > SCHEMA_LEN_MAX {
        let len = schema.len();
        return Err(bad(format!(
            "it has {len} bytes; the limit is {SCHEMA_LEN_MAX}"
        )));
    }
    let schema: Value =
        serde_json::from_str(schema).map_err(|error| bad(format!("it is no JSON: {error}")))?;
    if !schema.is_object() {
        return Err(bad("it is no JSON object".to_owned()));
    }
    violations(settings, &schema)
}

#[cfg(feature = "schema")]
fn violations(settings: &Value, schema: &Value) -> Result<(), CallError> {
    let validator = jsonschema::validator_for(schema).map_err(|error| CallError::BadSchema {
        reason: error.to_string(),
    })?;
    let violations: Vec<String> = validator
        .iter_errors(settings)
        .map(|violation| {
            let steps = violation.instance_path().as_str().split('/').skip(1);
            let key = steps.fold("settings".to_owned(), |key, step| key + "." + step);
            format!("{key}: {violation}")
        })
        .collect();
    if violations.is_empty() {
        return Ok(());
    }
    Err(CallError::SettingsRefused { violations })
}

/// Without the feature `schema`, only `create` judges them.
#[cfg(not(feature = "schema"))]
fn violations(_: &Value, _: &Value) -> Result<(), CallError> {
    Ok(())
}
