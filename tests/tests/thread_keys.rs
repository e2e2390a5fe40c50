//! A process that runs out of keys for thread-local values would be ended by the standard library: the next file is refused before.
//! One test alone, because the keys are the whole process's.

use plugin_engine::{Code, LoadOutcome, PluginState};
use plugin_engine_tests::Rig;

/// Takes keys until there are none.
fn take_all() -> Vec<libc::pthread_key_t> {
    let mut taken = Vec::new();
    loop {
        let mut key = 0;
        // SAFETY: `key` is valid for the write, and there is no destructor.
        if unsafe { libc::pthread_key_create(&raw mut key, None) } != 0 {
            return taken;
        }
        taken.push(key);
    }
}

fn give_back(keys: impl IntoIterator<Item = libc::pthread_key_t>) {
    for key in keys {
        // SAFETY: it was taken above, and no thread has a value for it.
        unsafe { libc::pthread_key_delete(key) };
    }
}

#[test]
fn a_file_is_refused_while_the_process_runs_out_of_keys_for_thread_local_values() {
    let rig = Rig::new();
    rig.drop_as("noop", "first", "");
    rig.load();
    rig.drop_as("current-thread", "second", "");
    let mut keys = take_all();
    give_back(keys.split_off(keys.len() - 20));
    let outcomes = rig.load_any();
    let refused = outcomes.iter().find_map(|outcome| match outcome {
        LoadOutcome::Refused { error, .. } => Some(error.code()),
        _ => None,
    });
    assert_eq!(refused, Some(Code::THREAD_KEYS), "{outcomes:?}");
    assert_eq!(rig.state("second"), PluginState::Error);
    // What is mapped goes on, and the same bytes need no more keys.
    rig.drop_as("noop", "third", "");
    let outcome = rig
        .load_any()
        .into_iter()
        .find(|outcome| outcome.to_string().starts_with("third"));
    assert!(
        outcome.as_ref().is_some_and(LoadOutcome::is_good),
        "{outcome:?}"
    );
    assert_eq!(rig.engine.run_cycle().completed, 2);
    // With keys there is room again.
    give_back(keys);
    rig.load();
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().completed, 3);
}
