//! The engine's side of one plugin: what the services that a plugin calls do.
//!
//! A host outlives everything that may still speak to it: each instance and each abandoned call keeps it, and what a call says
//! that is no longer the plugin's current one is discarded here.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use plugin_api::limits::EVENT_PAYLOAD_LEN_MAX;
use plugin_engine_core::{CallId, FaultKind, FaultReport, PluginId, bounded};

use crate::clock::Clock;
use crate::plugin_log;
use crate::secrets::Secrets;
use crate::topics::TopicName;

/// The longest line of log, in bytes; what is longer is cut.
const LOG_LEN_MAX: usize = 8 * 1024;

/// Who takes what plugins say. Hosts outlive it: what is said then is not heard.
pub(crate) trait Listener: Send + Sync {
    /// Publishes an event of a plugin.
    fn publish(&self, id: &PluginId, name: &TopicName<'_>, payload: &str);
    /// Records that a thread has panicked which a plugin, or some plugin of a file, had started.
    fn thread_panicked(&self, of: &HostOf, report: &FaultReport);
    /// Whether panics are wanted with a backtrace.
    fn wants_backtraces(&self) -> bool;
}

/// Whom a host stands for.
#[derive(Clone)]
pub(crate) enum HostOf {
    /// A plugin, by the index of its cell.
    Plugin(u32),
    /// A file, for threads that are in no call.
    File(Box<crate::digest::Fingerprint>),
}

/// The engine's side of one plugin, or of one file.
#[repr(C)]
pub(crate) struct HostContext {
    /// The call whose words count; 0 for none. This and the next are what a good update touches, and lie together for that.
    live_call: AtomicU64,
    /// By which number calls of the plugin are recorded for whoever comes after a crash; 0 for not at all.
    recorded_as: AtomicU32,
    listener: Weak<dyn Listener>,
    clock: Arc<dyn Clock>,
    of: HostOf,
    id: PluginId,
    /// A JSON object.
    settings: Box<str>,
    /// What must not come back in any text.
    secrets: Arc<Secrets>,
    /// The call that a command or a shutdown asks to return.
    cancelled_call: AtomicU64,
    /// The plugin's own record of progress.
    progress: Arc<AtomicU64>,
    /// Whether the instance has not taken over yet: what it publishes is held back, and its progress is not the plugin's.
    is_candidate: AtomicBool,
    /// `None` where nothing is, which most plugins never have.
    held_back: Mutex<Option<Box<HeldBack>>>,
}

/// The most events that are held back for a candidate, and the most bytes of them.
const HELD_EVENTS_MAX: usize = 1_024;
const HELD_BYTES_MAX: usize = 1024 * 1024;

/// What a candidate has published. It becomes known when the candidate takes over, and never if it does not.
#[derive(Default)]
struct HeldBack {
    events: Vec<(String, String)>,
    bytes: usize,
}

impl HostContext {
    pub(crate) fn new(
        listener: Weak<dyn Listener>,
        clock: &Arc<dyn Clock>,
        of: HostOf,
        id: PluginId,
        settings: &str,
        secrets: Arc<Secrets>,
        progress: Arc<AtomicU64>,
    ) -> Arc<Self> {
        Arc::new(Self {
            listener,
            clock: Arc::clone(clock),
            of,
            id,
            settings: settings.into(),
            secrets,
            live_call: AtomicU64::new(0),
            cancelled_call: AtomicU64::new(0),
            progress,
            is_candidate: AtomicBool::new(false),
            held_back: Mutex::default(),
            recorded_as: AtomicU32::new(0),
        })
    }

    /// Says by which number calls of the plugin are recorded. Before the first of them.
    pub(crate) fn record_as(&self, number: u32) {
        self.recorded_as.store(number, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn recorded_as(&self) -> u32 {
        self.recorded_as.load(Ordering::Relaxed)
    }

    /// The host of the next instance, which has other settings. What was asked of the call that makes it is asked there, too.
    pub(crate) fn with_settings(&self, settings: &str) -> Arc<Self> {
        let cancelled = self.cancelled_call.load(Ordering::Relaxed);
        let live = self.live_call.swap(0, Ordering::Relaxed);
        Arc::new(Self {
            listener: Weak::clone(&self.listener),
            clock: Arc::clone(&self.clock),
            of: self.of.clone(),
            id: self.id.clone(),
            settings: settings.into(),
            secrets: Arc::clone(&self.secrets),
            live_call: AtomicU64::new(live),
            cancelled_call: AtomicU64::new(cancelled),
            progress: Arc::clone(&self.progress),
            is_candidate: AtomicBool::new(self.is_candidate.load(Ordering::Relaxed)),
            held_back: Mutex::default(),
            recorded_as: AtomicU32::new(self.recorded_as()),
        })
    }

    /// What the plugin says from now on is said by an instance that has not taken over yet.
    pub(crate) fn begin_candidacy(&self) {
        self.is_candidate.store(true, Ordering::Relaxed);
    }

    /// The instance takes over: what it has published becomes known. Called inside the lock of the cell, so that it comes before
    /// anything that the plugin publishes from now on.
    pub(crate) fn take_over(&self) {
        let mut held = self.held_back.lock();
        self.is_candidate.store(false, Ordering::Relaxed);
        let held_back = held.take();
        drop(held);
        let (Some(held_back), Some(listener)) = (held_back, self.listener.upgrade()) else {
            return;
        };
        for (name, payload) in held_back.events {
            if let Some(name) = TopicName::of_plugin(&name) {
                listener.publish(&self.id, &name, &payload);
            }
        }
    }

    /// Holds an event of a candidate back. `false` if it takes over already.
    fn hold_back(&self, name: &str, payload: &str) -> Result<bool, PublishRefused> {
        let mut held = self.held_back.lock();
        if !self.is_candidate.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let held = held.get_or_insert_default();
        let bytes = held.bytes + name.len() + payload.len();
        if held.events.len() >= HELD_EVENTS_MAX || bytes > HELD_BYTES_MAX {
            return Err(PublishRefused::Discarded);
        }
        held.bytes = bytes;
        held.events.push((name.to_owned(), payload.to_owned()));
        Ok(true)
    }

    /// A view without the secrets that the plugin was given. Images are shown as they are.
    pub(crate) fn mask_view(&self, view: plugin_api::View) -> plugin_api::View {
        match view.as_text().map(|text| self.mask(text)) {
            Some(Cow::Owned(masked)) => plugin_api::View::new(view.kind(), masked),
            _ => view,
        }
    }

    /// A text of the plugin without the secrets that it was given.
    pub(crate) fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.secrets.mask(text)
    }

    pub(crate) fn id(&self) -> &PluginId {
        &self.id
    }

    pub(crate) fn settings(&self) -> &str {
        &self.settings
    }

    /// From now on the words of this call count, and of no other.
    #[inline]
    pub(crate) fn listen_to(&self, call: CallId) {
        self.live_call.store(call.0, Ordering::Relaxed);
    }

    /// The words of this call no longer count.
    pub(crate) fn stop_listening(&self, call: CallId) {
        let _ = self
            .live_call
            .compare_exchange(call.0, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// No words count until the next call.
    pub(crate) fn stop_listening_at_all(&self) {
        self.live_call.store(0, Ordering::Relaxed);
    }

    /// Asks a call to return, which it may or may not do.
    pub(crate) fn cancel(&self, call: CallId) {
        self.cancelled_call.store(call.0, Ordering::Relaxed);
    }

    fn is_live(&self, call: u64) -> bool {
        call != 0 && self.live_call.load(Ordering::Relaxed) == call
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.clock.now().as_nanos()
    }

    pub(crate) fn is_cancelled(&self, call: u64) -> bool {
        !self.is_live(call) || self.cancelled_call.load(Ordering::Relaxed) == call
    }

    pub(crate) fn record_progress(&self, call: u64) {
        if self.is_live(call) && !self.is_candidate.load(Ordering::Relaxed) {
            // Never 0, which stands for never: a manual clock begins there.
            self.progress.store(self.now_ns().max(1), Ordering::Relaxed);
        }
    }

    pub(crate) fn publish(
        &self,
        call: u64,
        name: &str,
        payload: &str,
    ) -> Result<(), PublishRefused> {
        let (name, payload) = (self.mask(name), self.mask(payload));
        let (name, payload) = (name.as_ref(), payload.as_ref());
        let name = TopicName::of_plugin(name).ok_or(PublishRefused::Name)?;
        if payload.len() > EVENT_PAYLOAD_LEN_MAX {
            return Err(PublishRefused::TooLong);
        }
        if !self.is_live(call) {
            return Err(PublishRefused::Discarded);
        }
        if self.is_candidate.load(Ordering::Relaxed) && self.hold_back(name.as_str(), payload)? {
            return Ok(());
        }
        let listener = self.listener.upgrade().ok_or(PublishRefused::Discarded)?;
        listener.publish(&self.id, &name, payload);
        Ok(())
    }

    pub(crate) fn log(&self, call: u64, level: u8, target: &str, message: &str, spans: &str) {
        // Call 0 is a thread of the file that is in no call; of a plugin it is one that nobody waits for.
        let heard = match self.of {
            HostOf::Plugin(_) => self.is_live(call),
            HostOf::File(_) => true,
        };
        if !heard {
            return;
        }
        let (target, message, spans) = (self.mask(target), self.mask(message), self.mask(spans));
        plugin_log::emit(
            &self.id,
            level,
            &target,
            bounded(&message, LOG_LEN_MAX),
            bounded(&spans, LOG_LEN_MAX),
        );
    }

    /// A thread that the file started has panicked.
    pub(crate) fn thread_panicked(&self, report: &FaultReport) {
        if let Some(listener) = self.listener.upgrade() {
            listener.thread_panicked(&self.of, report);
        }
    }

    pub(crate) fn wants_backtraces(&self) -> bool {
        self.listener
            .upgrade()
            .is_some_and(|listener| listener.wants_backtraces())
    }
}

/// Why an event was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublishRefused {
    Name,
    TooLong,
    Discarded,
}

/// What a call said of itself before it returned. It lies on the stack of the thread that makes the call, so that also an
/// abandoned call can go on writing to it.
pub(crate) struct Reply<'a> {
    /// Whose words they are.
    pub(crate) host: &'a HostContext,
    pub(crate) said: Option<Box<Said>>,
}

impl<'a> Reply<'a> {
    #[inline]
    pub(crate) fn new(host: &'a HostContext) -> Self {
        Self { host, said: None }
    }
}

/// The words of a call, copied out of the plugin's memory at once.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) failure: Option<SaidFailure>,
    pub(crate) panic: Option<FaultReport>,
    pub(crate) view: Option<plugin_api::View>,
    /// The plugin handed over something that the contract does not have.
    pub(crate) breach: Option<&'static str>,
}

pub(crate) struct SaidFailure {
    pub(crate) message: String,
    pub(crate) type_name: String,
    pub(crate) recoverable: bool,
    pub(crate) retry_after: Option<std::time::Duration>,
}

/// A panic as data. The backtrace is one of modules and offsets: symbolising inside a plugin leaks megabytes per load.
pub(crate) fn panic_report(
    kind: FaultKind,
    message: &str,
    file: &str,
    (line, column): (u32, u32),
    with_backtrace: bool,
) -> FaultReport {
    let mut report = FaultReport::new(kind, bounded(message, 4_096));
    if !file.is_empty() {
        report.location = format!("{}:{line}:{column}", bounded(file, 200));
    }
    if with_backtrace {
        report.backtrace = crate::backtrace::capture();
    }
    report
}
