//! Reads the manifest that a plugin file carries. The counterpart of `plugin_api::manifest`, which writes it.

use std::time::Duration;

use plugin_engine_core::{
    INTERVAL_MAX, INTERVAL_MIN, PluginId, REQUIREMENTS_MAX, Requirement, TIMEOUT_MAX, TIMEOUT_MIN,
    bounded, escape_control,
};

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
    /// What has to be there for the plugin to run; a configuration may add to it.
    pub requires: Vec<Requirement>,
    /// The version of `plugin-api` that the file was built against.
    pub api_version: String,
    /// The compiler that built it.
    pub compiler: String,
    /// The target that it was built for.
    pub target: String,
    /// `unwind` or `abort`; `none` where nothing unwinds, which only files of the C contract can say.
    pub panic: String,
    /// In which form the file exports itself.
    pub contract: Contract,
}

/// In which form a plugin file exports itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Contract {
    /// With `export_plugin!`: the types are compared structurally.
    Rust,
    /// With `plugin_api.h`: the text of the contract that the file carries is compared line by line.
    C,
}

impl Contract {
    /// As manifests and the command line have it.
    ///
    /// ```
    /// assert_eq!(plugin_engine::Contract::C.name(), "c");
    /// ```
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
        }
    }
}

impl Manifest {
    /// Reads a manifest's text; what is wrong with it, in words. Strict: every line is `key=value`, no key stands twice, none that is needed is missing.
    /// Keys that this engine does not know are from a newer plugin-api, and are passed over.
    pub(crate) fn parse(description: &[u8]) -> Result<Self, String> {
        let text =
            std::str::from_utf8(description).map_err(|_| "it is no UTF-8 text".to_owned())?;
        let mut keys: Vec<(&str, &str)> = Vec::new();
        for line in text.lines() {
            let (key, value) = line.split_once('=').ok_or_else(|| {
                format!("\"{}\" is no key=value", escape_control(bounded(line, 80)))
            })?;
            if keys.iter().any(|(known, _)| *known == key) {
                return Err(format!(
                    "the key {} stands twice",
                    escape_control(bounded(key, 40))
                ));
            }
            keys.push((key, value));
        }
        let find = |key: &str| {
            keys.iter()
                .find(|(known, _)| *known == key)
                .map(|(_, value)| *value)
        };
        let need = |key: &str| {
            let value = find(key)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| format!("the key {key} is missing"))?;
            // No compiler or author writes any, and everybody who shows a value would have to think of them.
            if escape_control(value) != value {
                return Err(format!("the value of {key} has control characters"));
            }
            Ok(bounded(value, 256).to_owned())
        };
        if find("manifest") != Some("1") {
            return Err("its format is not version 1".to_owned());
        }
        let id = PluginId::new(&need("id")?).map_err(|error| error.to_string())?;
        Ok(Self {
            requires: requires(&id, find("requires"))?,
            id,
            version: need("version")?,
            interval: duration("interval", find("interval"), INTERVAL_MIN, INTERVAL_MAX)?,
            timeout: duration("timeout", find("timeout"), TIMEOUT_MIN, TIMEOUT_MAX)?,
            api_version: need("api")?,
            compiler: need("compiler")?,
            target: need("target")?,
            panic: need("panic")?,
            contract: contract(find("contract"))?,
        })
    }
}

fn contract(text: Option<&str>) -> Result<Contract, String> {
    match text {
        None => Ok(Contract::Rust),
        Some("c") => Ok(Contract::C),
        Some(other) => Err(format!(
            "contract is \"{}\"; this engine knows c, and files made by export_plugin! say nothing",
            escape_control(bounded(other, 40))
        )),
    }
}

fn duration(
    key: &str,
    text: Option<&str>,
    min: Duration,
    max: Duration,
) -> Result<Option<Duration>, String> {
    let Some(text) = text else { return Ok(None) };
    match humantime::parse_duration(text) {
        Ok(value) if (min..=max).contains(&value) => Ok(Some(value)),
        _ => Err(format!(
            "{key} is \"{}\", not a duration from {} to {}",
            escape_control(bounded(text, 40)),
            humantime::format_duration(min),
            humantime::format_duration(max)
        )),
    }
}

fn requires(id: &PluginId, text: Option<&str>) -> Result<Vec<Requirement>, String> {
    let Some(text) = text else {
        return Ok(Vec::new());
    };
    let requires = Requirement::parse_list(text).map_err(|error| format!("requires: {error}"))?;
    if requires.len() > REQUIREMENTS_MAX {
        return Err(format!(
            "requires names {} plugins; the limit is {REQUIREMENTS_MAX}",
            requires.len()
        ));
    }
    if requires.iter().any(|required| required.id() == id) {
        return Err(format!("requires names {id} itself"));
    }
    Ok(requires)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "manifest=1\nid=a\nversion=1.0.0\napi=0.1.0\ncompiler=rustc 1.95.0\ntarget=x\npanic=unwind\ninterval=1s\nrequires=clock >= 1.2, < 2, feed\n";

    #[test]
    fn a_good_manifest_is_read() {
        let manifest = Manifest::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(manifest.id, "a");
        assert_eq!(manifest.interval, Some(Duration::from_secs(1)));
        assert_eq!(manifest.timeout, None);
        assert_eq!(manifest.contract, Contract::Rust);
        let in_c = Manifest::parse(format!("{GOOD}contract=c\n").as_bytes()).unwrap();
        assert_eq!(in_c.contract, Contract::C);
        let requires: Vec<_> = manifest.requires.iter().map(ToString::to_string).collect();
        assert_eq!(requires, ["clock >= 1.2, < 2", "feed"]);
        let none = GOOD.replace("requires", "of-a-newer-plugin-api");
        assert_eq!(Manifest::parse(none.as_bytes()).unwrap().requires, []);
    }

    #[test]
    fn what_the_compiler_takes_as_requirements_is_read() {
        for text in [
            "clock",
            "clock >= 1.2, < 2, feed ^0.3.1",
            "b>=1.2 , c",
            "b *",
            "b x",
            "b 1.x",
            "b 1.*.*",
            "b =1.*",
            "b >1.*",
            "b 1.2.3-beta.1+build",
            "b <1.2.3-0.3.7",
            "b ~1, *",
            "b ~ 1",
            "0-b_ =1.2.3+5",
            "b 1.2.3-01",
            "b 1.2.3-.",
            "b 1.2.3+..",
            "b >= *",
            "b 1.2.3.4",
            "b *, 1",
            "b",
            "b 1, 2",
            "b 99999999999999999999",
        ] {
            let compiled = || {
                plugin_api::__private::Manifest::new("1.0.0", true)
                    .id("a")
                    .requires(text)
            };
            if std::panic::catch_unwind(compiled).is_ok() {
                assert!(Requirement::parse_list(text).is_ok(), "{text}");
            }
        }
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
            (
                "clock >= 1.2",
                "clock => 1.2",
                "requires: \"clock => 1.2, < 2\" is no requirement",
            ),
            (
                "requires=clock >= 1.2, < 2, feed",
                "requires=",
                "requires: \"\" is no requirement",
            ),
            (
                "panic=unwind",
                "panic=unwind\ncontract=d",
                "contract is \"d\"; this engine knows c",
            ),
            (", feed", ", a", "requires names a itself"),
            (
                ", feed",
                &", feed".repeat(64),
                "requires names 65 plugins; the limit is 64",
            ),
            (
                "rustc 1.95.0",
                "rustc\u{1b}[31m",
                "compiler has control characters",
            ),
            (
                "target=x",
                "target=\u{202e}x",
                "target has control characters",
            ),
        ] {
            let error = Manifest::parse(GOOD.replace(from, to).as_bytes()).unwrap_err();
            assert!(error.to_string().contains(says), "{to}: {error}");
        }
        assert!(Manifest::parse(b"\xff\xfe").is_err());
    }
}
