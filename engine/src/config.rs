//! What a person may say of a plugin: a TOML file beside the plugin file, or `[[plugin]]` entries of the engine's configuration.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plugin_engine_core::{INTERVAL_MAX, INTERVAL_MIN, PluginId, TIMEOUT_MAX, TIMEOUT_MIN};
use serde::{Deserialize, Deserializer, de};

use crate::error::ConfigError;
use crate::verify::VerifyPolicy;

/// The longest configuration file that is read, in bytes.
const CONFIG_LEN_MAX: u64 = 16 * 1024 * 1024;

/// What is said of one plugin. What is not said is the manifest's, or a default.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct PluginConfig {
    /// The id; the manifest's if not given.
    #[serde(deserialize_with = "id")]
    pub id: Option<PluginId>,
    /// The plugin file, relative to the plugin directory. Only in the engine's configuration.
    pub file: Option<PathBuf>,
    /// Whether the plugin is switched on.
    pub enabled: Option<bool>,
    /// The interval between updates, 1 ms to 365 days.
    #[serde(deserialize_with = "interval")]
    pub interval: Option<Duration>,
    /// How long one update may take, 1 ms to one day.
    #[serde(deserialize_with = "timeout")]
    pub timeout: Option<Duration>,
    /// The range over which the first updates of plugins are spread, each at a phase of its own; at most the interval.
    #[serde(deserialize_with = "interval")]
    pub jitter: Option<Duration>,
    /// The plugin's own settings.
    pub settings: Option<toml::Table>,
    /// Entries of the engine's configuration that name an id and no file: which one is meant is known with the manifest.
    #[serde(skip)]
    pub(crate) by_id: Vec<PluginConfig>,
}

impl PluginConfig {
    /// The settings as the JSON object that crosses the boundary.
    pub(crate) fn settings_json(&self) -> String {
        let Some(settings) = &self.settings else {
            return "{}".to_owned();
        };
        // A table of TOML is always an object of JSON; dates become their text.
        serde_json::to_string(settings).unwrap_or_else(|_| "{}".to_owned())
    }

    /// What holds for the plugin, now that the manifest's id is known: what the engine's configuration says of that id comes
    /// before what the file beside the plugin says.
    pub(crate) fn for_id(&self, manifest_id: &PluginId) -> Self {
        let id = self.id.as_ref().unwrap_or(manifest_id);
        let mut config = self.clone();
        config.by_id.clear();
        if let Some(entry) = self
            .by_id
            .iter()
            .find(|entry| entry.id.as_ref() == Some(id))
        {
            let entry = entry.clone();
            config.enabled = entry.enabled.or(config.enabled);
            config.interval = entry.interval.or(config.interval);
            config.timeout = entry.timeout.or(config.timeout);
            config.jitter = entry.jitter.or(config.jitter);
            config.settings = entry.settings.or(config.settings);
        }
        config
    }

    /// The delay before the first update: a fixed share of the jitter, by the id, so that it is the same at every start.
    pub(crate) fn phase(&self, id: &PluginId) -> Duration {
        let Some(jitter) = self.jitter else {
            return Duration::ZERO;
        };
        // FNV-1a, because the phase must not change with a version of some hasher.
        let hash = id
            .as_str()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        jitter.mul_f64((hash >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// The engine's configuration file.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EngineConfig {
    pub(crate) plugin: Vec<PluginConfig>,
    pub(crate) verify: VerifyTable,
}

/// What plugin files must fulfil.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct VerifyTable {
    require_signature: bool,
    trusted_keys: Vec<String>,
    lock: Option<PathBuf>,
    allow_rpath: bool,
    trusted_owners: Vec<u32>,
}

impl VerifyPolicy {
    /// Reads the `verify` table of an engine's configuration file.
    ///
    /// # Errors
    /// The file cannot be read, or anything in it is not good.
    pub fn from_config_file(path: &Path) -> Result<Self, ConfigError> {
        let table = read_engine(path)?.verify;
        let beside = |lock| path.parent().unwrap_or(Path::new(".")).join(lock);
        Ok(Self {
            require_signature: table.require_signature,
            trusted_keys: table.trusted_keys,
            lock: table.lock.map(beside),
            allow_rpath: table.allow_rpath,
            trusted_owners: table.trusted_owners,
        })
    }
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PluginId>, D::Error> {
    let text = String::deserialize(deserializer)?;
    PluginId::new(&text).map(Some).map_err(de::Error::custom)
}

fn interval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer, INTERVAL_MIN, INTERVAL_MAX)
}

fn timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer, TIMEOUT_MIN, TIMEOUT_MAX)
}

/// A text with a unit, within a range. A bare number is refused: nobody can see whether it means seconds.
fn duration<'de, D: Deserializer<'de>>(
    deserializer: D,
    min: Duration,
    max: Duration,
) -> Result<Option<Duration>, D::Error> {
    struct Visitor {
        expected: String,
        range: std::ops::RangeInclusive<Duration>,
    }

    impl de::Visitor<'_> for Visitor {
        type Value = Duration;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(&self.expected)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
            match humantime::parse_duration(text) {
                Ok(value) if self.range.contains(&value) => Ok(value),
                _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
            }
        }
    }

    let expected = format!(
        "a duration in quotes, from \"{}\" to \"{}\", such as \"1s\"",
        humantime::format_duration(min),
        humantime::format_duration(max)
    );
    deserializer
        .deserialize_str(Visitor {
            expected,
            range: min..=max,
        })
        .map(Some)
}

/// Reads the file beside a plugin file; an absent one says nothing.
pub(crate) fn read_beside(path: &Path) -> Result<PluginConfig, ConfigError> {
    match read(path) {
        Ok(text) => {
            let config: PluginConfig = parse(path, &text)?;
            if config.file.is_some() {
                return Err(value_error(
                    path,
                    &text,
                    None,
                    "file: is said by where this file lies; it belongs into the engine's configuration",
                ));
            }
            Ok(config)
        }
        Err(ConfigError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(PluginConfig::default())
        }
        Err(error) => Err(error),
    }
}

/// Reads the engine's configuration file.
pub(crate) fn read_engine(path: &Path) -> Result<EngineConfig, ConfigError> {
    let text = read(path)?;
    let config: EngineConfig = parse(path, &text)?;
    let mut ids = HashSet::new();
    for plugin in &config.plugin {
        if plugin.file.is_none() && plugin.id.is_none() {
            return Err(value_error(
                path,
                &text,
                None,
                "a [[plugin]] needs an id, or a file, or both",
            ));
        }
        if let Some(id) = &plugin.id
            && !ids.insert(id)
        {
            return Err(ConfigError::Duplicate {
                path: path.to_owned(),
                id: id.clone(),
            });
        }
    }
    Ok(config)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() || metadata.len() > CONFIG_LEN_MAX {
        return Err(failed(std::io::Error::other(
            "it is no regular file of at most 16 MiB",
        )));
    }
    std::fs::read_to_string(path).map_err(failed)
}

fn parse<T: de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| value_error(path, text, error.span(), error.message()))
}

fn value_error(
    path: &Path,
    text: &str,
    span: Option<std::ops::Range<usize>>,
    reason: &str,
) -> ConfigError {
    let before = &text[..text.floor_char_boundary(span.map_or(0, |span| span.start))];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    ConfigError::Value {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        reason: reason.trim().replace('\n', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(text: &str) -> Result<PluginConfig, ConfigError> {
        parse(Path::new("a.toml"), text)
    }

    #[test]
    fn a_configuration_is_read_typed() {
        let config = plugin(
            "id = \"b\"\nenabled = false\ninterval = \"1s\"\ntimeout = \"500ms\"\n[settings]\nstart = 3\n",
        )
        .unwrap();
        assert_eq!(config.interval, Some(Duration::from_secs(1)));
        assert_eq!(config.enabled, Some(false));
        assert_eq!(config.settings_json(), "{\"start\":3}");
    }

    #[test]
    fn bad_values_are_refused_with_line_and_range() {
        for (text, says) in [
            (
                "interval = \"0s\"",
                "a.toml:1:12: invalid value: string \"0s\", expected a duration in quotes, from \"1ms\"",
            ),
            (
                "\ninterval = 5",
                "a.toml:2:12: invalid type: integer `5`, expected a duration in quotes",
            ),
            ("interval = \"-1s\"", "expected a duration"),
            ("timeout = \"999days\"", "to \"1day\""),
            ("interval = nan", "invalid type: floating point"),
            (
                "intervall = \"1s\"",
                "unknown field `intervall`, expected one of",
            ),
            ("id = \"Not An Id\"", "is no plugin id"),
            ("enabled = \"yes\"", "expected a boolean"),
            ("x", "a.toml:1:"),
        ] {
            let error = plugin(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn the_phase_is_fixed_and_within_the_jitter() {
        let config = plugin("jitter = \"1s\"").unwrap();
        let phases: HashSet<_> = (0..100)
            .map(|n| config.phase(&PluginId::new(&format!("p{n}")).unwrap()))
            .collect();
        assert!(phases.iter().all(|phase| *phase < Duration::from_secs(1)));
        assert!(phases.len() > 90);
        let id = PluginId::new("clock").unwrap();
        assert_eq!(config.phase(&id), config.phase(&id));
    }
}
