//! Compares two texts of the contract, line by line, for files that have no description of types to compare.
//!
//! The rule is that of the structural comparison in `contract`: tables may be longer at their end on either side, everything else
//! that both can reach is the same. What is said of a difference is said in the same words.

use std::collections::{HashMap, HashSet};

use plugin_engine_core::{bounded, escape_control};

/// The tables that everything else is reached from.
const TABLES: [&str; 2] = ["PluginModule", "HostServices"];

/// One type, as the text has it.
#[derive(Default)]
struct Item<'a> {
    /// What stands behind its name: `struct` with size and alignment, or `table` with how many fields every version has.
    shape: String,
    fields: Vec<Field<'a>>,
}

#[derive(PartialEq, Eq)]
struct Field<'a> {
    name: &'a str,
    offset: usize,
    of: &'a str,
}

#[derive(Default)]
struct Text<'a> {
    constants: HashMap<&'a str, &'a str>,
    items: HashMap<&'a str, Item<'a>>,
}

impl<'a> Text<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        let mut parsed = Self::default();
        for line in text.lines() {
            parsed.line(line).ok_or_else(|| {
                format!(
                    "its contract has the line \"{}\", which says nothing",
                    short(line)
                )
            })?;
        }
        Ok(parsed)
    }

    fn line(&mut self, line: &'a str) -> Option<()> {
        let (first, rest) = line.split_once(' ')?;
        match first {
            "const" => {
                let (name, value) = rest.split_once(' ')?;
                self.constants.insert(name, value);
            }
            "struct" | "table" => {
                let (name, numbers) = rest.split_once(' ')?;
                let item = self.items.entry(name).or_default();
                item.shape = format!("{first} {numbers}");
            }
            _ => {
                let (owner, name) = first.rsplit_once('.')?;
                let (offset, of) = rest.strip_prefix('@')?.split_once(' ')?;
                let offset = offset.parse().ok()?;
                let item = self.items.get_mut(owner)?;
                item.fields.push(Field { name, offset, of });
            }
        }
        Some(())
    }
}

/// Compares two texts. One is compatible with the other if it only has more at the ends of its tables.
pub(crate) fn compare(expected: &str, found: &str) -> Result<(), String> {
    let (expected, found) = (Text::parse(expected)?, Text::parse(found)?);
    let mut constants = expected.constants.iter();
    let differs = constants.find_map(|(name, here)| {
        let there = found.constants.get(name).filter(|there| *there != here)?;
        Some(format!("{name} is {}, {here} is expected", short(there)))
    });
    let mut seen = HashSet::new();
    let mut tables = TABLES.iter();
    let differs = differs
        .or_else(|| tables.find_map(|table| differs_at(table, &expected, &found, &mut seen)));
    match differs {
        None => Ok(()),
        Some(what) => Err(format!("its contract with the engine differs: {what}")),
    }
}

/// How many bytes a table has by a text.
pub(crate) fn table_len(text: &str, table: &str) -> Result<usize, String> {
    let text = Text::parse(text)?;
    let last = text.items.get(table).and_then(|item| item.fields.last());
    // Every field of a table takes one word or is filled up to one.
    last.and_then(|field| field.offset.checked_add(8).map(|end| end & !7))
        .ok_or_else(|| format!("its contract has no {table}"))
}

/// What differs in a type and in all that it leads to.
fn differs_at<'a>(
    name: &'a str,
    expected: &Text<'a>,
    found: &Text<'a>,
    seen: &mut HashSet<&'a str>,
) -> Option<String> {
    if !seen.insert(name) {
        return None;
    }
    let (here, there) = match (expected.items.get(name), found.items.get(name)) {
        // A word of Rust, as u8 or fn.
        (None, None) => return None,
        (Some(here), Some(there)) => (here, there),
        (Some(_), None) => return Some(format!("it has no {}", short(name))),
        (None, Some(_)) => return Some(format!("it has the unknown type {}", short(name))),
    };
    let is_table = here.shape.starts_with("table ");
    let prefix_len = match here.shape.strip_prefix("table ") {
        Some(len) => len.parse().unwrap_or(usize::MAX),
        None => usize::MAX,
    };
    for at in 0..here.fields.len().max(there.fields.len()) {
        let (one, other) = match (here.fields.get(at), there.fields.get(at)) {
            (Some(one), Some(other)) => (one, other),
            _ if is_table && at >= prefix_len => break,
            (Some(one), None) => return Some(format!("{name} has no field {}", one.name)),
            (None, other) => {
                let other = short(other?.name);
                return Some(format!("{name} has the unknown field {other} at its end"));
            }
        };
        if let Some(what) = field_differs(name, one, other) {
            return Some(what);
        }
        let words = one
            .of
            .split(|c: char| !(c.is_alphanumeric() || "_<>".contains(c)));
        for word in words {
            // A reference to a table is named by the table.
            let word = word.strip_suffix("Ref").unwrap_or(word);
            let inside = differs_at(word, expected, found, seen);
            if inside.is_some() {
                return inside;
            }
        }
    }
    (here.shape != there.shape).then(|| {
        let there = short(&there.shape);
        format!("{name} is \"{there}\" where \"{}\" is expected", here.shape)
    })
}

fn field_differs(owner: &str, expected: &Field<'_>, found: &Field<'_>) -> Option<String> {
    let (name, other) = (expected.name, short(found.name));
    if name != found.name {
        return Some(format!(
            "{owner} has the field {other} where {name} is expected"
        ));
    }
    if expected.of != found.of {
        let (found, expected) = (short(found.of), expected.of);
        return Some(format!(
            "{owner}.{name} is of another type, with {found} where {expected} is expected"
        ));
    }
    (expected.offset != found.offset).then(|| {
        let (found, expected) = (found.offset, expected.offset);
        format!("{owner}.{name} stands at {found}, {expected} is expected")
    })
}

/// A text out of the plugin file, in a length and in characters that can be shown.
fn short(text: &str) -> String {
    escape_control(bounded(text, 80)).to_string()
}

#[cfg(test)]
mod tests {
    use plugin_api::c::CONTRACT;

    use super::*;

    /// The contract with one line changed, and `more` behind a line.
    fn with(from: &str, to: &str) -> String {
        assert_eq!(CONTRACT.matches(from).count(), 1, "{from}");
        CONTRACT.replace(from, to)
    }

    #[test]
    fn a_contract_with_more_at_the_ends_of_its_tables_fits_either_way() {
        let release = "PluginModule.release @72 fn()\n";
        let longer = with(
            release,
            &format!("{release}PluginModule.more @80 fn(&Extra) -> u8\n"),
        );
        let longer = longer + "struct Extra 8 8\nExtra.what @0 u64\nconst PLUGIN_LATER 9\n";
        let older = with(release, "");
        for (one, other) in [
            (CONTRACT, CONTRACT),
            (CONTRACT, &longer),
            (CONTRACT, &older),
            (&longer, &older),
        ] {
            assert_eq!(compare(one, other), Ok(()));
            assert_eq!(compare(other, one), Ok(()));
        }
        assert_eq!(table_len(CONTRACT, "PluginModule"), Ok(80));
        assert_eq!(table_len(&older, "PluginModule"), Ok(72));
        let shortest = with(
            "PluginModule.save_state @56 fn(*mut (), &CallFrame, *mut (), TakeBytes) -> u8\nPluginModule.restore_state @64 fn(*mut (), &CallFrame, u32, RSlice<u8>) -> u8\nPluginModule.release @72 fn()\n",
            "",
        );
        assert_eq!(table_len(&shortest, "PluginModule"), Ok(56));
    }

    #[test]
    fn any_other_difference_is_refused_and_named() {
        for (from, to, says) in [
            (
                "PluginModule.display @24 fn(*mut (), &CallFrame) -> u8\n",
                "",
                "PluginModule has the field destroy where display is expected",
            ),
            (
                "PluginModule.destroy @32 fn(*mut (), &CallFrame) -> u8\nPluginModule.settings_schema @40 fn(*mut (), TakeText) -> u8\nPluginModule.state_version @48 u32\nPluginModule.save_state @56 fn(*mut (), &CallFrame, *mut (), TakeBytes) -> u8\nPluginModule.restore_state @64 fn(*mut (), &CallFrame, u32, RSlice<u8>) -> u8\nPluginModule.release @72 fn()\n",
                "",
                "PluginModule has no field destroy",
            ),
            (
                "now_ns @16 fn(HostHandle) -> u64",
                "now_ns @16 fn(HostHandle) -> u32",
                "HostServices.now_ns is of another type, with fn(HostHandle) -> u32 where fn(HostHandle) -> u64 is expected",
            ),
            (
                "CallFrame.deadline_ns @32 u64",
                "CallFrame.deadline_ns @32 i64",
                "CallFrame.deadline_ns is of another type, with i64 where u64",
            ),
            (
                "CallFrame.log_level_max @40 u8\n",
                "CallFrame.log_level_max @40 u8\nCallFrame.more @48 u64\n",
                "CallFrame has the unknown field more at its end",
            ),
            (
                "struct Failure 48 8",
                "struct Failure 56 8",
                "Failure is \"struct 56 8\" where \"struct 48 8\" is expected",
            ),
            (
                "Failure.recoverable @32",
                "Failure.recoverable @33",
                "Failure.recoverable stands at 33, 32 is expected",
            ),
            (
                "RSlice<u8>.length @8 usize",
                "RSlice<u8>.length @8 u32",
                "RSlice<u8>.length is of another type",
            ),
            (
                "TakeText.0 @0 fn(*mut (), RStr)",
                "TakeText.0 @0 fn(*mut ())",
                "TakeText.0 is of another type",
            ),
            (
                "const PLUGIN_FAILED 1",
                "const PLUGIN_FAILED 3",
                "PLUGIN_FAILED is 3, 1 is expected",
            ),
            (
                "table PluginModule 5",
                "table PluginModule 4",
                "PluginModule is \"table 4\" where",
            ),
            (
                "struct Panic 40 8\nPanic.message @0 RStr\nPanic.file @16 RStr\nPanic.line @32 u32\nPanic.column @36 u32\n",
                "",
                "it has no Panic",
            ),
        ] {
            let other = with(from, to);
            let reason = compare(CONTRACT, &other).unwrap_err();
            assert!(reason.contains(says), "{reason}");
            assert!(compare(&other, CONTRACT).is_err(), "{says}");
        }
    }

    #[test]
    fn a_text_that_is_none_is_refused_in_words() {
        for (text, says) in [
            ("", "it has no PluginModule"),
            ("what is this", "has the line \"what is this\""),
            ("a.b @x u8", "has the line"),
            ("a.b @1 u8", "has the line"),
            ("struct\u{1b}[31m", "has the line"),
        ] {
            let reason = compare(CONTRACT, text).unwrap_err();
            assert!(reason.contains(says), "{reason}");
            assert!(!reason.contains('\u{1b}') && reason.len() < 300, "{reason}");
        }
    }
}
