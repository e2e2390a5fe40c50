//! Adds up what lies in a directory tree: all of it, and each directory of the first level.
//!
//! It is a lesson in work that takes longer than one call may. An update goes on until its deadline comes near or it is
//! cancelled, keeps the walk where it stands and says so with a recoverable error that asks for the next update soon; the
//! next update goes on from there. So each call returns in time, and a tree of any size is walked to its end. What was
//! found last stays on display meanwhile.

mod report;
mod walk;

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use plugin_api::prelude::*;

use crate::walk::{Found, Walk};

/// How soon an unfinished walk goes on, whatever the interval between walks is.
const PAUSE: Duration = Duration::from_secs(1);
/// How many of the largest directories can be asked for.
const LARGEST_MAX: u64 = 100;

/// What is counted, and how much of it is shown.
#[derive(serde::Deserialize, plugin_api::schemars::JsonSchema)]
#[schemars(crate = "plugin_api::schemars")]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The directory whose tree is added up. A relative path starts at the working directory of the engine. The path itself
    /// may be a link; links inside the tree are not followed. There is no default.
    #[schemars(length(min = 1))]
    path: String,
    /// How many of the largest directories right below the path are shown, from 0 to 100. Default: 10.
    #[serde(default = "default_largest")]
    #[schemars(range(max = 100))]
    largest: u64,
}

fn default_largest() -> u64 {
    10
}

impl Settings {
    fn checked(self) -> Result<Self, PluginError> {
        if self.path.is_empty() {
            let text = "settings.path: it is empty, it has to name a directory";
            return Err(PluginError::permanent(text));
        }
        if self.largest > LARGEST_MAX {
            return Err(PluginError::permanent(format!(
                "settings.largest: {} is out of range, it has to be from 0 to {LARGEST_MAX}",
                self.largest
            )));
        }
        Ok(self)
    }
}

struct DirectorySize {
    settings: Settings,
    /// The walk that an update had to leave.
    walk: Option<Walk>,
    /// The latest complete walk, and when it ended.
    latest: Option<(Found, Instant)>,
}

impl Plugin for DirectorySize {
    fn settings_schema() -> Option<String> {
        plugin_api::schema::<Settings>()
    }

    fn create(cx: &CreateContext) -> Result<Self, PluginError> {
        let settings: Settings = cx
            .settings()
            .map_err(|error| PluginError::from(error).into_permanent())?;
        Ok(Self {
            settings: settings.checked()?,
            walk: None,
            latest: None,
        })
    }

    fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
        // A tenth of the time is kept back: for the entry that takes longer than others, and for the way home.
        let reserve = cx.time_left() / 10;
        let mut walk = match self.walk.take() {
            Some(walk) => walk,
            None => start(&self.settings)?,
        };
        let complete = walk.go_on(|| {
            cx.record_progress();
            !cx.is_cancelled() && cx.time_left() > reserve
        });
        if !complete {
            let text = report::unfinished(walk.entries());
            self.walk = Some(walk);
            return Err(PluginError::recoverable(text)
                .retry_after(PAUSE)
                .with_type("unfinished"));
        }
        let found = walk.into_found();
        cx.publish("size", found.total.bytes.to_string());
        self.latest = Some((found, Instant::now()));
        Ok(())
    }

    fn display(&mut self, _cx: &DisplayContext) -> Result<View, PluginError> {
        let mut text = match &self.latest {
            Some((found, at)) => report::describe(&self.settings.path, found, at.elapsed()),
            None => "no complete walk yet\n".to_owned(),
        };
        if let Some(walk) = &self.walk {
            text.push_str(&format!(
                "\nthe walk: {}\n",
                report::unfinished(walk.entries())
            ));
        }
        Ok(View::text(text))
    }
}

/// A path may come and go with its disk; one that is something else than a directory stays what it is.
fn start(settings: &Settings) -> Result<Walk, PluginError> {
    let path = &settings.path;
    let largest_max = settings.largest.min(LARGEST_MAX) as usize;
    Walk::start(Path::new(path), largest_max).map_err(|error| {
        let failed = PluginError::recoverable(format!("{path}: {error}"));
        match error.kind() {
            io::ErrorKind::NotADirectory => failed.into_permanent(),
            _ => failed,
        }
    })
}

export_plugin!(
    DirectorySize,
    id = "directory-size",
    interval = "10m",
    timeout = "10s"
);

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(path: &str, largest: u64) -> Settings {
        let path = path.to_owned();
        Settings { path, largest }
    }

    #[test]
    fn settings_out_of_range_are_refused_for_good_and_by_name() {
        for (bad, key) in [
            (settings("", 10), "settings.path"),
            (settings("/srv", 101), "settings.largest"),
            (settings("/srv", u64::MAX), "settings.largest"),
        ] {
            let error = bad.checked().err().unwrap();
            assert!(!error.is_recoverable());
            assert!(error.to_string().starts_with(key), "{error}");
        }
        assert!(settings("/srv", 100).checked().is_ok());
    }

    #[test]
    fn a_missing_path_may_come_back_and_a_file_is_no_directory_for_good() {
        let dir = tempfile::TempDir::new().unwrap();
        let missing = dir.path().join("missing");
        let missing = missing.to_str().unwrap();
        let error = start(&settings(missing, 1)).err().unwrap();
        assert!(error.is_recoverable() && error.to_string().contains(missing));
        std::fs::write(missing, "").unwrap();
        let error = start(&settings(missing, 1)).err().unwrap();
        assert!(!error.is_recoverable() && error.to_string().contains(missing));
    }
}
