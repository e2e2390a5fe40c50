//! What the plugin makes of settings that nobody has thought of: it may refuse them, and must not panic, hang or crash over them.

use std::time::Instant;

use plugin_engine::{Code, Error, FaultKind, LoadOutcome};
use serde_json::{Map, Value};
use toml::Table;

use super::bench::{Bench, in_words, number};
use super::samples::{Sample, samples};
use crate::validate::check::{Check, Outcome};

/// While a file is being unmapped it cannot be loaded again.
const KEYS: &str = "unmap = \"never\"";

/// What came of settings.
enum Came {
    Accepted,
    Refused,
    /// They are none that a configuration can have.
    Unwritable,
    Wrong(Code, String),
}

pub(super) fn check(bench: &Bench<'_>) -> Result<(), String> {
    let check = Check::Settings;
    bench.begin(check);
    // What the schema says is known once the file is loaded.
    bench.configure(&format!("{KEYS}\nenabled = false"), Table::new())?;
    match bench.load()? {
        LoadOutcome::Disabled { .. } => {}
        other => return Err(other.to_string()),
    }
    let schema = bench.engine.settings_schema(bench.id());
    let schema = schema.and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let given = serde_json::to_value(bench.settings()).unwrap_or_default();
    let given = given.as_object().cloned().unwrap_or_default();
    let (mut accepted, mut refused) = (0, 0);
    let until = Instant::now() + bench.task.limit();
    for sample in samples(schema.as_ref(), &given) {
        if Instant::now() >= until {
            break;
        }
        match try_out(bench, &sample)? {
            Came::Accepted if sample.is_wrong => {
                let text = format!("created with {}, which its schema forbids", sample.what);
                bench.end(Outcome::failed(check, Code::VALIDATE_SETTINGS, text));
                return Ok(());
            }
            Came::Accepted => accepted += 1,
            Came::Refused => refused += 1,
            Came::Unwritable => {}
            Came::Wrong(code, said) => {
                let text = format!("with {}: {said}", sample.what);
                bench.end(Outcome::failed(check, code, text));
                return Ok(());
            }
        }
    }
    let tried = accepted + refused;
    let text = match schema {
        Some(_) => format!(
            "{} made from its schema, of which {} were refused",
            number(tried),
            number(refused)
        ),
        None => format!(
            "no schema; {} of {} with an unknown key were refused",
            number(refused),
            number(tried)
        ),
    };
    let outcome = Outcome::passed(check, text)
        .measured("tried", tried)
        .measured("refused", refused);
    bench.end(outcome);
    Ok(())
}

fn try_out(bench: &Bench<'_>, sample: &Sample) -> Result<Came, String> {
    let Some(settings) = toml_of(&sample.settings) else {
        return Ok(Came::Unwritable);
    };
    // It was loaded without an instance, or with the sample before.
    let unloaded = bench.engine.unload(bench.id());
    unloaded.map_err(|error| format!("it cannot be unloaded: {error}"))?;
    bench.configure(KEYS, settings)?;
    // The configuration is read anew for it.
    Ok(match bench.engine.load(bench.id()) {
        Ok(LoadOutcome::Enabled { .. }) => Came::Accepted,
        Ok(LoadOutcome::Failed { fault, .. }) => match fault.kind {
            FaultKind::Panic => Came::Wrong(Code::VALIDATE_SETTINGS, in_words(&fault)),
            FaultKind::Timeout => Came::Wrong(Code::VALIDATE_HUNG, in_words(&fault)),
            _ => Came::Refused,
        },
        // Also a configuration that the engine does not even read, such as one that is too long.
        Ok(LoadOutcome::Misconfigured { .. }) | Err(Error::Config(_)) => Came::Refused,
        // Without what it requires no plugin is created.
        Ok(LoadOutcome::Unmet { unmet, .. }) => return Err(unmet.to_string()),
        Ok(other) => return Err(other.to_string()),
        Err(error) => return Err(error.to_string()),
    })
}

/// The same in TOML, which has no null and no whole numbers of more than 63 bits.
fn toml_of(settings: &Map<String, Value>) -> Option<Table> {
    let mut settings = settings.clone();
    settings.values_mut().for_each(as_written);
    Table::try_from(settings).ok()
}

/// A text that would refer to something outside is meant as it is.
fn as_written(value: &mut Value) {
    if let Value::String(text) = value
        && text.contains("${")
        && !text.starts_with("literal:")
    {
        *text = format!("literal:{text}");
    }
}
