//! The boundary itself: a plugin that answers anything within the types, called by the real executor through the real instance.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use plugin_api::limits::{EVENT_PAYLOAD_LEN_MAX, VIEW_LEN_MAX};
use plugin_engine_core::{
    CallId, CallOutcome, MESSAGE_LEN_MAX, Moment, PluginId, PluginState, TIMEOUT_MAX, WallTime,
    escape_control,
};

use super::bytes::Bytes;
use super::stand_in::{Answer, CALLS, SCRIPT, STATE};
use crate::clock::{Clock, ManualClock};
use crate::events::{Event, Subscription};
use crate::instance::{CallTicket, Instance};
use crate::library::LoadedLibrary;
use crate::manifest::{Contract, Manifest};
use crate::{Engine, Snapshot};

/// The plugin.
pub(super) const ID: &str = "stand-in";
/// How often it is called.
const INTERVAL: Duration = Duration::from_secs(1);
/// The longest delay that a plugin may ask for.
const RETRY_MAX: Duration = TIMEOUT_MAX;
/// The most steps of one input.
const STEPS_MAX: usize = 40;
/// How long is waited for what comes at once: only a hung engine takes that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// One plugin at a time: what it is told to answer is kept in one place.
pub(super) static TURN: Mutex<()> = Mutex::new(());

/// An engine with the plugin, and a clock that stands still.
pub(super) struct Rig {
    pub(super) engine: Engine,
    clock: ManualClock,
    events: Subscription,
    published: Vec<Event>,
    library: Arc<LoadedLibrary>,
}

impl Rig {
    pub(super) fn new(contract: Contract) -> Self {
        let clock = ManualClock::new(WallTime::from_unix_nanos(1_790_000_000_000_000_000));
        // A moment of 0 stands for never in places.
        clock.advance(INTERVAL);
        let engine = Engine::builder()
            .workers(1)
            .clock(clock.clone())
            .build()
            .expect("an engine can be built");
        let library = LoadedLibrary::unmapped(0, CALLS, Some(STATE), manifest(contract), [0; 32]);
        let rig = Self {
            events: engine.subscribe("**"),
            engine,
            clock,
            published: Vec::new(),
            library: Arc::new(library),
        };
        let path = Path::new("/nowhere/libstand_in.so");
        crate::plugins::start_unmapped(rig.engine.shared(), path, &rig.library);
        rig
    }

    pub(super) fn step(&mut self, step: u8) {
        let engine = &self.engine;
        // What is refused is: that is one of the answers.
        match step % 8 {
            0 | 1 => {
                self.clock.advance(INTERVAL);
                engine.run_cycle();
            }
            2 => match engine.display(ID) {
                Ok(view) => assert!(view.bytes().len() <= VIEW_LEN_MAX),
                Err(error) => check_error(&error),
            },
            3 => said(engine.update(ID)),
            4 => said(engine.reset(ID)),
            5 => {
                said(engine.disable(ID));
                said(engine.enable(ID));
            }
            6 => self.clock.advance(40 * INTERVAL),
            _ => self.hand_over(),
        }
        self.check();
    }

    /// Has an instance save its state, and another one take it over.
    fn hand_over(&self) {
        let shared = self.engine.shared();
        let Some(cell) = shared.board.registry.find(ID) else {
            return;
        };
        let loaded = cell.lock().loaded.as_ref().map(|one| Arc::clone(&one.host));
        let Some(host) = loaded else { return };
        let ticket = CallTicket {
            id: CallId(u64::MAX),
            since: self.clock.now(),
            deadline: Moment::from_nanos(u64::MAX),
        };
        let make = || Instance::create(Arc::clone(&self.library), Arc::clone(&host), ticket);
        let (mut old, mut new) = match (make().1, make().1) {
            (Some(old), Some(new)) => (old, new),
            (one, other) => {
                for made in one.into_iter().chain(other) {
                    check_outcome(&made.destroy(ticket));
                }
                return;
            }
        };
        let (outcome, state) = old.save_state(ticket);
        assert!(state.is_none() || matches!(outcome, CallOutcome::Completed));
        if let Some(state) = state {
            check_outcome(&new.restore_state(ticket, &state));
        }
        check_outcome(&outcome);
        check_outcome(&old.destroy(ticket));
        check_outcome(&new.destroy(ticket));
    }

    /// Waits until no call is under way: an instance that has panicked is destroyed and made anew by the way.
    fn settled(&self) -> Snapshot {
        let until = Instant::now() + PATIENCE;
        loop {
            let snapshot = self.engine.snapshot(ID);
            if snapshot.in_flight.is_none() {
                return snapshot;
            }
            assert!(Instant::now() < until, "a call does not end: {snapshot:?}");
            std::thread::yield_now();
        }
    }

    /// What holds after each step, whatever the plugin has said.
    fn check(&mut self) {
        let now = self.clock.now();
        let snapshot = self.settled();
        check_snapshot(&snapshot, self.clock.wall());
        let entries: Vec<_> = self.engine.history(ID).into_iter().collect();
        let last = entries.last().expect("it was loaded");
        assert_eq!(last.to, snapshot.state, "the last entry says the state");
        assert_eq!(last.seq, snapshot.seq);
        for pair in entries.windows(2) {
            let [one, next] = pair else { continue };
            assert_eq!(one.to, next.from, "{one} and {next} do not fit");
            assert!(one.seq < next.seq);
        }
        while let Some(event) = self.events.try_next() {
            check_event(&event);
            let name = event.topic.strip_prefix("plugin.stand-in.");
            let name = name.expect("there is no other plugin");
            if crate::topics::TopicName::of_plugin(name).is_some() {
                self.published.push(event);
            }
        }
        // A queue has a bound, and what leaves it is counted.
        if self.events.lost() == 0 {
            let script = SCRIPT.lock();
            let said = script.published.iter();
            let said: Vec<_> = said
                .map(|(name, text)| (format!("plugin.{ID}.{name}"), text.as_str()))
                .collect();
            let heard = self.published.iter();
            let heard: Vec<_> = heard
                .map(|event| (event.topic.to_string(), &*event.payload))
                .collect();
            assert_eq!(
                heard, said,
                "what was accepted is published, and nothing else"
            );
        }
        assert!(self.engine.stuck_calls().is_empty(), "at {now:?}");
    }

    pub(super) fn end(self) {
        SCRIPT.lock().answers.clear();
        self.engine.shutdown(PATIENCE).expect("nothing hangs");
    }
}

/// A plugin that answers anything: what it says is bounded and harmless to a terminal, the engine's books agree with each other, and
/// what was made is destroyed once.
pub fn boundary(bytes: &[u8]) {
    play(bytes, Contract::Rust);
}

/// The same of a plugin in C, which may write for a text what is none, and for nothing whatever it likes.
pub fn boundary_c(bytes: &[u8]) {
    play(bytes, Contract::C);
}

fn play(bytes: &[u8], contract: Contract) {
    let _turn = TURN.lock();
    let mut bytes = Bytes(bytes);
    *SCRIPT.lock() = super::stand_in::Script::default();
    SCRIPT
        .lock()
        .answers
        .push_back(Answer::draw(&mut bytes, contract));
    let mut rig = Rig::new(contract);
    rig.check();
    for _ in 0..STEPS_MAX {
        if bytes.is_empty() {
            break;
        }
        let step = bytes.byte();
        for _ in 0..=bytes.byte() % 3 {
            let answer = Answer::draw(&mut bytes, contract);
            SCRIPT.lock().answers.push_back(answer);
        }
        rig.step(step);
    }
    rig.end();
    // A call that was abandoned, because the clock leapt while it was about to begin, comes back in its own time.
    let until = Instant::now() + PATIENCE;
    while SCRIPT.lock().instances > 0 {
        assert!(Instant::now() < until, "an instance was not destroyed");
        std::thread::yield_now();
    }
}

fn manifest(contract: Contract) -> Manifest {
    Manifest {
        id: PluginId::new(ID).expect("it is an id"),
        version: "1.0.0".to_owned(),
        interval: Some(INTERVAL),
        timeout: Some(Duration::from_secs(30)),
        requires: Vec::new(),
        api_version: "0.1.0".to_owned(),
        compiler: "none".to_owned(),
        target: "none".to_owned(),
        panic: match contract {
            Contract::Rust => "unwind",
            Contract::C => "none",
        }
        .to_owned(),
        contract,
    }
}

fn said(end: Result<(), crate::Error>) {
    if let Err(error) = end {
        check_error(&error);
    }
}

/// An error quotes at most one message and one place of the plugin, of which each byte may be escaped.
fn check_error(error: &crate::Error) {
    let quoted = MESSAGE_LEN_MAX + 256;
    let len_max = quoted * super::ESCAPE_LEN_MAX + super::MESSAGE_LEN_MAX;
    super::assert_line(&error.to_string(), len_max);
}

fn check_outcome(outcome: &CallOutcome) {
    if let CallOutcome::Failed { report, .. } | CallOutcome::Panicked(report) = outcome {
        assert!(report.message.len() <= 4_096 && report.type_name.len() <= 256);
        assert!(report.location.len() <= 256);
    }
}

fn check_snapshot(snapshot: &Snapshot, now: WallTime) {
    use PluginState::{Disabled, Enabled, Error};
    assert!(matches!(snapshot.state, Enabled | Error | Disabled));
    if let Some(error) = &snapshot.error {
        assert!(error.message.len() <= MESSAGE_LEN_MAX);
        assert!(error.type_name.len() <= 256 && error.location.len() <= 256);
        let shown = error.to_string();
        assert_eq!(escape_control(&shown), shown, "one line of plain text");
    }
    assert!(snapshot.error.is_some() || snapshot.state != Error);
    if let Some(next) = snapshot.next_update {
        assert!(next <= now.saturating_add(RETRY_MAX), "{next} is too late");
    }
    let counts = snapshot.counts;
    let ended = counts.successes + counts.failures + counts.timeouts;
    assert!(ended <= counts.calls && counts.updates <= counts.calls);
    assert!(snapshot.last_progress.is_none_or(|at| at <= now));
}

fn check_event(event: &Event) {
    assert!(event.payload.len() <= EVENT_PAYLOAD_LEN_MAX);
    assert!(event.topic.len() <= 200);
    let shown = event.to_string();
    assert_eq!(escape_control(&shown), shown, "one line of plain text");
}
