//! What `top` is told of an engine: two threads ask, and tell what they hear through one queue of a bounded length.

use std::io;
use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread;
use std::time::Duration;

use plugin_engine::{HistoryFilter, PluginId};
use plugin_engine_wire::{History, Plugins, Snapshot, Transition};

use super::timeline::SECONDS;
use crate::client::{ANSWER_LIMIT, Client, ClientError, Content};
use crate::commands::target::Target;
use crate::moments::now;

/// How much time lies between two looks at all plugins.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many entries from before `top` was started are shown.
const PAST_MAX: usize = 10_000;
/// How many entries of a plugin are shown in detail.
const DETAIL_ENTRIES: usize = 50;
/// How much is told before it is looked at; whoever tells more waits.
const QUEUE_LEN: usize = 4_096;

/// What is told.
pub(super) enum News {
    /// How all plugins stand.
    Plugins(Vec<Snapshot>),
    /// What has happened.
    Entry(Box<Transition>),
    /// What was asked for of one plugin.
    Details(Details),
    /// Why nothing can be told.
    Problem(String),
}

/// More of one plugin.
pub(super) struct Details {
    pub(super) id: String,
    /// The newest entries, the newest first; or why there are none.
    pub(super) history: Result<Vec<Transition>, String>,
    /// What it shows of itself, in lines; or why it shows nothing.
    pub(super) display: Result<String, String>,
}

/// Asks an engine, again and again.
pub(super) struct Feed {
    pub(super) news: Receiver<News>,
    wanted: Sender<PluginId>,
}

impl Feed {
    /// Begins to ask.
    pub(super) fn start(target: &Target) -> Result<Self, ClientError> {
        let (tell, news) = mpsc::sync_channel(QUEUE_LEN);
        let (wanted, wishes) = mpsc::channel();
        let (looks, follows) = (target.client()?, target.client()?);
        let told = tell.clone();
        spawn("look", move || look(&looks, &wishes, &told))?;
        spawn("follow", move || follow(&follows, &tell))?;
        Ok(Self { news, wanted })
    }

    /// Asks for more of a plugin, which is told as [`News::Details`].
    pub(super) fn want(&self, id: &str) {
        if let Ok(id) = PluginId::new(id) {
            // A thread that has ended has nobody to tell.
            let _ = self.wanted.send(id);
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), ClientError> {
    let spawned: io::Result<_> = thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map(drop).map_err(ClientError::Runtime)
}

fn look(client: &Client, wishes: &Receiver<PluginId>, tell: &SyncSender<News>) {
    loop {
        let news = match client.get("/plugins") {
            Ok(Plugins { plugins }) => News::Plugins(plugins),
            Err(error) => News::Problem(error.text()),
        };
        if tell.send(news).is_err() {
            return;
        }
        match wishes.recv_timeout(LOOK_EVERY) {
            Ok(id) => {
                if tell.send(News::Details(details(client, &id))).is_err() {
                    return;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn details(client: &Client, id: &PluginId) -> Details {
    let newest = HistoryFilter {
        newest_first: true,
        limit: Some(DETAIL_ENTRIES),
        ..HistoryFilter::of(id.clone())
    };
    let history = client.get::<History>(&format!("/history?{newest}"));
    let display = client.content(&format!("/plugins/{id}/display"), "*/*", ANSWER_LIMIT);
    Details {
        id: id.to_string(),
        history: history
            .map(|answer| answer.entries)
            .map_err(|error| error.text()),
        display: display
            .map(|content| as_text(&content))
            .map_err(|error| error.text()),
    }
}

fn as_text(content: &Content) -> String {
    match std::str::from_utf8(&content.bytes) {
        Ok(text) if content.media_type.starts_with("text/plain") => text.to_owned(),
        _ => format!("{}, {} bytes", content.media_type, content.bytes.len()),
    }
}

/// Tells what has happened lately, and then what happens.
fn follow(client: &Client, tell: &SyncSender<News>) {
    let past = Duration::from_secs(SECONDS as u64);
    let mut filter = HistoryFilter {
        since: Some(plugin_engine::WallTime::from_unix_nanos(
            now()
                .as_unix_nanos()
                .saturating_sub(u64::try_from(past.as_nanos()).unwrap_or(u64::MAX)),
        )),
        newest_first: true,
        limit: Some(PAST_MAX),
        ..HistoryFilter::default()
    };
    let mut last = None;
    loop {
        if last.is_none()
            && let Ok(answer) = client.get::<History>(&format!("/history?{filter}"))
        {
            last = Some(answer.last_seq);
            for entry in answer.entries.into_iter().rev() {
                if tell.send(News::Entry(Box::new(entry))).is_err() {
                    return;
                }
            }
            filter = HistoryFilter::default();
        }
        if last.is_some() {
            filter.after = last;
            let path = format!("/history?{filter}&follow=true");
            let mut is_heard = true;
            // Why it ended is told by who looks.
            let _ = client.follow(&path, |message| {
                if let Ok(entry) = serde_json::from_str::<Transition>(&message.data) {
                    last = Some(entry.seq);
                    is_heard = tell.send(News::Entry(Box::new(entry))).is_ok();
                }
                if is_heard {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
            if !is_heard {
                return;
            }
        }
        thread::sleep(LOOK_EVERY);
    }
}
