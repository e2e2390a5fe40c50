//! H6, H7, X3: what is asked less often: whether the engine's own tasks make progress, what the process takes, the metrics, and `why`.

use std::io;

use plugin_engine_wire::{EngineInfo, Livez, Snapshot, Tasks};

use super::{Observer, PATIENCE, RARE, bounds};
use crate::disturbances::Kind;
use crate::engine::footprint;
use crate::moment::{self, SECOND};

impl Observer {
    /// Asks what need not be asked each time.
    pub(super) fn look_at_the_rare(
        &mut self,
        pid: u32,
        snapshots: &[Snapshot],
        info: &EngineInfo,
    ) -> io::Result<()> {
        let now = moment::now();
        let livez: Livez = self.json("/livez")?;
        let is_excused = self
            .disturbances
            .any(Kind::Stopped, now.saturating_sub(15 * SECOND), now)
            || self.sleeper.worst(now.saturating_sub(10 * SECOND), now) > SECOND;
        // A task that is stale for a moment may be one that has just begun again.
        self.stale_rounds = if livez.live || is_excused {
            0
        } else {
            self.stale_rounds + 1
        };
        if self.stale_rounds == 3 {
            self.journal
                .found("liveness", format!("not live: {:?}", livez.stale));
        }
        let tasks: Tasks = self.json("/admin/liveness")?;
        for task in tasks.tasks.iter().filter(|task| task.restarts > 0) {
            let (name, restarts) = (&task.name, task.restarts);
            self.journal.found(
                "liveness",
                format!("{name} has panicked and was started again {restarts} times"),
            );
        }
        let metrics = self.way.ask("GET", "/metrics", PATIENCE)?;
        let problem = transitions_metric(&metrics.body).map_or_else(
            || Some("there is no plugin_engine_transitions_total".to_owned()),
            |count| {
                (count < self.numbers.last)
                    .then(|| format!("{count} transitions, and {} were seen", self.numbers.last))
            },
        );
        self.journal
            .found_all("metrics", problem.into_iter().collect());
        if let Some(seen) = footprint(pid) {
            self.journal.found_all("bounds", bounds::beyond(seen, info));
            self.journal.most("most threads", seen.threads as u64);
            self.journal.most(
                "most threads that call plugins",
                seen.calling_threads as u64,
            );
            self.journal
                .most("most descriptors", seen.descriptors as u64);
            self.journal.most("most mappings", seen.mappings as u64);
            self.journal.most("most memory, MiB", seen.resident_mib);
            self.journal
                .most("most mapped files", info.mapped_libraries.len() as u64);
            self.journal
                .most("most stuck calls", info.stuck_calls.len() as u64);
        }
        // One of them each time, so that all have their turn.
        let turn = usize::try_from(self.round / RARE).unwrap_or(0);
        if let Some(one) = snapshots.get(turn % snapshots.len().max(1)) {
            self.ask_why(&one.id)?;
        }
        Ok(())
    }

    /// `why` has an answer for everything that is known.
    fn ask_why(&self, id: &str) -> io::Result<()> {
        let reply = self
            .way
            .ask("GET", &format!("/plugins/{id}/why"), PATIENCE)?;
        self.journal.count("times asked why", 1);
        let lines = reply
            .json()
            .and_then(|json| Some(json["lines"].as_array()?.len()));
        // It may have been forgotten meanwhile.
        let is_gone = reply.status == 404 && self.forgotten.contains(id);
        if !is_gone && (reply.status != 200 || lines.unwrap_or(0) == 0) {
            self.journal
                .found("why", format!("{id}: {} {}", reply.status, reply.text()));
        }
        Ok(())
    }
}

/// How many transitions there were, as the metrics say.
fn transitions_metric(body: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(body).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("plugin_engine_transitions_total "))?;
    line.trim().parse::<f64>().ok().map(|count| count as u64)
}

#[cfg(test)]
mod tests {
    use super::transitions_metric;

    #[test]
    fn the_count_of_transitions_is_found_among_the_metrics() {
        let text =
            "# HELP plugin_engine_transitions x\nplugin_engine_transitions_total 1048579\n# EOF\n";
        assert_eq!(transitions_metric(text.as_bytes()), Some(1_048_579));
        assert_eq!(transitions_metric(b"plugin_engine_threads 4\n"), None);
    }
}
