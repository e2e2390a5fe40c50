//! What has to be done with settings each time a plugin is created: look up what references stand for, and check all of it
//! against the plugin's schema.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::error::{ConfigError, Problem, code};
use super::plugin::PluginConfig;
use super::settings::{Resolved, Settings};
use super::settings_schema::SettingsSchema;
use super::source::Place;

/// What has to be done with the settings of one plugin before it is created.
pub(crate) struct Preparation {
    settings: Option<Arc<Settings>>,
    schema: Option<Arc<SettingsSchema>>,
    place: Option<Place>,
    path: Arc<Path>,
}

impl Preparation {
    /// `path` is the file in which settings would be written that are not said at all.
    pub(crate) fn new(
        config: &PluginConfig,
        schema: Option<&Arc<SettingsSchema>>,
        path: &Path,
    ) -> Self {
        Self {
            settings: config.settings(),
            schema: schema.cloned(),
            place: config.place(),
            path: path.into(),
        }
    }

    /// Whether the same comes out each time, so that once is enough.
    pub(crate) fn is_constant(&self) -> bool {
        self.settings.as_ref().is_none_or(|said| !said.refers())
    }

    /// Makes the settings that the plugin gets, and checks them.
    pub(crate) fn prepare(&self) -> Result<Resolved, ConfigError> {
        let settings = self.settings.as_deref();
        let resolved = match settings {
            Some(settings) => settings.resolve()?,
            None => Resolved {
                value: Value::Object(serde_json::Map::new()),
                json: "{}".to_owned(),
                secrets: Vec::new(),
            },
        };
        if let Some(schema) = &self.schema {
            schema.check(&resolved, settings, &|reason| match &self.place {
                Some(place) => Problem::new(code::SETTINGS, place, reason),
                None => Problem::of_file(code::SETTINGS, &self.path, reason),
            })?;
        }
        Ok(resolved)
    }
}
