//! A program of its own around the engine: it loads the plugins of a directory, has the engine call them for three seconds, and says
//! what came of it: `cargo run --package plugin-engine --example embed -- plugins.d`.

use std::error::Error;
use std::time::Duration;

use plugin_engine::{Engine, RunLimit};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args_os()
        .nth(1)
        .unwrap_or_else(|| "plugins.d".into());
    // ANCHOR: load
    let engine = Engine::builder().plugin_dir(dir).build()?;
    for outcome in engine.load_all() {
        println!("{outcome}");
    }
    // ANCHOR_END: load

    // ANCHOR: events
    // What becomes of plugins, on a thread of the program's own, which ends when the engine shuts down.
    let states = engine.subscribe("plugin.*.state");
    let listener = std::thread::spawn(move || {
        while let Some(event) = states.next_within(Duration::from_secs(60)) {
            println!("{}: {}", event.topic, event.payload);
        }
    });
    // ANCHOR_END: events

    // ANCHOR: tasks
    // A task of the program's own under the engine's supervisor.
    let beat = engine.supervise("beat", |cx| {
        // False once the task is to end.
        while cx.sleep(Duration::from_secs(1)) {
            cx.record_progress();
        }
    })?;
    // ANCHOR_END: tasks

    // ANCHOR: run
    // Calls what is due and sleeps until something else is, on this thread; `engine.stop()` from any other ends it.
    let cycles = engine.run_until(RunLimit::For(Duration::from_secs(3)));
    // ANCHOR_END: run

    // ANCHOR: ask
    // Names the tasks that make no progress, each with why.
    engine.is_healthy(&["beat"], None)?;
    for plugin in engine.snapshots() {
        println!("{} is {} after {cycles} cycles", plugin.id(), plugin.state);
        for transition in engine
            .history(plugin.id().as_str())
            .errors()
            .newest_first()
            .limit(3)
        {
            println!("  {transition}");
        }
    }
    // ANCHOR_END: ask

    // ANCHOR: end
    beat.cancel();
    engine.shutdown(Duration::from_secs(5))?;
    // ANCHOR_END: end
    listener
        .join()
        .map_err(|_| "the thread that listens has panicked".into())
}
