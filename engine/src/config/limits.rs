//! What is said of the limits of a plugin, and what of it holds. Each key counts by itself: who sets one limit does not take back
//! another that `[defaults]` has.

use std::fmt::Display;
use std::time::Duration;

use super::error::{Problem, code};
use super::keys;
use super::limit_keys::USAGE_WINDOW;
use super::plugin::{Holds, PluginConfig, SaidBy};
use super::reading::Reading;
use super::source::Said;
use super::walk::Found;
use crate::usage::{Levels, UsageLimits};

/// What one table says of limits.
#[derive(Debug, Default, PartialEq)]
pub(super) struct LimitsSaid {
    window: Option<Said<Duration>>,
    cpu_percent: Option<Said<u64>>,
    cpu_percent_unhealthy: Option<Said<u64>>,
    update_mean: Option<Said<Duration>>,
    update_mean_unhealthy: Option<Said<Duration>>,
}

impl LimitsSaid {
    pub(super) fn new(mut found: Found, walk: &mut Reading<'_>) -> Self {
        let said = Self {
            window: found.duration("window"),
            cpu_percent: found.count("cpu_percent"),
            cpu_percent_unhealthy: found.count("cpu_percent_unhealthy"),
            update_mean: found.duration("update_mean"),
            update_mean_unhealthy: found.duration("update_mean_unhealthy"),
        };
        check_order(
            "cpu_percent",
            [&said.cpu_percent, &said.cpu_percent_unhealthy],
            u64::to_string,
            walk,
        );
        check_order(
            "update_mean",
            [&said.update_mean, &said.update_mean_unhealthy],
            |mean| format!("\"{}\"", keys::duration_text(*mean)),
            walk,
        );
        said
    }
}

/// Nobody is unhealthy before he is degraded.
fn check_order<T: PartialOrd>(
    key: &str,
    [degraded, unhealthy]: [&Option<Said<T>>; 2],
    text: impl Fn(&T) -> String,
    walk: &mut Reading<'_>,
) {
    if let (Some(degraded), Some(unhealthy)) = (degraded, unhealthy)
        && unhealthy.value < degraded.value
    {
        let reason = format!("`{key}_unhealthy` is less than `{key}`");
        let help = format!("write at least {}", text(&degraded.value));
        walk.problems
            .add(Problem::new(code::OUT_OF_RANGE, &unhealthy.at, reason).help(help));
    }
}

impl PluginConfig {
    fn limit<T: Clone>(&self, of: impl Fn(&LimitsSaid) -> &Option<Said<T>>) -> Option<Holds<T>> {
        self.own(|layer| of(&layer.rare().limits))
            .or_else(|| of(&self.defaults.rare().limits).clone().map(Holds::from))
    }

    fn window(&self) -> Holds<Duration> {
        self.limit(|said| &said.window).unwrap_or(Holds {
            value: USAGE_WINDOW,
            said_by: SaidBy::BuiltIn,
        })
    }

    /// What the plugin may use.
    pub(crate) fn limits(&self) -> UsageLimits {
        UsageLimits {
            window: self.window().value,
            cpu_percent: Levels {
                degraded: self.limit(|said| &said.cpu_percent).map(|one| one.value),
                unhealthy: self
                    .limit(|said| &said.cpu_percent_unhealthy)
                    .map(|one| one.value),
            },
            update_mean: Levels {
                degraded: self.limit(|said| &said.update_mean).map(|one| one.value),
                unhealthy: self
                    .limit(|said| &said.update_mean_unhealthy)
                    .map(|one| one.value),
            },
        }
    }

    /// What holds of `limits`, as TOML and with who said it; those that nobody sets are not there.
    pub(crate) fn limits_shown(&self) -> Vec<(&'static str, (String, SaidBy))> {
        let percent = |holds: Holds<u64>| shown(&holds.value, holds.said_by);
        let time = |holds: Holds<Duration>| {
            let text = format!("\"{}\"", keys::duration_text(holds.value));
            shown(&text, holds.said_by)
        };
        let all = [
            ("limits.window", Some(time(self.window()))),
            (
                "limits.cpu_percent",
                self.limit(|said| &said.cpu_percent).map(percent),
            ),
            (
                "limits.cpu_percent_unhealthy",
                self.limit(|said| &said.cpu_percent_unhealthy).map(percent),
            ),
            (
                "limits.update_mean",
                self.limit(|said| &said.update_mean).map(time),
            ),
            (
                "limits.update_mean_unhealthy",
                self.limit(|said| &said.update_mean_unhealthy).map(time),
            ),
        ];
        all.into_iter()
            .filter_map(|(key, holds)| Some((key, holds?)))
            .collect()
    }
}

fn shown(value: &impl Display, said_by: SaidBy) -> (String, SaidBy) {
    (value.to_string(), said_by)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::super::source::Source;
    use super::super::{read_beside_text, read_engine_text};
    use super::*;

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
    fn nothing_is_limited_unless_somebody_says_so() {
        let limits = config("", "", "").limits();
        assert_eq!(limits, UsageLimits::none(Duration::from_secs(60)));
    }

    #[test]
    fn each_limit_counts_by_itself_in_the_order_of_those_who_speak() {
        let limits = config(
            "limits = { cpu_percent = 10 }",
            "[limits]\ncpu_percent = 30\ncpu_percent_unhealthy = 90\nwindow = \"5s\"",
            "limits = { cpu_percent = 50, update_mean = \"50ms\", update_mean_unhealthy = \"1s\", window = \"7s\" }",
        )
        .limits();
        let wanted = UsageLimits {
            window: Duration::from_secs(5),
            cpu_percent: Levels {
                degraded: Some(10),
                unhealthy: Some(90),
            },
            update_mean: Levels {
                degraded: Some(Duration::from_millis(50)),
                unhealthy: Some(Duration::from_secs(1)),
            },
        };
        assert_eq!(limits, wanted);
    }

    #[test]
    fn what_is_set_is_shown_with_who_said_it_and_what_is_not_is_not() {
        let config = config(
            "limits = { cpu_percent = 10 }",
            "",
            "[defaults.limits]\nupdate_mean_unhealthy = \"1500ms\"",
        );
        let shown: Vec<_> = config
            .limits_shown()
            .into_iter()
            .map(|(key, (value, said_by))| match said_by {
                SaidBy::File(place) => format!("{key} = {value}, {place:?}"),
                other => format!("{key} = {value}, {other:?}"),
            })
            .collect();
        let wanted = [
            "limits.window = \"1m\", BuiltIn",
            "limits.cpu_percent = 10, e.toml:6",
            "limits.update_mean_unhealthy = \"1s 500ms\", e.toml:3",
        ];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn every_problem_of_limits_is_told_with_its_place_and_what_would_be_right() {
        for (text, says) in [
            (
                "[limits]\ncpu_percent = 101",
                "a.toml:2:15: `cpu_percent` is 101, which is out of range; write a whole number from 1 to 100",
            ),
            (
                "[limits]\nwindow = \"1ms\"",
                "a.toml:2:10: `window` is \"1ms\", which is out of range; write a duration in quotes, from \"1s\" to \"1day\", such as \"1s\"",
            ),
            (
                "[limits]\nupdate_mean = 5",
                "a.toml:2:15: `update_mean` is the whole number 5; write a duration in quotes, from \"1us\" to \"1day\", such as \"1s\"",
            ),
            (
                "[limits]\ncpu_percent = 30\ncpu_percent_unhealthy = 20",
                "a.toml:3:25: `cpu_percent_unhealthy` is less than `cpu_percent`; write at least 30",
            ),
            (
                "limits = { update_mean = \"1s\", update_mean_unhealthy = \"1ms\" }",
                "a.toml:1:56: `update_mean_unhealthy` is less than `update_mean`; write at least \"1s\"",
            ),
            (
                "[limits]\ncpu_percnt = 1",
                "a.toml:2:1: unknown key `cpu_percnt` in limits; did you mean `cpu_percent`?",
            ),
            (
                "cpu_percent = 1",
                "a.toml:1:1: unknown key `cpu_percent` in the file beside a plugin; it belongs into limits",
            ),
            (
                "limits = 3",
                "a.toml:1:10: `limits` is the whole number 3; write a table",
            ),
        ] {
            let source = Source::new(Path::new("a.toml"), text.to_owned());
            let error = read_beside_text(&source).unwrap_err();
            let told: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
            assert_eq!(told, [says]);
        }
    }

    #[test]
    fn other_limits_are_another_configuration() {
        let text = "manifest=1\nid=a\nversion=1\napi=0.1.0\ncompiler=c\ntarget=t\npanic=unwind\n";
        let manifest = crate::manifest::Manifest::parse(text.as_bytes()).unwrap();
        let id = plugin_engine_core::PluginId::new("a").unwrap();
        let one = config("limits = { cpu_percent = 10 }", "", "");
        let other = config("", "", "limits = { cpu_percent = 10 }");
        assert!(one.says_the_same_as(&other, &id, &manifest));
        let third = config("limits = { cpu_percent = 11 }", "", "");
        assert!(!one.says_the_same_as(&third, &id, &manifest));
    }
}
