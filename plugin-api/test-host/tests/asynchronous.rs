//! Plugins whose calls are `async fn`s: what ends their waiting, and what is left of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use plugin_api::prelude::*;
use plugin_api::tokio::task::yield_now;
use plugin_api::tokio::time::sleep;
use plugin_test_host::{Clock, Level, TestHost, TestPlugin, Then, When};
use serde_json::json;

static RELEASED: AtomicBool = AtomicBool::new(false);

#[derive(serde::Deserialize)]
struct Settings {
    #[serde(default)]
    waits: Waits,
    /// Whether a task comes to no `await` until the test releases it.
    #[serde(default)]
    stubborn: bool,
}

#[derive(serde::Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum Waits {
    #[default]
    Shortly,
    ForEver,
    Busily,
}

struct Waiting {
    waits: Waits,
    beats: Arc<AtomicU64>,
    updates: u64,
}

impl AsyncPlugin for Waiting {
    const SHUTDOWN_LIMIT: Duration = Duration::from_millis(50);

    async fn create(cx: &CreateContext<'_>, tasks: &Tasks) -> Result<Self, PluginError> {
        let settings: Settings = cx.settings()?;
        let beats = Arc::new(AtomicU64::new(0));
        let heart = Arc::clone(&beats);
        tasks.spawn("heart", async move {
            loop {
                heart.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(1)).await;
            }
        });
        if settings.stubborn {
            let (started, starts) = plugin_api::tokio::sync::oneshot::channel();
            tasks.spawn("stubborn", async move {
                started.send(()).ok();
                while !RELEASED.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            starts.await?;
        }
        Ok(Self {
            waits: settings.waits,
            beats,
            updates: 0,
        })
    }

    async fn update(&mut self, cx: &UpdateContext<'_>) -> Result<(), PluginError> {
        self.updates += 1;
        cx.record_progress();
        match self.waits {
            Waits::Shortly => sleep(Duration::from_millis(1)).await,
            Waits::ForEver => std::future::pending().await,
            Waits::Busily => loop {
                yield_now().await;
            },
        }
        cx.publish("updates", self.updates.to_string());
        Ok(())
    }

    async fn display(&mut self, _: &DisplayContext<'_>) -> Result<View, PluginError> {
        let before = self.beats.load(Ordering::Relaxed);
        while self.beats.load(Ordering::Relaxed) == before {
            sleep(Duration::from_millis(1)).await;
        }
        Ok(View::text(format!("{} updates", self.updates)))
    }
}

fn waiting(settings: serde_json::Value) -> TestPlugin<Async<Waiting>> {
    let host = TestHost::new().id("waiting").clock(Clock::manual());
    host.settings(settings).create().unwrap()
}

#[test]
fn an_update_waits_for_its_future_and_tasks_go_on_between_the_calls() {
    let mut plugin = waiting(json!({}));
    plugin.update().unwrap();
    plugin.update().unwrap();
    assert_eq!(plugin.published().len(), 2);
    assert_eq!(plugin.display().unwrap().as_text(), Some("2 updates"));
    plugin.destroy().unwrap();
}

#[test]
fn a_future_that_waits_for_ever_is_dropped_at_the_deadline() {
    for waits in ["for_ever", "busily"] {
        let mut plugin = waiting(json!({ "waits": waits }));
        plugin.in_next_call(When::Progress(1), Then::PassDeadline);
        let error = plugin.update().unwrap_err();
        assert!(error.is_timeout(), "{waits}: {error}");
        // The instance is called again.
        assert_eq!(plugin.created(), 1);
        assert_eq!(plugin.display().unwrap().as_text(), Some("1 updates"));
    }
}

#[test]
fn a_future_that_waits_is_dropped_when_its_call_is_cancelled_from_elsewhere() {
    let mut plugin = waiting(json!({ "waits": "for_ever" }));
    let (canceller, recording) = (plugin.canceller(), plugin.recording());
    let error = std::thread::scope(|scope| {
        let call = scope.spawn(|| plugin.update());
        while recording.progress() == 0 {
            std::thread::yield_now();
        }
        canceller.cancel();
        call.join().unwrap().unwrap_err()
    });
    assert_eq!(error.message(), "the call was cancelled while it waited");
    assert!(error.is_recoverable());
}

#[test]
fn a_call_that_was_cancelled_before_it_begins_does_not_begin() {
    let mut plugin = waiting(json!({}));
    plugin.in_next_call(When::Start, Then::Cancel);
    plugin.update().unwrap_err();
    assert_eq!(plugin.progress(), 0);
}

#[test]
fn a_task_that_comes_to_no_await_is_named_and_keeps_no_call_from_ending() {
    let mut plugin = waiting(json!({ "stubborn": true, "waits": "for_ever" }));
    // It has the only worker, so no timer of the runtime runs any more.
    plugin.in_next_call(When::Progress(1), Then::PassDeadline);
    assert!(plugin.update().unwrap_err().is_timeout());
    let recording = plugin.recording();
    plugin.destroy().unwrap();
    let log = recording.log();
    let line = log.last().unwrap();
    assert_eq!(line.level, Level::Error);
    assert!(
        line.message.ends_with("threads=1 tasks=stubborn"),
        "{line:?}"
    );
    RELEASED.store(true, Ordering::SeqCst);
}

#[test]
fn a_create_that_fails_leaves_no_thread() {
    static DROPPED: AtomicBool = AtomicBool::new(false);
    /// What takes its time to be dropped, as a connection that says goodbye.
    struct Slow;
    impl Drop for Slow {
        fn drop(&mut self) {
            std::thread::sleep(Duration::from_millis(20));
            DROPPED.store(true, Ordering::SeqCst);
        }
    }
    struct Fails;
    impl AsyncPlugin for Fails {
        async fn create(_: &CreateContext<'_>, tasks: &Tasks) -> Result<Self, PluginError> {
            let slow = Slow;
            tasks.spawn("endless", async move {
                let _slow = slow;
                std::future::pending::<()>().await;
            });
            Err(PluginError::recoverable("not today"))
        }
        async fn update(&mut self, _: &UpdateContext<'_>) -> Result<(), PluginError> {
            Ok(())
        }
    }
    let host = TestHost::new().id("fails-to-begin");
    let error = host.create::<Async<Fails>>().unwrap_err();
    assert_eq!(error.message(), "not today");
    assert!(DROPPED.load(Ordering::SeqCst));
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let mut names =
        threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    assert!(!names.any(|name| name.trim_end() == "fails-to-begin"));
}
