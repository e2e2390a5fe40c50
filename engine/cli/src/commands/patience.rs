//! How long to wait until a running engine has done what it was told, where nobody says.

use std::time::Duration;

use plugin_engine::PluginId;
use plugin_engine_wire::Snapshot;

use crate::client::{ANSWER_LIMIT, Client, ClientError};

/// What the calls of a command take beside updates, as they are limited unless the engine's configuration says otherwise: loading 10 s, a
/// create 30 s, saving and restoring the state 5 s each, a destroy 5 s; and 5 s for verifying.
const OTHER_CALLS: Duration = Duration::from_secs(60);

/// How long a command to this plugin may take, and ten seconds more: an update in flight and a trial update, and the other calls.
pub(super) fn of(client: &Client, id: &PluginId) -> Result<Duration, ClientError> {
    let timeout = match client.get::<Snapshot>(&format!("/plugins/{id}")) {
        Ok(plugin) => Duration::from_millis(plugin.timeout_ms),
        // What follows from that is the engine's to say.
        Err(ClientError::Refused { .. }) => Duration::ZERO,
        Err(error) => return Err(error),
    };
    let limit = timeout.saturating_mul(2).saturating_add(OTHER_CALLS);
    Ok(limit.saturating_add(ANSWER_LIMIT))
}
