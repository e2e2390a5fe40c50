//! Reads the manifest that a plugin file carries. The counterpart of `plugin_api::manifest`, which writes it.

use std::time::Duration;

use plugin_api::manifest::{DESCRIPTION_LEN_MAX, NOTE_NAME, NOTE_TYPE};
use plugin_engine_core::{
    INTERVAL_MAX, INTERVAL_MIN, PluginId, TIMEOUT_MAX, TIMEOUT_MIN, bounded, escape_control,
};

use crate::error::VerifyError;

/// What a plugin file says of itself, readable without running any of its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The id that the plugin has unless a configuration gives it another.
    pub id: PluginId,
    /// The author's version.
    pub version: String,
    /// The interval that the plugin has unless a configuration gives it another.
    pub interval: Option<Duration>,
    /// The timeout of an update, likewise.
    pub timeout: Option<Duration>,
    /// The version of `plugin-api` that the file was built against.
    pub api_version: String,
    /// The compiler that built it.
    pub compiler: String,
    /// The target that it was built for.
    pub target: String,
    /// `unwind` or `abort`.
    pub panic: String,
}

fn bad(reason: impl Into<String>) -> VerifyError {
    VerifyError::BadManifest {
        reason: reason.into(),
    }
}

/// Finds the note in the section's bytes. Notes of other names are passed over.
pub(crate) fn description(section: &[u8]) -> Result<&[u8], VerifyError> {
    let word = |at: usize| -> Result<usize, VerifyError> {
        let bytes = section
            .get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| bad("the note is cut off"))?;
        usize::try_from(u32::from_le_bytes(bytes)).map_err(|_| bad("a length does not fit"))
    };
    let mut at = 0;
    while at < section.len() {
        let (name_len, description_len, kind) = (word(at)?, word(at + 4)?, word(at + 8)?);
        if name_len > section.len() || description_len > section.len() {
            return Err(bad("a length in the note is larger than the section"));
        }
        let name_at = at + 12;
        let description_at = name_at + name_len.next_multiple_of(4);
        let description = section
            .get(description_at..description_at + description_len)
            .ok_or_else(|| bad("the note is cut off"))?;
        if section.get(name_at..name_at + name_len) == Some(&NOTE_NAME) {
            if kind != NOTE_TYPE as usize {
                return Err(bad(format!(
                    "the note is of type {kind}, this engine reads type {NOTE_TYPE}"
                )));
            }
            if description.len() > DESCRIPTION_LEN_MAX {
                return Err(bad(format!(
                    "it has {} bytes, the limit is {DESCRIPTION_LEN_MAX}",
                    description.len()
                )));
            }
            return Ok(description);
        }
        at = description_at + description_len.next_multiple_of(4);
    }
    Err(VerifyError::NoManifest)
}

impl Manifest {
    /// Reads a manifest's text. Strict: every line is `key=value`, no key stands twice, none that is needed is missing.
    /// Keys that this engine does not know are from a newer plugin-api, and are passed over.
    pub(crate) fn parse(description: &[u8]) -> Result<Self, VerifyError> {
        let text = std::str::from_utf8(description).map_err(|_| bad("it is no UTF-8 text"))?;
        let mut keys: Vec<(&str, &str)> = Vec::new();
        for line in text.lines() {
            let (key, value) = line.split_once('=').ok_or_else(|| {
                bad(format!(
                    "\"{}\" is no key=value",
                    escape_control(bounded(line, 80))
                ))
            })?;
            if keys.iter().any(|(known, _)| *known == key) {
                return Err(bad(format!(
                    "the key {} stands twice",
                    escape_control(bounded(key, 40))
                )));
            }
            keys.push((key, value));
        }
        let find = |key: &str| {
            keys.iter()
                .find(|(known, _)| *known == key)
                .map(|(_, value)| *value)
        };
        let need = |key: &str| {
            find(key)
                .filter(|value| !value.is_empty())
                .map(|value| bounded(value, 256).to_owned())
                .ok_or_else(|| bad(format!("the key {key} is missing")))
        };
        if find("manifest") != Some("1") {
            return Err(bad("its format is not version 1"));
        }
        Ok(Self {
            id: PluginId::new(&need("id")?).map_err(|error| bad(error.to_string()))?,
            version: need("version")?,
            interval: duration("interval", find("interval"), INTERVAL_MIN, INTERVAL_MAX)?,
            timeout: duration("timeout", find("timeout"), TIMEOUT_MIN, TIMEOUT_MAX)?,
            api_version: need("api")?,
            compiler: need("compiler")?,
            target: need("target")?,
            panic: need("panic")?,
        })
    }
}

fn duration(
    key: &str,
    text: Option<&str>,
    min: Duration,
    max: Duration,
) -> Result<Option<Duration>, VerifyError> {
    let Some(text) = text else { return Ok(None) };
    match humantime::parse_duration(text) {
        Ok(value) if (min..=max).contains(&value) => Ok(Some(value)),
        _ => Err(bad(format!(
            "{key} is \"{}\", not a duration from {} to {}",
            escape_control(bounded(text, 40)),
            humantime::format_duration(min),
            humantime::format_duration(max)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "manifest=1\nid=a\nversion=1.0.0\napi=0.1.0\ncompiler=rustc 1.95.0\ntarget=x\npanic=unwind\ninterval=1s\n";

    #[test]
    fn a_good_manifest_is_read() {
        let manifest = Manifest::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(manifest.id, "a");
        assert_eq!(manifest.interval, Some(Duration::from_secs(1)));
        assert_eq!(manifest.timeout, None);
    }

    #[test]
    fn a_bad_one_is_refused_with_what_is_wrong() {
        for (from, to, says) in [
            ("id=a", "id=A b", "is no plugin id"),
            ("version=1.0.0\n", "", "version is missing"),
            ("panic=unwind", "panic", "no key=value"),
            ("manifest=1", "manifest=2", "not version 1"),
            ("interval=1s", "interval=0s", "not a duration from"),
            ("target=x", "id=b", "stands twice"),
        ] {
            let error = Manifest::parse(GOOD.replace(from, to).as_bytes()).unwrap_err();
            assert!(error.to_string().contains(says), "{to}: {error}");
        }
        assert!(Manifest::parse(b"\xff\xfe").is_err());
    }

    #[test]
    fn a_note_cut_anywhere_is_refused() {
        let mut note = Vec::new();
        for word in [16, GOOD.len() as u32, NOTE_TYPE] {
            note.extend(word.to_le_bytes());
        }
        note.extend(NOTE_NAME);
        note.extend(GOOD.as_bytes());
        assert_eq!(description(&note).unwrap(), GOOD.as_bytes());
        for len in 0..note.len() {
            assert!(description(&note[..len]).is_err(), "cut at {len}");
        }
    }
}
