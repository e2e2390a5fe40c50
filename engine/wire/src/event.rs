//! What happened, for those who listen.

use serde::{Deserialize, Serialize};

use crate::Time;

/// An event; see [`plugin_engine::Event`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The number of the event; not that of a transition.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// What it is, such as `plugin.clock.unhealthy`.
    pub topic: String,
    /// The plugin it is about.
    pub id: Option<String>,
    /// What was said. May hold control characters.
    pub payload: String,
}

/// What `/events?follow=false` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Events {
    /// The events that are kept, oldest first.
    pub events: Vec<Event>,
}

impl From<&plugin_engine::Event> for Event {
    fn from(event: &plugin_engine::Event) -> Self {
        Self {
            seq: event.seq,
            at: event.at.into(),
            topic: event.topic.to_string(),
            id: event.id.as_ref().map(|id| id.as_str().to_owned()),
            payload: event.payload.to_string(),
        }
    }
}
