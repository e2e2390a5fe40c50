//! One JSON object per transition, for programs.

use std::io::{self, BufWriter, Stdout, Write};
use std::time::Duration;

use plugin_engine::Engine;
use plugin_engine_wire::{Lost, Snapshot, Transition};
use serde::Serialize;

use super::{Loaded, Show};
use crate::follow::{Follower, Next};
use crate::standing::Standing;

pub(super) struct JsonLines {
    follower: Follower,
    output: BufWriter<Stdout>,
    plugins: Vec<Standing>,
}

/// The last object of a run.
#[derive(Serialize)]
struct AtTheEnd {
    snapshots: Vec<Snapshot>,
}

impl JsonLines {
    pub(super) fn new(engine: &Engine) -> Self {
        Self {
            follower: Follower::of(engine),
            output: BufWriter::new(io::stdout()),
            plugins: Vec::new(),
        }
    }

    fn write(&mut self, object: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.output, object)?;
        self.output.write_all(b"\n")
    }

    fn write_new(&mut self, engine: &Engine) -> io::Result<()> {
        for next in self.follower.read(engine) {
            match next {
                Next::Entry(entry) => self.write(&Transition::from(&*entry))?,
                Next::Lost { count, after } => {
                    tracing::warn!(
                        lost = count,
                        after,
                        "transitions left the memory before they were written"
                    );
                    self.write(&Lost { lost: count, after })?;
                }
            }
        }
        self.output.flush()
    }
}

impl Show for JsonLines {
    fn period(&self) -> Duration {
        Duration::from_millis(50)
    }

    fn tick(&mut self, engine: &Engine) -> io::Result<()> {
        self.write_new(engine)
    }

    fn loaded(&mut self, _: Loaded) -> io::Result<()> {
        // The transitions say it.
        Ok(())
    }

    fn changed(&mut self, _: String) -> io::Result<()> {
        // So do they here.
        Ok(())
    }

    fn stopping(&mut self, plugins: Vec<Standing>) -> io::Result<()> {
        self.plugins = plugins;
        Ok(())
    }

    fn finish(&mut self, engine: &Engine) -> io::Result<()> {
        self.write_new(engine)?;
        let plugins = std::mem::take(&mut self.plugins);
        let snapshots = plugins.iter().map(Standing::whole).collect();
        self.write(&AtTheEnd { snapshots })?;
        self.output.flush()
    }
}
