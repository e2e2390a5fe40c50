//! Goes through a file's tree of tables beside the table of keys, and collects values that fit and problems of those that do
//! not. What the values are for is not known here.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{PluginId, REQUIREMENTS_MAX, Requirement, bounded};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::code;
use super::keys::{ENTRIES_MAX, Key, Kind, LIST_LEN_MAX, SECTIONS, Section};
use super::nearest::nearest;
use super::reading::Reading;
use super::settings::Settings;
use super::source::{Place, Said};
use crate::code::Code;

/// A value of one of the kinds of the table.
#[derive(Debug)]
pub(super) enum Value {
    Id(PluginId),
    Path(PathBuf),
    Flag(bool),
    Duration(Duration),
    Count(u64),
    Choice(&'static str),
    Texts(Vec<String>),
    Numbers(Vec<u32>),
    Requirements(Vec<Requirement>),
    Settings(Arc<Settings>),
    Table(Found),
    Tables(Vec<Found>),
}

/// The values of one table.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) at: Place,
    values: Vec<(&'static str, Said<Value>)>,
    /// The keys whose values are problems.
    bad: Vec<&'static str>,
}

macro_rules! take {
    ($($name:ident: $variant:ident($type:ty);)+) => {$(
        pub(super) fn $name(&mut self, key: &str) -> Option<Said<$type>> {
            match self.take(key)? {
                Said { value: Value::$variant(value), at } => Some(Said { value, at }),
                other => {
                    debug_assert!(false, "{key} is {other:?}");
                    None
                }
            }
        }
    )+};
}

impl Found {
    fn take(&mut self, key: &str) -> Option<Said<Value>> {
        let at = self.values.iter().position(|(name, _)| *name == key)?;
        Some(self.values.swap_remove(at).1)
    }

    /// Whether the key is there, with a value that is a problem of its own.
    pub(super) fn is_bad(&self, key: &str) -> bool {
        self.bad.contains(&key)
    }

    /// Where each key is said.
    pub(super) fn places(&self) -> Vec<(&'static str, Place)> {
        let values = self.values.iter();
        values.map(|(key, said)| (*key, said.at.clone())).collect()
    }

    take! {
        id: Id(PluginId);
        path: Path(PathBuf);
        flag: Flag(bool);
        duration: Duration(Duration);
        count: Count(u64);
        choice: Choice(&'static str);
        texts: Texts(Vec<String>);
        numbers: Numbers(Vec<u32>);
        requirements: Requirements(Vec<Requirement>);
        settings: Settings(Arc<Settings>);
        table: Table(Found);
        tables: Tables(Vec<Found>);
    }
}

impl Drop for Found {
    /// A key that is read and honoured by nobody would be a promise that is not kept.
    fn drop(&mut self) {
        debug_assert!(
            self.values.is_empty() || std::thread::panicking(),
            "nobody asked for {:?}",
            self.values.iter().map(|(key, _)| key).collect::<Vec<_>>()
        );
    }
}

impl Reading<'_> {
    /// Reads a table whose keys are those of `section`.
    pub(super) fn table(
        &mut self,
        section: &'static Section,
        table: &DeTable<'_>,
        span: &Range<usize>,
    ) -> Found {
        let (mut values, mut bad) = (Vec::new(), Vec::new());
        for (name, value) in table {
            let Some(key) = section.find(name.get_ref()) else {
                self.unknown(section, name);
                continue;
            };
            if let Some(read) = self.value(key, value) {
                let said = Said {
                    value: read,
                    at: self.source.place(&value.span()),
                };
                values.push((key.name, said));
            } else {
                bad.push(key.name);
            }
        }
        Found {
            at: self.source.place(span),
            values,
            bad,
        }
    }

    fn unknown(&mut self, section: &Section, name: &Spanned<std::borrow::Cow<'_, str>>) {
        if self.problems.is_full() {
            return;
        }
        let word = name.get_ref();
        let known = section.keys.iter().map(|key| key.name);
        let help = if let Some(meant) = nearest(word, known.clone()) {
            format!("did you mean `{meant}`?")
        } else {
            let elsewhere: Vec<_> = SECTIONS
                .iter()
                .filter(|section| section.find(word).is_some())
                .map(|section| section.name)
                .collect();
            if elsewhere.is_empty() {
                format!("known here are {}", known.collect::<Vec<_>>().join(", "))
            } else {
                format!("it belongs into {}", elsewhere.join(" or "))
            }
        };
        let reason = format!("unknown key `{}` in {}", bounded(word, 80), section.name);
        self.problem_with_help(code::UNKNOWN_KEY, &name.span(), reason, Some(help));
    }

    fn value(&mut self, key: &'static Key, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        let span = value.span();
        let read = match (key.kind, value.get_ref()) {
            (Kind::Id, DeValue::String(text)) => match PluginId::new(text) {
                Ok(id) => Value::Id(id),
                Err(error) => {
                    self.problem(code::OUT_OF_RANGE, &span, error.to_string());
                    return None;
                }
            },
            (Kind::Path, DeValue::String(text)) => self.path(key, text, &span)?,
            (Kind::Flag, DeValue::Boolean(flag)) => Value::Flag(*flag),
            (Kind::Choice(choices), DeValue::String(text)) => {
                match choices
                    .iter()
                    .copied()
                    .find(|choice| *choice == text.as_ref())
                {
                    Some(choice) => Value::Choice(choice),
                    None => {
                        self.no_choice(key, choices, text, &span);
                        return None;
                    }
                }
            }
            (Kind::Duration { min, max }, DeValue::String(text)) => {
                self.duration(key, text, min, max, &span)?
            }
            (Kind::Count { min, max }, DeValue::Integer(number)) => {
                match u64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(count) if (min..=max).contains(&count) => Value::Count(count),
                    _ => {
                        self.out_of_range(key, &number.to_string(), &span);
                        return None;
                    }
                }
            }
            (Kind::PublicKeys, DeValue::Array(_)) => Value::Texts(self.list(key, value)?),
            (Kind::Owners, DeValue::Array(_)) => Value::Numbers(self.list(key, value)?),
            (Kind::Requirements, DeValue::Array(_)) => Value::Requirements(self.list(key, value)?),
            (Kind::Settings, DeValue::Table(table)) => {
                Value::Settings(Arc::new(Settings::read(self, table, &span)))
            }
            (Kind::Table(section), DeValue::Table(table)) => {
                Value::Table(self.table(section, table, &span))
            }
            (Kind::Tables(section), DeValue::Array(items)) => {
                if items.len() > ENTRIES_MAX {
                    let reason = format!(
                        "there are {} entries {}; the limit is {ENTRIES_MAX}",
                        items.len(),
                        section.name
                    );
                    self.problem(code::OUT_OF_RANGE, &span, reason);
                    return None;
                }
                let mut tables = Vec::new();
                for item in items.iter() {
                    match item.get_ref() {
                        DeValue::Table(table) => {
                            tables.push(self.table(section, table, &item.span()));
                        }
                        _ => self.wrong_type(key, item),
                    }
                }
                Value::Tables(tables)
            }
            _ => {
                self.wrong_type(key, value);
                return None;
            }
        };
        Some(read)
    }

    fn path(&mut self, key: &Key, text: &str, span: &Range<usize>) -> Option<Value> {
        if text.is_empty() || text.contains('\0') {
            let reason = format!("`{}` is no path", key.name);
            self.problem(code::OUT_OF_RANGE, span, reason);
            return None;
        }
        Some(Value::Path(PathBuf::from(text)))
    }

    fn duration(
        &mut self,
        key: &Key,
        text: &str,
        min: Duration,
        max: Duration,
        span: &Range<usize>,
    ) -> Option<Value> {
        match humantime::parse_duration(text) {
            Ok(value) if (min..=max).contains(&value) => return Some(Value::Duration(value)),
            Ok(_) => self.out_of_range(key, &format!("\"{}\"", bounded(text, 80)), span),
            Err(error) => {
                let reason = format!(
                    "`{}` is \"{}\", which is no duration ({error})",
                    key.name,
                    bounded(text, 80)
                );
                let help = format!("write {}", key.kind.wanted());
                self.problem_with_help(code::OUT_OF_RANGE, span, reason, Some(help));
            }
        }
        None
    }

    fn no_choice(&mut self, key: &Key, choices: &[&str], text: &str, span: &Range<usize>) {
        let found = bounded(text, 80);
        let reason = format!("`{}` is \"{found}\", which it cannot be", key.name);
        let help = match nearest(text, choices.iter().copied()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("write {}", key.kind.wanted()),
        };
        self.problem_with_help(code::OUT_OF_RANGE, span, reason, Some(help));
    }

    fn out_of_range(&mut self, key: &Key, found: &str, span: &Range<usize>) {
        let reason = format!(
            "`{}` is {}, which is out of range",
            key.name,
            bounded(found, 80)
        );
        let help = format!("write {}", key.kind.wanted());
        self.problem_with_help(code::OUT_OF_RANGE, span, reason, Some(help));
    }

    fn wrong_type(&mut self, key: &Key, value: &Spanned<DeValue<'_>>) {
        let reason = format!("`{}` is {}", key.name, described(value.get_ref()));
        let help = format!("write {}", key.kind.wanted());
        self.problem_with_help(code::WRONG_TYPE, &value.span(), reason, Some(help));
    }

    /// A list of single values.
    fn list<T: Item>(&mut self, key: &Key, list: &Spanned<DeValue<'_>>) -> Option<Vec<T>> {
        let items = list.get_ref().as_array()?;
        if items.len() > T::LEN_MAX {
            let reason = format!(
                "`{}` has {} items; the limit is {}",
                key.name,
                items.len(),
                T::LEN_MAX
            );
            self.problem(T::BAD, &list.span(), reason);
            return None;
        }
        let mut read = Vec::new();
        for item in items.iter() {
            match T::read(item.get_ref()) {
                Some(Ok(value)) => read.push(value),
                Some(Err(reason)) => {
                    let reason = format!("an item of `{}` {reason}", key.name);
                    self.problem_with_help(T::BAD, &item.span(), reason, T::help());
                }
                None => {
                    let found = described(item.get_ref());
                    let reason = format!("an item of `{}` is {found}", key.name);
                    let help = format!("write {}", key.kind.wanted());
                    self.problem_with_help(code::WRONG_TYPE, &item.span(), reason, Some(help));
                }
            }
        }
        (read.len() == items.len()).then_some(read)
    }
}

/// What a list is made of.
trait Item: Sized {
    const LEN_MAX: usize = LIST_LEN_MAX;
    /// The code of a value that is wrong.
    const BAD: Code = code::OUT_OF_RANGE;

    /// What would be right instead of a value that is wrong, where the reason does not say it.
    fn help() -> Option<String> {
        None
    }

    /// `None` says that the type is wrong, an error that the value is.
    fn read(value: &DeValue<'_>) -> Option<Result<Self, String>>;
}

impl Item for String {
    fn read(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        let text = value.as_str()?;
        Some(match minisign_verify::PublicKey::from_base64(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(_) => {
                Err("is no public key of minisign, which has 56 characters of base64".to_owned())
            }
        })
    }
}

impl Item for u32 {
    fn read(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        let number = value.as_integer()?;
        let read = Self::from_str_radix(number.as_str(), number.radix());
        Some(read.map_err(|_| {
            format!(
                "is {}, not from 0 to {}",
                bounded(&number.to_string(), 80),
                Self::MAX
            )
        }))
    }
}

impl Item for Requirement {
    const LEN_MAX: usize = REQUIREMENTS_MAX;
    const BAD: Code = code::REQUIREMENT;

    fn help() -> Option<String> {
        let text = "write the id of a plugin and, where one is meant, a version: \"clock\", \"clock >= 1.2\", \"clock >= 1.2, < 2\"";
        Some(text.to_owned())
    }

    fn read(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        let read = value.as_str()?.parse::<Self>();
        Some(read.map_err(|error| format!("is wrong: {error}")))
    }
}

/// A value that should not be there, in words.
fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text \"{}\"", bounded(text, 80)),
        DeValue::Integer(number) => {
            format!("the whole number {}", bounded(&number.to_string(), 80))
        }
        DeValue::Float(number) => format!("the number {}", bounded(number.as_str(), 80)),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) => "a date or time".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
