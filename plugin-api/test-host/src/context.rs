//! The host's side of one plugin: what the services that it calls do. Safe code only.

use std::sync::{Mutex, MutexGuard, PoisonError};

use plugin_api::limits::{EVENT_PAYLOAD_LEN_MAX, is_event_name};

use crate::clock::Clock;
use crate::interruption::{Then, When};
use crate::recording::{LogLine, Published, Recording};

/// The host's side of one plugin.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) id: String,
    /// A JSON object.
    pub(crate) settings: String,
    pub(crate) clock: Clock,
    pub(crate) recording: Recording,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The call whose words count; 0 for none.
    call: u64,
    deadline_ns: u64,
    cancelled: bool,
    /// Once its deadline was seen to have passed, a call is abandoned for good.
    abandoned: bool,
    questions: u32,
    progress: u32,
    planned: Vec<(When, Then)>,
    /// What a replacement has published that has not taken over yet; `None` for whom is heard at once.
    held_back: Option<Vec<Published>>,
}

/// Why an event was not taken.
pub(crate) enum Refused {
    Name,
    TooLong,
    Discarded,
}

impl Context {
    pub(crate) fn new(id: &str, settings: String, clock: Clock, is_candidate: bool) -> Self {
        Self {
            id: id.to_owned(),
            settings,
            clock,
            recording: Recording::default(),
            state: Mutex::new(State {
                held_back: is_candidate.then(Vec::new),
                ..State::default()
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the words of this call count, and of no other. `planned` happens to it.
    pub(crate) fn begin(&self, call: u64, deadline_ns: u64, planned: Vec<(When, Then)>) {
        let mut state = self.state();
        let held_back = state.held_back.take();
        *state = State {
            call,
            deadline_ns,
            planned,
            held_back,
            ..State::default()
        };
        self.happen(&mut state, When::Start);
    }

    /// The call has returned. Whether it did so in time, and what did not happen to it because it never came to that.
    pub(crate) fn end(&self) -> (bool, Vec<(When, Then)>) {
        let mut state = self.state();
        self.look_at_clock(&mut state);
        state.call = 0;
        (!state.abandoned, std::mem::take(&mut state.planned))
    }

    pub(crate) fn cancel(&self) {
        self.state().cancelled = true;
    }

    /// What the plugin has published becomes known, and what it publishes from now on at once.
    pub(crate) fn take_over(&self) {
        let held_back = self.state().held_back.take();
        self.recording
            .add_published(held_back.into_iter().flatten());
    }

    fn look_at_clock(&self, state: &mut State) {
        state.abandoned |= self.clock.now_ns() >= state.deadline_ns;
    }

    /// Does what was planned for this moment.
    fn happen(&self, state: &mut State, moment: When) {
        let mut planned = std::mem::take(&mut state.planned);
        planned.retain(|(when, then)| {
            if *when != moment {
                return true;
            }
            match then {
                Then::Cancel => state.cancelled = true,
                Then::PassDeadline => self.clock.advance_to(state.deadline_ns),
                Then::Advance(by) => self.clock.advance(*by),
            }
            false
        });
        state.planned = planned;
        self.look_at_clock(state);
    }

    /// The state, if the words of this call count.
    fn heard(&self, call: u64) -> Option<MutexGuard<'_, State>> {
        let mut state = self.state();
        if call == 0 || state.call != call {
            return None;
        }
        self.look_at_clock(&mut state);
        (!state.abandoned).then_some(state)
    }

    pub(crate) fn is_cancelled(&self, call: u64) -> bool {
        let mut state = self.state();
        if call == 0 || state.call != call {
            return true;
        }
        state.questions += 1;
        let moment = When::Question(state.questions);
        self.happen(&mut state, moment);
        state.cancelled || state.abandoned
    }

    pub(crate) fn record_progress(&self, call: u64) {
        let Some(mut state) = self.heard(call) else {
            return;
        };
        if state.held_back.is_none() {
            self.recording.add_progress();
        }
        state.progress += 1;
        let moment = When::Progress(state.progress);
        self.happen(&mut state, moment);
    }

    pub(crate) fn publish(&self, call: u64, name: &str, payload: &str) -> Result<(), Refused> {
        if !is_event_name(name) {
            return Err(Refused::Name);
        }
        if payload.len() > EVENT_PAYLOAD_LEN_MAX {
            return Err(Refused::TooLong);
        }
        let mut state = self.heard(call).ok_or(Refused::Discarded)?;
        let event = Published {
            name: name.to_owned(),
            payload: payload.to_owned(),
        };
        match &mut state.held_back {
            Some(held_back) => held_back.push(event),
            None => self.recording.add_published([event]),
        }
        Ok(())
    }

    pub(crate) fn log(&self, call: u64, line: LogLine) {
        if self.heard(call).is_some() {
            self.recording.add_line(line);
        }
    }
}
