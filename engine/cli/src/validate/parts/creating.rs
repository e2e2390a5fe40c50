//! Whether the file can be loaded, and an instance of it created and destroyed.

use std::time::{Duration, Instant};

use plugin_engine::{Cause, Code, FaultKind, LoadOutcome};

use super::bench::{Bench, in_words, micros, time};
use crate::validate::check::{Check, Outcome};

/// A create or destroy that takes longer keeps starts, reloads and shutdowns waiting.
const LONG: Duration = Duration::from_secs(1);

/// The file without an instance.
pub(super) fn load(bench: &Bench<'_>) -> Result<(), String> {
    let check = Check::Load;
    bench.begin(check);
    bench.configure("enabled = false", bench.settings())?;
    let began = Instant::now();
    let outcome = match bench.load()? {
        LoadOutcome::Disabled { .. } => {
            let took = began.elapsed();
            let schema = match bench.engine.settings_schema(bench.id()) {
                Some(_) => "with a schema of its settings",
                None => "without a schema of its settings",
            };
            Outcome::passed(check, format!("mapped in {}, {schema}", time(took)))
                .measured("took_us", micros(took))
        }
        other => refused(check, &other),
    };
    bench.end(outcome);
    Ok(())
}

/// What the engine has refused, as it says it.
fn refused(check: Check, outcome: &LoadOutcome) -> Outcome {
    let code = outcome.code().unwrap_or(Code::VALIDATE_NOT_RUN);
    match outcome {
        LoadOutcome::Refused { error, .. } => Outcome::failed(check, code, error.to_string()),
        LoadOutcome::Misconfigured { error, .. } => Outcome::failed(check, code, error.to_string()),
        LoadOutcome::Failed { fault, .. } => Outcome::failed(check, code, in_words(fault)),
        other => Outcome::failed(check, code, other.to_string()),
    }
}

/// One instance, created and destroyed.
pub(super) fn create(bench: &Bench<'_>) -> Result<(), String> {
    bench.begin(Check::Create);
    bench.configure("", bench.settings())?;
    let loaded = bench.load()?;
    // Of the call alone, without what it takes to map the file.
    let entry = bench.entries(Cause::Created).pop();
    let took = entry.and_then(|entry| entry.duration).unwrap_or_default();
    let is_given = bench.task.settings.is_some();
    let created = match &loaded {
        LoadOutcome::Enabled { .. } => created(took, is_given),
        // Nothing is wrong with the plugin; it was asked for less than it needs.
        LoadOutcome::Misconfigured { error, .. } if !is_given => {
            Outcome::skipped(Check::Create, error.to_string()).with(Code::VALIDATE_NEEDS_SETTINGS)
        }
        LoadOutcome::Unmet { unmet, .. } => {
            Outcome::skipped(Check::Create, unmet.to_string()).with(Code::VALIDATE_NEEDS_PLUGINS)
        }
        LoadOutcome::Failed { fault, .. } if fault.kind != FaultKind::Panic && !is_given => {
            Outcome::failed(Check::Create, Code::VALIDATE_CREATE, in_words(fault))
        }
        other => refused(Check::Create, other),
    };
    bench.end(created);
    if !matches!(loaded, LoadOutcome::Enabled { .. }) {
        return Err("there is no instance".to_owned());
    }
    destroy(bench);
    Ok(())
}

fn created(took: Duration, is_given: bool) -> Outcome {
    let with = if is_given {
        "with the settings given"
    } else {
        "without settings"
    };
    let text = format!("created {with} in {}", time(took));
    let outcome = if took > LONG {
        Outcome::warning(Check::Create, Code::VALIDATE_SLOW_START, text)
    } else {
        Outcome::passed(Check::Create, text)
    };
    outcome.measured("took_us", micros(took))
}

fn destroy(bench: &Bench<'_>) {
    let check = Check::Destroy;
    bench.begin(check);
    let began = Instant::now();
    let disabled = bench.engine.disable(bench.id());
    let took = began.elapsed();
    let failed = bench.entries(Cause::DestroyFailed).pop();
    let fault = failed.and_then(|entry| entry.error);
    let outcome = match (disabled, fault) {
        (_, Some(fault)) => Outcome::failed(check, Code::VALIDATE_DESTROY, in_words(&fault)),
        (Err(error), None) => Outcome::failed(check, Code::VALIDATE_DESTROY, error.to_string()),
        (Ok(()), None) if took > LONG => Outcome::warning(
            check,
            Code::VALIDATE_SLOW_START,
            format!("destroyed in {}", time(took)),
        ),
        (Ok(()), None) => Outcome::passed(check, format!("destroyed in {}", time(took))),
    };
    bench.end(outcome.measured("took_us", micros(took)));
}
