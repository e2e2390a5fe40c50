//! Bugs on purpose: what a simulation may change on the way between the parts of the engine, to see that its checks would notice.
//!
//! Each is what a mistake in one of those parts would look like from the next one. Without a [`Tampering`] on this thread all of these
//! hand on what they are given.

use std::cell::RefCell;
use std::rc::Rc;

use plugin_engine_core::{Event, Machine, Moment, Step, Unmet};

/// A question that the engine answers with yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Is a file of this name looked at?
    IsPluginName,
    /// Is there anything to do about a file that is another one than is known?
    IsChange,
    /// Is there anything to do about a file that is gone?
    IsRemoval,
    /// Is a file tried again at the next look that was refused, and has not changed?
    IsTriedAgain,
    /// Does what somebody unloaded stay so?
    StaysUnloaded,
    /// Is a plugin off once it is loaded?
    IsOff,
}

/// Mistakes that are made on purpose.
#[expect(unused_variables, reason = "what is handed on as it is needs no look")]
pub trait Tampering {
    /// What is applied to a plugin's machine in place of an event; `None` for nothing.
    fn event(&self, plugin: u32, machine: &Machine, now: Moment, event: Event) -> Option<Event> {
        Some(event)
    }

    /// What comes of an event that was applied.
    fn step(&self, plugin: u32, machine: &mut Machine, now: Moment, step: &mut Step) {}

    /// By how much more than by one the number of a transition is larger than the one before; may be less than nothing.
    fn skips(&self, plugin: u32) -> i64 {
        0
    }

    /// Whether what a plugin is now is published.
    fn publishes(&self, plugin: u32, machine: &Machine) -> bool {
        true
    }

    /// The plugins whose ticks have come.
    fn due(&self, due: &mut Vec<u32>) {}

    /// What of that which a plugin requires is said not to be there.
    fn unmet(&self, unmet: Option<Unmet>) -> Option<Unmet> {
        unmet
    }

    /// The order in which plugins are stopped.
    fn stop_order(&self, order: &mut Vec<usize>) {}

    /// What the engine decides to do, where it answers a question with yes or no.
    fn answer(&self, question: Question, answer: bool) -> bool {
        answer
    }

    /// How many entries of one kind the history of a plugin keeps.
    fn entries_max(&self, entries: usize) -> usize {
        entries
    }
}

thread_local! {
    static TAMPERING: RefCell<Option<Rc<dyn Tampering>>> = const { RefCell::new(None) };
}

/// Has these mistakes be made on this thread from now on, or none.
pub fn tamper(with: Option<Rc<dyn Tampering>>) {
    TAMPERING.set(with);
}

fn tampering() -> Option<Rc<dyn Tampering>> {
    TAMPERING.with_borrow(Clone::clone)
}

pub(crate) fn is_tampered_with() -> bool {
    TAMPERING.with_borrow(Option::is_some)
}

pub(crate) fn tampered_event(
    plugin: u32,
    machine: &Machine,
    now: Moment,
    event: Event,
) -> Option<Event> {
    match tampering() {
        Some(tampering) => tampering.event(plugin, machine, now, event),
        None => Some(event),
    }
}

pub(crate) fn tampered_step(plugin: u32, machine: &mut Machine, now: Moment, step: &mut Step) {
    if let Some(tampering) = tampering() {
        tampering.step(plugin, machine, now, step);
    }
}

pub(crate) fn tampered_number(plugin: u32) -> u64 {
    let skips = tampering().map_or(0, |tampering| tampering.skips(plugin));
    1_u64.wrapping_add_signed(skips)
}

pub(crate) fn tampered_publish(plugin: u32, machine: &Machine) -> bool {
    tampering().is_none_or(|tampering| tampering.publishes(plugin, machine))
}

pub(crate) fn tampered_due(due: &mut Vec<u32>) {
    if let Some(tampering) = tampering() {
        tampering.due(due);
    }
}

pub(crate) fn tampered_unmet(unmet: Option<Unmet>) -> Option<Unmet> {
    match tampering() {
        Some(tampering) => tampering.unmet(unmet),
        None => unmet,
    }
}

pub(crate) fn tampered_stop_order(order: &mut Vec<usize>) {
    if let Some(tampering) = tampering() {
        tampering.stop_order(order);
    }
}

pub(crate) fn tampered_answer(question: Question, answer: bool) -> bool {
    tampering().map_or(answer, |tampering| tampering.answer(question, answer))
}

pub(crate) fn tampered_entries_max(entries: usize) -> usize {
    tampering().map_or(entries, |tampering| tampering.entries_max(entries))
}
