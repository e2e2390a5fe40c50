//! Whether another build of the file takes over, with the state of the one before.

use std::time::Instant;

use plugin_engine::{Cause, Code, Error, LoadOutcome};

use super::bench::{Bench, in_words, time};
use crate::validate::check::{Check, Outcome};

pub(super) fn check(bench: &Bench<'_>) -> Result<(), String> {
    let check = Check::Reload;
    bench.begin(check);
    // An update that goes wrong was found already.
    let trial = format!("trial_update = {}\n", bench.task.updates_are_good);
    bench.start(&trial)?;
    bench.update_some();
    let began = Instant::now();
    let first = reload(bench, 1)?;
    let outcome = match first {
        Ok(()) => Outcome::passed(check, taken_over(bench, began)),
        Err(said) => {
            // Something that only one instance can have is taken from the one before where the configuration says so.
            bench.configure(
                &format!("reload = \"stop-first\"\n{trial}"),
                bench.settings(),
            )?;
            match reload(bench, 2)? {
                Ok(()) => Outcome::warning(
                    check,
                    Code::VALIDATE_STOP_FIRST,
                    format!("another build takes over only with reload = \"stop-first\": {said}"),
                ),
                Err(_) => Outcome::failed(check, Code::VALIDATE_RELOAD, said),
            }
        }
    };
    bench.end(outcome);
    Ok(())
}

fn taken_over(bench: &Bench<'_>, began: Instant) -> String {
    let took = time(began.elapsed());
    let failed = bench.entries(Cause::DestroyFailed).pop();
    match failed.and_then(|entry| entry.error) {
        None => format!("another build took over in {took}"),
        Some(fault) => format!(
            "another build took over in {took}; the instance before: {}",
            in_words(&fault)
        ),
    }
}

/// Puts another build in the place of the file and reloads it; the inner error is why it did not take over.
fn reload(bench: &Bench<'_>, build: u8) -> Result<Result<(), String>, String> {
    let file = &bench.task.file;
    // What is behind the end of a library does nothing, and makes other bytes of it.
    let other = std::fs::read(file).and_then(|mut bytes| {
        bytes.push(build);
        std::fs::write(file, bytes)
    });
    other.map_err(|error| format!("no other build of the file can be made: {error}"))?;
    Ok(match bench.engine.reload(bench.id()) {
        Ok(LoadOutcome::Reloaded { .. }) => Ok(()),
        Ok(other) => Err(other.to_string()),
        Err(Error::ReloadRefused { source, .. }) => Err(source.to_string()),
        Err(error) => Err(error.to_string()),
    })
}
