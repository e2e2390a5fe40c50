//! `/history` that is followed: what there is, and every entry that comes, from the one history that everybody asks.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use plugin_engine::{HistoryFilter, HistoryMark};
use plugin_engine_wire::{Mark, Transition};
use tokio::time::{Instant, sleep};

use crate::server::App;
use crate::server_sent::{HEARTBEAT, Messages, Source};

/// How many entries are written at a time.
const BATCH: usize = 500;
/// How often it is looked whether there is anything new: one number is read for that.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Somebody who follows the history.
pub(crate) struct Following {
    app: Arc<App>,
    filter: HistoryFilter,
    /// Everything up to this number was written.
    seen: u64,
    /// How many of the newest entries come first, if not all do.
    newest: Option<usize>,
    beat: Instant,
}

impl Following {
    /// Begins with what the filter asks for, the newest ones if it has a limit.
    pub(crate) fn new(app: Arc<App>, filter: HistoryFilter) -> Self {
        let beat = Instant::now() + app.limits.heartbeat;
        Self {
            seen: filter.after.unwrap_or(0),
            newest: filter.limit,
            app,
            filter,
            beat,
        }
    }

    /// What is new. `None` if nobody can be asked any more.
    async fn read(&mut self) -> Option<Messages> {
        let newest = self.newest.take();
        let from = self.seen;
        let filter = HistoryFilter {
            after: Some(self.seen),
            newest_first: newest.is_some(),
            limit: Some(newest.unwrap_or(BATCH)),
            ..self.filter.clone()
        };
        let answer = self.app.ask(move |engine| engine.query(&filter)).await;
        let mut answer = answer.ok()?;
        if newest.is_some() {
            answer.entries.reverse();
            answer.marks.reverse();
        }
        let is_cut = newest.is_none() && answer.entries.len() >= BATCH;
        self.seen = match answer.entries.last() {
            Some(last) if is_cut => last.seq,
            _ => answer.last_seq,
        };
        let mut messages = Messages::default();
        let mut gone = answer.marks.iter().filter_map(gone).peekable();
        let mut before = from;
        for entry in &answer.entries {
            while let Some((_, count)) = gone.next_if(|(seq, _)| *seq < entry.seq) {
                messages.add_lost(count, before);
            }
            before = entry.seq;
            messages.add(
                Some("transition"),
                Some(entry.seq),
                &Transition::from(entry),
            );
        }
        gone.for_each(|(_, count)| messages.add_lost(count, before));
        Some(messages)
    }
}

/// Where entries are missing, and how many: they were folded, or left the history before they could be kept.
fn gone(mark: &HistoryMark) -> Option<(u64, u64)> {
    match Mark::from(mark) {
        Mark::Folded {
            seq, transitions, ..
        } => Some((seq, transitions)),
        Mark::Gap { seq, count, .. } => Some((seq, count)),
        _ => None,
    }
}

impl Source for Following {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.app.is_stopping() {
                return None;
            }
            if self.app.engine.last_seq() > self.seen {
                let messages = self.read().await?;
                if !messages.is_empty() {
                    self.beat = Instant::now() + self.app.limits.heartbeat;
                    return Some(messages.into());
                }
            }
            if Instant::now() >= self.beat {
                self.beat = Instant::now() + self.app.limits.heartbeat;
                return Some(Bytes::from_static(HEARTBEAT));
            }
            tokio::select! {
                () = sleep(LOOK_EVERY.min(self.app.limits.heartbeat)) => {}
                () = self.app.stopped() => return None,
            }
        }
    }
}
