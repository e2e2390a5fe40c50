//! What is said of one plugin, by whom, and what of it holds. Order: the entry in the engine's file, the file beside the plugin,
//! the manifest, `[defaults]`, and what is built in.
//!
//! The manifest comes before `[defaults]`, because its author knows how often this plugin has something to do, while a default
//! is for those of which nobody says anything.

use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{PluginId, Requirement};

use super::choices::{ReloadWay, UnmapPolicy};
use super::crash_keys::AFTER_CRASHES_DEFAULT;
use super::keys;
use super::layer::Layer;
use super::settings::Settings;
use super::source::{Place, Said};
use crate::manifest::Manifest;

/// Who said a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SaidBy {
    File(Place),
    Manifest,
    BuiltIn,
}

/// A value that holds, and who said it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Holds<T> {
    pub(crate) value: T,
    pub(crate) said_by: SaidBy,
}

impl<T> From<Said<T>> for Holds<T> {
    fn from(said: Said<T>) -> Self {
        Self {
            value: said.value,
            said_by: SaidBy::File(said.at),
        }
    }
}

/// What is said of one plugin, in the order in which it counts.
#[derive(Debug, Clone)]
pub(crate) struct PluginConfig {
    pub(crate) entry: Option<Arc<Layer>>,
    pub(crate) beside: Arc<Layer>,
    pub(crate) defaults: Arc<Layer>,
}

impl PluginConfig {
    pub(super) fn own<T: Clone>(
        &self,
        of: impl Fn(&Layer) -> &Option<Said<T>>,
    ) -> Option<Holds<T>> {
        let entry = self.entry.as_deref().and_then(|layer| of(layer).clone());
        let said = entry.or_else(|| of(&self.beside).clone());
        said.map(Holds::from)
    }

    pub(super) fn value<T: Clone>(
        &self,
        of: impl Fn(&Layer) -> &Option<Said<T>>,
        manifest: Option<T>,
        built_in: T,
    ) -> Holds<T> {
        self.own(&of)
            .or_else(|| {
                manifest.map(|value| Holds {
                    value,
                    said_by: SaidBy::Manifest,
                })
            })
            .or_else(|| of(&self.defaults).clone().map(Holds::from))
            .unwrap_or(Holds {
                value: built_in,
                said_by: SaidBy::BuiltIn,
            })
    }

    /// The id, if a file says one.
    pub(crate) fn said_id(&self) -> Option<Holds<PluginId>> {
        self.own(|layer| &layer.id)
    }

    pub(crate) fn id(&self, manifest_id: &PluginId) -> Holds<PluginId> {
        self.said_id().unwrap_or_else(|| Holds {
            value: manifest_id.clone(),
            said_by: SaidBy::Manifest,
        })
    }

    pub(crate) fn enabled(&self) -> Holds<bool> {
        self.value(|layer| &layer.enabled, None, true)
    }

    pub(crate) fn interval(&self, manifest: &Manifest) -> Holds<Duration> {
        self.value(|layer| &layer.interval, manifest.interval, keys::INTERVAL)
    }

    pub(crate) fn timeout(&self, manifest: &Manifest) -> Holds<Duration> {
        self.value(|layer| &layer.timeout, manifest.timeout, keys::TIMEOUT)
    }

    /// At most the interval.
    pub(crate) fn jitter(&self, manifest: &Manifest) -> Holds<Duration> {
        let mut jitter = self.value(|layer| &layer.rare().jitter, None, Duration::ZERO);
        jitter.value = jitter.value.min(self.interval(manifest).value);
        jitter
    }

    /// What is required, by everybody who says something of it: the author knows what the plugin cannot do without, and a configuration
    /// what else it is not to do without here.
    pub(crate) fn requires(&self, manifest: &Manifest) -> Vec<Holds<Vec<Requirement>>> {
        let by_manifest = (!manifest.requires.is_empty()).then(|| Holds {
            value: manifest.requires.clone(),
            said_by: SaidBy::Manifest,
        });
        let layers = [Some(&self.beside), self.entry.as_ref()];
        let by_files = layers
            .into_iter()
            .flatten()
            .filter_map(|layer| layer.rare().requires.clone());
        by_manifest
            .into_iter()
            .chain(by_files.map(Holds::from))
            .collect()
    }

    /// What is required, whoever says it.
    pub(crate) fn all_required(&self, manifest: &Manifest) -> Vec<Requirement> {
        let said = self.requires(manifest).into_iter();
        said.flat_map(|said| said.value).collect()
    }

    /// Whether the engine is ready only while this plugin runs.
    pub(crate) fn required(&self) -> Holds<bool> {
        self.value(|layer| &layer.rare().required, None, false)
    }

    /// [`Self::required`] without who says so, for who asks often.
    pub(crate) fn is_required(&self) -> bool {
        let entry = self.entry.as_deref();
        let said = entry.and_then(|layer| layer.rare().required.as_ref());
        let said = said.or(self.beside.rare().required.as_ref());
        said.is_some_and(|said| said.value)
    }

    /// How a replacement takes over.
    pub(crate) fn reload(&self) -> Holds<ReloadWay> {
        self.value(|layer| &layer.rare().reload, None, ReloadWay::TryActivate)
    }

    /// Whether a replacement has to complete one update first.
    pub(crate) fn trial_update(&self) -> Holds<bool> {
        self.value(|layer| &layer.rare().trial_update, None, true)
    }

    /// For how long the generation before is kept after a reload.
    pub(crate) fn probation(&self) -> Holds<Duration> {
        self.value(|layer| &layer.rare().probation, None, Duration::ZERO)
    }

    /// Whether a lower version may take over.
    pub(crate) fn allow_downgrade(&self) -> Holds<bool> {
        self.value(|layer| &layer.rare().allow_downgrade, None, false)
    }

    /// What becomes of the code of its file once nothing uses it any more.
    pub(crate) fn unmap(&self) -> Holds<UnmapPolicy> {
        self.value(|layer| &layer.rare().unmap, None, UnmapPolicy::Never)
    }

    /// How often it may crash the engine before it is not loaded any more; 0 for never.
    pub(crate) fn after_crashes(&self) -> Holds<u64> {
        self.value(
            |layer| &layer.rare().after_crashes,
            None,
            AFTER_CRASHES_DEFAULT,
        )
    }

    /// All settings come from one place: two half sets of settings are none.
    pub(crate) fn settings(&self) -> Option<Arc<Settings>> {
        self.own(|layer| &layer.settings)
            .map(|settings| settings.value)
    }

    /// Whether the plugin is told the same as by another configuration.
    pub(crate) fn has_the_settings_of(&self, other: &Self) -> bool {
        match (self.settings(), other.settings()) {
            (None, None) => true,
            (Some(one), Some(other)) => one.says_the_same_as(&other),
            _ => false,
        }
    }

    /// Whether the same holds for the plugin as by another configuration.
    pub(crate) fn says_the_same_as(
        &self,
        other: &Self,
        id: &PluginId,
        manifest: &Manifest,
    ) -> bool {
        let values = |config: &Self| {
            (
                config.enabled().value,
                config.interval(manifest).value,
                config.timeout(manifest).value,
                config.phase(id, manifest),
                config.reload().value,
                config.trial_update().value,
                config.probation().value,
                config.allow_downgrade().value,
                config.health().policy(id),
                config.limits(),
                config.required().value,
            )
        };
        values(self) == values(other) && self.has_the_settings_of(other)
    }

    /// Where settings are missing that a plugin insists on.
    pub(crate) fn place(&self) -> Option<Place> {
        let entry = self.entry.as_deref().and_then(|layer| layer.at.clone());
        entry.or_else(|| self.beside.at.clone())
    }

    /// The delay before the first update: a fixed share of the jitter, by the id, so that it is the same at every start.
    pub(crate) fn phase(&self, id: &PluginId, manifest: &Manifest) -> Duration {
        phase(self.jitter(manifest).value, id)
    }
}

fn phase(jitter: Duration, id: &PluginId) -> Duration {
    jitter.mul_f64((id_hash(id) >> 11) as f64 / (1_u64 << 53) as f64)
}

/// FNV-1a, because what is drawn from it must not change with a version of some hasher.
pub(super) fn id_hash(id: &PluginId) -> u64 {
    id.as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::super::source::Source;
    use super::super::{read_beside_text, read_engine_text};
    use super::*;

    fn manifest(interval: Option<u64>) -> Manifest {
        let interval = interval.map(|seconds| format!("interval={seconds}s\n"));
        let text = format!(
            "manifest=1\nid=a\nversion=1\napi=0.1.0\ncompiler=c\ntarget=t\npanic=unwind\n{}",
            interval.unwrap_or_default()
        );
        Manifest::parse(text.as_bytes()).unwrap()
    }

    fn config(entry: &str, beside: &str, defaults: &str) -> PluginConfig {
        let text = format!("[defaults]\n{defaults}\n[[plugin]]\nid = \"a\"\n{entry}\n");
        let engine = read_engine_text(&Source::new(Path::new("e.toml"), text)).unwrap();
        let beside = Source::new(Path::new("a.toml"), beside.to_owned());
        PluginConfig {
            entry: engine.by_id("a").cloned(),
            beside: Arc::new(read_beside_text(&beside).unwrap()),
            defaults: Arc::clone(&engine.defaults),
        }
    }

    #[test]
    fn the_entry_comes_before_the_file_beside_the_manifest_the_defaults_and_what_is_built_in() {
        let say = |seconds: u64| format!("interval = \"{seconds}s\"");
        for (entry, beside, manifest_says, defaults, holds) in [
            (say(1), say(2), Some(3), say(4), 1),
            (String::new(), say(2), Some(3), say(4), 2),
            (String::new(), String::new(), Some(3), say(4), 3),
            (String::new(), String::new(), None, say(4), 4),
            (String::new(), String::new(), None, String::new(), 60),
        ] {
            let config = config(&entry, &beside, &defaults);
            let interval = config.interval(&manifest(manifest_says));
            assert_eq!(interval.value, Duration::from_secs(holds));
            let from = match (holds, interval.said_by) {
                (1, SaidBy::File(place)) => format!("{place:?}") == "e.toml:5",
                (2, SaidBy::File(place)) => format!("{place:?}") == "a.toml:1",
                (3, by) => by == SaidBy::Manifest,
                (4, SaidBy::File(place)) => format!("{place:?}") == "e.toml:2",
                (_, by) => by == SaidBy::BuiltIn,
            };
            assert!(from, "{holds}");
        }
    }

    #[test]
    fn what_is_required_is_what_everybody_says_together() {
        let config = config("requires = [\"c\", \"b >= 2\"]", "requires = [\"b\"]", "");
        let text = "manifest=1\nid=a\nversion=1\napi=0.1.0\ncompiler=c\ntarget=t\npanic=unwind\nrequires=d\n";
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        let shown = |said: &[Holds<Vec<Requirement>>]| -> Vec<String> {
            let all = said.iter().flat_map(|said| &said.value);
            all.map(ToString::to_string).collect()
        };
        let said = config.requires(&manifest);
        assert_eq!(shown(&said), ["d", "b", "c", "b >= 2"]);
        assert_eq!(said[0].said_by, SaidBy::Manifest);
        assert!(
            matches!(&said[2].said_by, SaidBy::File(place) if format!("{place:?}") == "e.toml:5")
        );
    }

    #[test]
    fn what_defaults_say_of_unmapping_holds_where_nobody_else_speaks_of_it() {
        let safe = "unmap = \"when-safe\"";
        assert_eq!(config("", "", "").unmap().value, UnmapPolicy::Never);
        assert_eq!(config("", "", safe).unmap().value, UnmapPolicy::WhenSafe);
        let never = config("", "unmap = \"never\"", safe).unmap();
        assert_eq!(never.value, UnmapPolicy::Never);
        assert_eq!(config(safe, "", "").unmap().value, UnmapPolicy::WhenSafe);
    }

    #[test]
    fn settings_come_whole_from_one_place() {
        let beside = "[settings]\na = 1\nb = 2";
        let both = config("[plugin.settings]\na = 3", beside, "");
        assert_eq!(
            both.settings().unwrap().resolve().unwrap().json,
            "{\"a\":3}"
        );
        let one = config("", beside, "");
        let json = one.settings().unwrap().resolve().unwrap().json;
        assert_eq!(json, "{\"a\":1,\"b\":2}");
    }

    #[test]
    fn the_phase_is_fixed_and_within_the_jitter() {
        let second = Duration::from_secs(1);
        let phases: HashSet<_> = (0..100)
            .map(|n| phase(second, &PluginId::new(&format!("p{n}")).unwrap()))
            .collect();
        assert!(phases.iter().all(|phase| *phase < second));
        assert!(phases.len() > 90);
        let id = PluginId::new("clock").unwrap();
        assert_eq!(phase(second, &id), phase(second, &id));
    }

    #[test]
    fn a_jitter_that_others_say_is_never_more_than_the_interval() {
        let config = config("interval = \"2s\"", "", "jitter = \"1h\"");
        assert_eq!(config.jitter(&manifest(None)).value, Duration::from_secs(2));
    }
}
