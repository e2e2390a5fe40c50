//! S1: what a snapshot says is what the entry at its number says, and a state never stands without its error.

use std::collections::HashMap;

use plugin_engine_wire::{Snapshot, Transition};

/// Causes that leave their error in the snapshot.
const FAILURES: [&str; 7] = [
    "update_failed",
    "update_timed_out",
    "update_panicked",
    "failed_permanently",
    "create_failed",
    "load_failed",
    "quarantined",
];

/// What was last seen of each plugin in this process.
#[derive(Default)]
pub(crate) struct Snapshots {
    before: HashMap<String, (u64, u64)>,
}

impl Snapshots {
    pub(crate) fn begun(&mut self) {
        self.before.clear();
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.before.remove(id);
    }

    /// What holds of one snapshot by itself, and after the one before.
    pub(crate) fn take(&mut self, one: &Snapshot) -> Vec<String> {
        let mut problems = Vec::new();
        let Snapshot {
            id,
            state,
            seq,
            calls,
            ..
        } = one;
        if state == "Error" && one.error.is_none() {
            problems.push(format!("{id} is Error at {seq} without an error"));
        }
        if state == "Running" && one.in_flight.is_none() {
            problems.push(format!("{id} is Running at {seq} without a call"));
        }
        let ended = one.successes + one.failures + one.timeouts;
        if ended > *calls {
            problems.push(format!(
                "{id} has made {calls} calls, of which {ended} ended, at {seq}"
            ));
        }
        if let Some((seq_before, calls_before)) = self.before.insert(id.clone(), (*seq, *calls))
            && (*seq < seq_before || *calls < calls_before)
        {
            problems.push(format!(
                "{id} went from {calls_before} calls at {seq_before} back to {calls} at {seq}"
            ));
        }
        problems
    }

    /// A snapshot beside the entry at its number.
    pub(crate) fn compare(one: &Snapshot, entry: &Transition) -> Option<String> {
        let Snapshot { id, state, seq, .. } = one;
        if entry.id != *id {
            return Some(format!(
                "{id} names {seq} as its last number, which is of {}",
                entry.id
            ));
        }
        if entry.to != *state {
            return Some(format!(
                "{id} is {state} at {seq}, whose entry says {}",
                entry.to
            ));
        }
        let said = entry.error.as_ref()?;
        let stands = one.error.as_ref();
        if FAILURES.contains(&&*entry.cause) && stands.is_none_or(|error| error.kind != said.kind) {
            return Some(format!(
                "{id} has the error {:?} at {seq}, whose entry ({}) says {}",
                stands.map(|error| &error.kind),
                entry.cause,
                said.kind
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::forged::{fault, transition};
    use super::*;

    fn snapshot(state: &str, seq: u64) -> Snapshot {
        let json = serde_json::json!({
            "id": "a", "state": state, "generation": 1, "interval_ms": 1, "timeout_ms": 1, "calls": 9, "updates": 0,
            "successes": 3, "failures": 3, "timeouts": 3, "panics": 0, "late": 0, "skipped": 0,
            "consecutive_failures": {"create": 0, "update": 0, "display": 0}, "health": "healthy", "breaker": "off",
            "history_len": 0, "seq": seq
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_snapshot_as_its_entry_is_good() {
        let mut one = snapshot("Enabled", 5);
        let mut entry = transition(5, 0, "a", "Running", "update_failed", "Enabled");
        entry.error = Some(fault("failed", true));
        one.error = Some(fault("failed", true));
        assert_eq!(Snapshots::compare(&one, &entry), None);
        assert_eq!(Snapshots::default().take(&one), [""; 0]);
    }

    #[test]
    fn a_state_that_is_not_that_of_the_entry_is_found() {
        let entry = transition(5, 0, "a", "Enabled", "update_started", "Running");
        assert!(
            Snapshots::compare(&snapshot("Enabled", 5), &entry)
                .unwrap()
                .contains("whose entry says Running")
        );
        let entry = transition(5, 0, "b", "Enabled", "update_started", "Running");
        assert!(
            Snapshots::compare(&snapshot("Running", 5), &entry)
                .unwrap()
                .contains("which is of b")
        );
    }

    #[test]
    fn a_state_without_its_error_is_found() {
        assert!(Snapshots::default().take(&snapshot("Error", 5))[0].contains("without an error"));
        let mut entry = transition(5, 0, "a", "Running", "update_failed", "Enabled");
        entry.error = Some(fault("failed", true));
        assert!(
            Snapshots::compare(&snapshot("Enabled", 5), &entry)
                .unwrap()
                .contains("has the error None")
        );
        let mut one = snapshot("Enabled", 5);
        one.error = Some(fault("timeout", true));
        assert!(
            Snapshots::compare(&one, &entry)
                .unwrap()
                .contains("says failed")
        );
    }

    #[test]
    fn a_running_plugin_without_a_call_is_found() {
        assert!(Snapshots::default().take(&snapshot("Running", 5))[0].contains("without a call"));
    }

    #[test]
    fn counts_that_go_back_or_do_not_add_up_are_found() {
        let mut seen = Snapshots::default();
        assert_eq!(seen.take(&snapshot("Enabled", 5)), [""; 0]);
        assert!(seen.take(&snapshot("Enabled", 4))[0].contains("back to 9 at 4"));
        let mut one = snapshot("Enabled", 6);
        one.calls = 8;
        assert!(
            seen.take(&one)
                .iter()
                .any(|problem| problem.contains("9 ended"))
        );
    }
}
