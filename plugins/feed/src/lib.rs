//! Reads an Atom or RSS feed from a file or from a server on this machine, shows the newest entries, and publishes an event
//! for each that is new.
//!
//! It is a lesson in taking in what others write: where it comes from is checked before it is asked for, the time and the
//! length of the answer have limits, what cannot be read is an error that may pass, and no text is shown as it came.
//! `source` and `http` fetch, `entries` reads, `seen` remembers; this file ties them to the engine's calls.

mod entries;
mod http;
mod seen;
mod source;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use plugin_api::prelude::*;

use crate::entries::{Entry, Feed};
use crate::http::{Answer, Client, Validators};
use crate::seen::Seen;
use crate::source::Source;

/// Which feed is read (Atom, RSS or JSON Feed), and how much of it is shown.
#[derive(serde::Deserialize, plugin_api::schemars::JsonSchema)]
#[schemars(crate = "plugin_api::schemars")]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where the feed is: the path of a file, or an address `http://…` whose host is `localhost` or a loopback address such as 127.0.0.1. A
    /// relative path starts at the working directory of the engine. At most 4 MiB are read. There is no default.
    #[schemars(length(min = 1))]
    source: String,
    /// How many entries are shown, from 1 to 100. Default: 10.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 100))]
    limit: u64,
}

fn default_limit() -> u64 {
    10
}

impl Settings {
    fn checked_limit(&self) -> Result<usize, PluginError> {
        match self.limit {
            limit @ 1..=100 => Ok(limit as usize),
            other => Err(PluginError::permanent(format!(
                "settings.limit: {other} is out of range, it has to be from 1 to 100"
            ))),
        }
    }
}

/// What reads the source.
enum Reader {
    File(PathBuf),
    Http(Client),
}

struct FeedReader {
    name: String,
    limit: usize,
    reader: Reader,
    /// Of the document that `latest` was made from.
    validators: Validators,
    latest: Option<Feed>,
    seen: Seen,
}

impl Plugin for FeedReader {
    fn settings_schema() -> Option<String> {
        plugin_api::schema::<Settings>()
    }

    fn create(cx: &CreateContext) -> Result<Self, PluginError> {
        let settings: Settings = cx
            .settings()
            .map_err(|error| PluginError::from(error).into_permanent())?;
        let reader = match Source::parse(&settings.source)? {
            Source::File(path) => Reader::File(path),
            Source::Http(uri) => Reader::Http(Client::new(uri)),
        };
        Ok(Self {
            limit: settings.checked_limit()?,
            name: settings.source,
            reader,
            validators: Validators::default(),
            latest: None,
            seen: Seen::default(),
        })
    }

    fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
        // A tenth of the time is kept back for reading what came.
        let Some((bytes, validators)) = self.fetch(cx.time_left() * 9 / 10)? else {
            return Ok(());
        };
        cx.record_progress();
        let mut feed = entries::parse(&bytes, &self.name)?;
        self.tell_new(&feed.entries, cx)?;
        feed.entries.truncate(self.limit);
        self.latest = Some(feed);
        // Last, so that a document that could not be read or told to its end is asked for again.
        self.validators = validators;
        Ok(())
    }

    fn display(&mut self, _cx: &DisplayContext) -> Result<View, PluginError> {
        Ok(View::text(match &self.latest {
            Some(feed) => describe(feed, &self.name),
            None => "nothing read yet\n".to_owned(),
        }))
    }
}

impl FeedReader {
    /// The document and what it can be recognised by; nothing if it has not changed.
    fn fetch(&self, time: Duration) -> Result<Option<(Vec<u8>, Validators)>, PluginError> {
        match &self.reader {
            Reader::File(path) => {
                let bytes = source::read_file(path)?;
                Ok(Some((bytes, Validators::default())))
            }
            Reader::Http(client) => Ok(match client.get(&self.validators, time)? {
                Answer::NotModified => None,
                Answer::Document(bytes, validators) => Some((bytes, validators)),
            }),
        }
    }

    /// Publishes the title of each entry that was not told before, oldest first. After a start, all are new.
    fn tell_new(&mut self, entries: &[Entry], cx: &UpdateContext) -> Result<(), PluginError> {
        self.seen.begin_reading();
        for entry in entries.iter().rev() {
            if !self.seen.contains(entry.key) {
                cx.try_publish("new", &entry.title)?;
            }
            self.seen.remember(entry.key);
        }
        Ok(())
    }
}

fn describe(feed: &Feed, name: &str) -> String {
    let title = if feed.title.is_empty() {
        name
    } else {
        &feed.title
    };
    let plural = if feed.total == 1 { "y" } else { "ies" };
    let mut text = format!("{title} ({} entr{plural})\n\n", feed.total);
    for entry in &feed.entries {
        let date = entry.date.as_deref().unwrap_or("no date");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{date:<16}  {}", entry.title);
    }
    text
}

export_plugin!(FeedReader, id = "feed", interval = "5m", timeout = "3s");
