//! Commands that come from within a call of the plugin that they are for. Only the embedder's subscriber runs code of the embedder on threads
//! that call plugins, and there is one subscriber a process, so this is one test.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use plugin_engine::{Engine, Error, LoadOutcome};
use plugin_engine_tests::{Gate, gated};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

static ENGINE: OnceLock<Engine> = OnceLock::new();
static FILE: OnceLock<PathBuf> = OnceLock::new();
static TRANSITIONS: AtomicU32 = AtomicU32::new(0);
static ANSWERS: Mutex<Vec<Result<(), Error>>> = Mutex::new(Vec::new());

/// Reloads and disables the plugin whenever it logs a line.
struct Commands;

impl Subscriber for Commands {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().contains("gated") || metadata.target().contains("transitions")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if event.metadata().target().contains("transitions") {
            // Said after the turn of the command or the reload: who listens may want one, too.
            if let Some(engine) = ENGINE.get() {
                // Not for what that leads to, which would never end.
                if TRANSITIONS.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
                    let _ = engine.reload("a");
                }
            }
            return;
        }
        if let Some(engine) = ENGINE.get() {
            let mut answers = vec![engine.reload("a").map(drop), engine.disable("a")];
            let file = FILE.get().expect("it is known");
            for outcome in engine.reload_file(file).unwrap() {
                if let LoadOutcome::ReloadRefused { error, .. } = outcome {
                    answers.push(Err(Arc::into_inner(error).expect("nobody else has it")));
                }
            }
            ANSWERS.lock().unwrap().extend(answers);
        }
    }

    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn take_answers() -> usize {
    let answers = std::mem::take(&mut *ANSWERS.lock().unwrap());
    for answer in &answers {
        assert!(
            matches!(answer, Err(Error::FromWithinCall { .. })),
            "{answer:?}"
        );
    }
    answers.len()
}

#[test]
fn a_command_from_within_a_call_of_its_plugin_or_of_the_replacement_is_refused_instead_of_waiting()
{
    tracing::subscriber::set_global_default(Commands).unwrap();
    let gate = Gate::new();
    gate.open_all();
    let rig = gated(&gate, "a", "talks = true");
    assert!(ENGINE.set(rig.engine.clone()).is_ok());
    FILE.set(rig.dir().join("a.so")).unwrap();
    rig.engine.update("a").unwrap();
    assert_eq!(take_answers(), 3);
    // The replacement talks in its trial update, while the reload waits for it.
    rig.rebuild("gated", "a");
    rig.engine.reload("a").unwrap();
    assert_eq!(take_answers(), 3);
    // A reload that is refused is told when another one can begin.
    std::fs::write(rig.dir().join("a.so"), "no library").unwrap();
    let before = TRANSITIONS.load(Ordering::SeqCst);
    rig.engine.reload("a").unwrap_err();
    assert!(TRANSITIONS.load(Ordering::SeqCst) > before);
}
