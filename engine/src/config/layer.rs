//! What one table of one file says of a plugin. An engine with very many plugins keeps one of these for each.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use plugin_engine_core::{PluginId, Requirement};

use super::choices::{ReloadWay, UnmapPolicy};
use super::error::{Problem, code};
use super::health_layer::HealthLayer;
use super::keys;
use super::limits::LimitsSaid;
use super::reading::Reading;
use super::settings::Settings;
use super::source::{Place, Said};
use super::walk::Found;

/// What one table of one file says of a plugin.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    /// The table; `None` for a file that is not there.
    pub(crate) at: Option<Place>,
    /// Whether it has an id or a file that is a problem of its own.
    pub(super) is_badly_named: bool,
    pub(crate) id: Option<Said<PluginId>>,
    pub(crate) file: Option<Said<PathBuf>>,
    pub(super) enabled: Option<Said<bool>>,
    pub(super) interval: Option<Said<Duration>>,
    pub(super) timeout: Option<Said<Duration>>,
    pub(super) settings: Option<Said<Arc<Settings>>>,
    /// `None` where the table says nothing of it.
    rare: Option<Box<Rare>>,
}

/// What few tables say anything of. Three quarters of all keys, so it takes room only where it is said.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Rare {
    pub(super) jitter: Option<Said<Duration>>,
    /// Whether the engine is ready only with it.
    pub(crate) required: Option<Said<bool>>,
    pub(super) requires: Option<Said<Vec<Requirement>>>,
    pub(super) reload: Option<Said<ReloadWay>>,
    pub(super) trial_update: Option<Said<bool>>,
    pub(super) probation: Option<Said<Duration>>,
    pub(super) allow_downgrade: Option<Said<bool>>,
    pub(super) unmap: Option<Said<UnmapPolicy>>,
    pub(super) health: HealthLayer,
    pub(super) limits: LimitsSaid,
    pub(super) after_crashes: Option<Said<u64>>,
}

/// Of all those that say nothing.
static NOTHING_RARE: LazyLock<Rare> = LazyLock::new(Rare::default);

impl Layer {
    pub(super) fn new(mut found: Found, walk: &mut Reading<'_>) -> Self {
        let rare = Rare::new(&mut found, walk);
        let layer = Self {
            at: Some(found.at.clone()),
            is_badly_named: found.is_bad("id") || found.is_bad("file"),
            id: found.id("id"),
            file: found.path("file"),
            enabled: found.flag("enabled"),
            interval: found.duration("interval"),
            timeout: found.duration("timeout"),
            settings: found.settings("settings"),
            rare: (rare != *NOTHING_RARE).then(|| Box::new(rare)),
        };
        layer.check(walk);
        layer
    }

    pub(crate) fn rare(&self) -> &Rare {
        match &self.rare {
            Some(rare) => rare,
            None => &NOTHING_RARE,
        }
    }

    /// What one key cannot know of another.
    fn check(&self, walk: &mut Reading<'_>) {
        if let (Some(jitter), Some(interval)) = (&self.rare().jitter, &self.interval)
            && jitter.value > interval.value
        {
            let reason = "`jitter` is longer than `interval`".to_owned();
            walk.problems.add(
                Problem::new(code::OUT_OF_RANGE, &jitter.at, reason).help(format!(
                    "write a duration of at most \"{}\"",
                    keys::duration_text(interval.value)
                )),
            );
        }
        if let (Some(id), Some(requires)) = (&self.id, &self.rare().requires)
            && requires.value.iter().any(|one| *one.id() == id.value)
        {
            let reason = format!(
                "`requires` of the plugin \"{}\" names that plugin itself",
                id.value
            );
            let help = "name the plugins that have to run for this one".to_owned();
            walk.problems
                .add(Problem::new(code::REQUIREMENT, &requires.at, reason).help(help));
        }
    }
}

impl Rare {
    fn new(found: &mut Found, walk: &mut Reading<'_>) -> Self {
        Self {
            jitter: found.duration("jitter"),
            required: found.flag("required"),
            requires: found.requirements("requires"),
            reload: found.choice("reload").map(|said| Said {
                value: ReloadWay::named(said.value),
                at: said.at,
            }),
            trial_update: found.flag("trial_update"),
            probation: found.duration("probation"),
            allow_downgrade: found.flag("allow_downgrade"),
            unmap: found.choice("unmap").map(|said| Said {
                value: UnmapPolicy::of(said.value),
                at: said.at,
            }),
            health: HealthLayer::new(found, walk),
            limits: found
                .table("limits")
                .map(|said| LimitsSaid::new(said.value, walk))
                .unwrap_or_default(),
            after_crashes: found.count("after_crashes"),
        }
    }
}
