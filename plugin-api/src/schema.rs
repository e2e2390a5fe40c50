//! Derives the JSON Schema of a plugin's settings from their type.

use schemars::JsonSchema;

/// The JSON Schema of a type, for [`Plugin::settings_schema`](crate::Plugin::settings_schema).
///
/// `#[serde(deny_unknown_fields)]` makes unknown keys a violation, comments for documentation become descriptions, and
/// `#[schemars(range(min = 1))]` and its like become bounds.
///
/// ```
/// #[derive(serde::Deserialize, plugin_api::schemars::JsonSchema)]
/// #[schemars(crate = "plugin_api::schemars")]
/// #[serde(deny_unknown_fields)]
/// struct Settings {
///     /// The number to count from.
///     start: u64,
/// }
///
/// let schema = plugin_api::schema::<Settings>().unwrap();
/// assert!(schema.contains("The number to count from."));
/// ```
#[must_use]
pub fn schema<T: JsonSchema>() -> Option<String> {
    serde_json::to_string(&schemars::schema_for!(T)).ok()
}
