//! Samples load, memory and disks of this machine at each update and draws the last minutes of them as an SVG chart.
//!
//! It is a lesson in a plugin that has some size: settings that are checked, state that is bounded, and one file for each
//! thing. What is measured and kept stands in `sample`, how it is drawn in `chart`; this file only ties the two to the
//! engine's calls.

mod chart;
mod sample;

use std::time::{Duration, Instant};

use plugin_api::prelude::*;

use crate::sample::{History, Sampler};

#[derive(serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// How far back the chart goes, in minutes, from 1 to 60. Default: 5.
    minutes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { minutes: 5 }
    }
}

impl Settings {
    /// The type already keeps out what is no whole number; which numbers make sense is for the plugin to say.
    fn window(&self) -> Result<Duration, PluginError> {
        match self.minutes {
            minutes @ 1..=60 => Ok(Duration::from_secs(minutes * 60)),
            other => Err(PluginError::permanent(format!(
                "settings.minutes: {other} is out of range, it has to be from 1 to 60"
            ))),
        }
    }
}

struct System {
    sampler: Sampler,
    history: History,
}

impl Plugin for System {
    fn create(cx: &CreateContext) -> Result<Self, PluginError> {
        let settings: Settings = cx.settings()?;
        Ok(Self {
            history: History::new(settings.window()?),
            sampler: Sampler::new()?,
        })
    }

    fn update(&mut self, _cx: &UpdateContext) -> Result<(), PluginError> {
        let sample = self.sampler.sample()?;
        self.history.push(Instant::now(), sample);
        Ok(())
    }

    fn display(&mut self, _cx: &DisplayContext) -> Result<View, PluginError> {
        Ok(View::svg(chart::draw(&self.history, self.sampler.facts())))
    }
}

export_plugin!(System, id = "system", interval = "1s", timeout = "2s");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_out_of_range_are_refused_for_good_and_by_name() {
        for minutes in [0, 61, u64::MAX] {
            let error = Settings { minutes }.window().unwrap_err();
            assert!(!error.is_recoverable());
            let text = error.to_string();
            assert!(text.contains("settings.minutes"), "{text}");
            assert!(text.contains("from 1 to 60"), "{text}");
        }
        assert_eq!(
            Settings::default().window().unwrap(),
            Duration::from_secs(300)
        );
    }
}
