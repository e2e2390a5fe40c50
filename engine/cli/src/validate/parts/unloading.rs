//! Whether the file goes when it is unloaded, and what it has taken of the process.

use std::time::Instant;

use plugin_engine::Code;

use super::bench::{Bench, number, time};
use super::process;
use crate::validate::check::{Check, Outcome};

/// How many keys for thread-local values the C library has for all of a process.
const KEYS_OF_PROCESS: u64 = 1_024;
/// A file that takes more is one of few that fit.
const KEYS_MAX: u64 = 8;

pub(super) fn check(bench: &Bench<'_>) -> Result<(), String> {
    bench.begin(Check::ThreadKeys);
    bench.start("")?;
    bench.update_some();
    bench.end(of_keys(process::keys_in(&process::ranges_of(
        &bench.task.file,
    ))));

    bench.begin(Check::Unload);
    let began = Instant::now();
    let unloaded = bench.engine.unload(bench.id());
    let outcome = match unloaded {
        Err(error) => Outcome::failed(Check::Unload, Code::VALIDATE_UNLOAD, error.to_string()),
        Ok(()) => of_unload(bench, began),
    };
    bench.end(outcome);
    Ok(())
}

fn of_keys(keys: u64) -> Outcome {
    let check = Check::ThreadKeys;
    let text = match keys {
        0 => "none is taken".to_owned(),
        1 => format!(
            "1 of the {} keys of a process is taken",
            number(KEYS_OF_PROCESS)
        ),
        keys => format!(
            "{keys} of the {} keys of a process are taken",
            number(KEYS_OF_PROCESS)
        ),
    };
    let outcome = if keys > KEYS_MAX {
        Outcome::warning(check, Code::VALIDATE_THREAD_KEYS, text)
    } else {
        Outcome::passed(check, text)
    };
    outcome.measured("keys", keys)
}

fn of_unload(bench: &Bench<'_>, began: Instant) -> Outcome {
    let check = Check::Unload;
    let is_mapped = || !process::ranges_of(&bench.task.file).is_empty();
    bench.wait_until(bench.task.limit(), || match bench.why_mapped() {
        None => !is_mapped(),
        Some(why) => is_for_good(&why),
    });
    match bench.why_mapped() {
        None if !is_mapped() => {
            Outcome::passed(check, format!("unmapped in {}", time(began.elapsed())))
        }
        // It belongs to nobody any more, and its code is still there.
        None => Outcome::failed(check, Code::VALIDATE_HUNG, NOT_RETURNED),
        Some(why) if why.contains("being unmapped") || why.contains("has not returned") => {
            Outcome::failed(check, Code::VALIDATE_HUNG, NOT_RETURNED)
        }
        Some(why) => {
            let why = why.strip_prefix("unloaded, still mapped: ").unwrap_or(&why);
            let text = format!("stays mapped after its unload: {why}");
            Outcome::warning(check, Code::VALIDATE_UNLOAD, text)
        }
    }
}

const NOT_RETURNED: &str = "code of the file that runs when it is unmapped has not returned";

/// Whether the engine says that waiting is of no use.
fn is_for_good(why: &str) -> bool {
    why.contains("NODELETE") || why.contains("it brought in other libraries")
}

impl Bench<'_> {
    /// Why the file is still mapped, if it is.
    fn why_mapped(&self) -> Option<String> {
        let mapped = self.engine.mapped_libraries().into_iter();
        let mut of_file = mapped.filter(|one| one.file == self.task.file);
        of_file.next().map(|one| one.why)
    }
}
