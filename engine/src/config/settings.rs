//! A plugin's own settings as they are written: a tree with the place of every value, and the JSON that becomes of it when
//! the plugin is created. What the settings mean is the plugin's.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use plugin_engine_core::bounded;
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Problem, Problems, code};
use super::reading::Reading;
use super::reference::{Reference, Text};
use super::source::{Place, Source, Span};

/// The longest settings of one plugin as JSON, in bytes.
const JSON_LEN_MAX: usize = 1024 * 1024;
/// How deep tables and lists may lie in each other.
const DEPTH_MAX: usize = 64;

/// The settings of one plugin.
pub(crate) struct Settings {
    root: Node,
    source: Arc<Source>,
    /// Whether a text refers to something outside.
    refers: bool,
}

struct Node {
    span: Span,
    kind: NodeKind,
}

enum NodeKind {
    /// A number, a truth value, or a text that refers to nothing.
    Plain(Value),
    Reference(Reference),
    List(Vec<Node>),
    Table(Vec<Member>),
}

struct Member {
    name: Box<str>,
    name_span: Span,
    node: Node,
}

/// Settings as a plugin gets them.
pub(crate) struct Resolved {
    pub(crate) value: Value,
    pub(crate) json: String,
    /// What references stood for.
    pub(crate) secrets: Vec<String>,
}

/// What a value of the settings is, for those who show them.
pub(crate) struct Shown {
    /// The keys that lead to it, joined by dots.
    pub(crate) key: String,
    /// As it is written in the file; a reference stays one.
    pub(crate) written: String,
    pub(crate) at: Place,
}

impl Settings {
    /// Reads the tree, and puts what is wrong with it among the problems of the walk.
    pub(super) fn read(walk: &mut Reading<'_>, table: &DeTable<'_>, span: &Range<usize>) -> Self {
        let mut reader = Reader {
            walk,
            refers: false,
        };
        let kind = reader.table(table, 1);
        let refers = reader.refers;
        let settings = Self {
            root: Node {
                span: span.clone().into(),
                kind,
            },
            source: Arc::clone(walk.source),
            refers,
        };
        // How long a text becomes that refers to something is known when it is looked up.
        if !refers && let Err(error) = settings.resolve() {
            for problem in error.problems() {
                walk.problems.add(problem.clone());
            }
        }
        settings
    }

    /// Whether a text refers to something outside.
    pub(crate) fn refers(&self) -> bool {
        self.refers
    }

    /// Looks up what references stand for, and makes JSON of it all.
    pub(crate) fn resolve(&self) -> Result<Resolved, ConfigError> {
        let mut resolver = Resolver {
            source: &self.source,
            dir: self.source.path.parent().unwrap_or(Path::new("")),
            secrets: Vec::new(),
            problems: Problems::default(),
        };
        let value = resolver.value(&self.root);
        let Resolver {
            secrets,
            mut problems,
            ..
        } = resolver;
        let json = value.to_string();
        if json.len() > JSON_LEN_MAX {
            let reason = format!(
                "the settings have {} bytes as JSON; the limit is {JSON_LEN_MAX}",
                json.len()
            );
            problems.add(Problem::new(code::OUT_OF_RANGE, &self.place(), reason));
        }
        problems.or(Resolved {
            value,
            json,
            secrets,
        })
    }

    pub(crate) fn place(&self) -> Place {
        self.root.span.of(&self.source)
    }

    /// Where the value is that the steps lead to, or the last one on the way there that is; and whether something in it came
    /// from a reference.
    pub(crate) fn find<'a>(&self, steps: impl Iterator<Item = &'a str>) -> (Place, bool) {
        let mut node = &self.root;
        for step in steps {
            let next = match &node.kind {
                NodeKind::Table(members) => members
                    .iter()
                    .find(|member| &*member.name == step)
                    .map(|member| &member.node),
                NodeKind::List(items) => step.parse().ok().and_then(|at: usize| items.get(at)),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        (node.span.of(&self.source), node.refers())
    }

    /// Where the key `name` is written in the table that the steps lead to.
    pub(crate) fn find_key<'a>(
        &self,
        steps: impl Iterator<Item = &'a str>,
        name: &str,
    ) -> Option<Place> {
        let mut node = &self.root;
        for step in steps {
            node = match &node.kind {
                NodeKind::Table(members) => {
                    &members.iter().find(|member| &*member.name == step)?.node
                }
                NodeKind::List(items) => items.get(step.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        let NodeKind::Table(members) = &node.kind else {
            return None;
        };
        let member = members.iter().find(|member| &*member.name == name)?;
        Some(member.name_span.of(&self.source))
    }

    /// Whether a plugin would be told the same, as far as that can be known without looking references up.
    pub(crate) fn says_the_same_as(&self, other: &Self) -> bool {
        let said = |one: &Self| {
            let shown = one.shown().into_iter();
            shown
                .map(|shown| (shown.key, shown.written))
                .collect::<Vec<_>>()
        };
        // A relative path in a reference starts at the file that it is written in.
        let same_place = self.source.path == other.source.path;
        said(self) == said(other) && (same_place || !self.refers())
    }

    /// Every value that is no table, in the order of the keys.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        let mut shown = Vec::new();
        self.show("settings", &self.root, &mut shown);
        shown
    }

    fn show(&self, key: &str, node: &Node, shown: &mut Vec<Shown>) {
        match &node.kind {
            NodeKind::Table(members) => {
                for member in members {
                    self.show(&format!("{key}.{}", member.name), &member.node, shown);
                }
            }
            _ => {
                let at = node.span.of(&self.source);
                shown.push(Shown {
                    key: key.to_owned(),
                    written: at.text().to_owned(),
                    at,
                });
            }
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("at", &self.place())
            .finish_non_exhaustive()
    }
}

impl Node {
    fn refers(&self) -> bool {
        match &self.kind {
            NodeKind::Plain(_) => false,
            NodeKind::Reference(_) => true,
            NodeKind::List(items) => items.iter().any(Self::refers),
            NodeKind::Table(members) => members.iter().any(|member| member.node.refers()),
        }
    }
}

/// Makes the tree.
struct Reader<'a, 'b> {
    walk: &'a mut Reading<'b>,
    refers: bool,
}

impl Reader<'_, '_> {
    fn table(&mut self, table: &DeTable<'_>, depth: usize) -> NodeKind {
        let members = table.iter().map(|(name, value)| Member {
            name: Box::from(&**name.get_ref()),
            name_span: name.span().into(),
            node: self.node(value, depth),
        });
        NodeKind::Table(members.collect())
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>, depth: usize) -> Node {
        let span = value.span();
        let kind = match value.get_ref() {
            DeValue::Table(_) | DeValue::Array(_) if depth >= DEPTH_MAX => {
                let reason = format!("the settings are nested deeper than {DEPTH_MAX} levels");
                self.walk.problem(code::OUT_OF_RANGE, &span, reason);
                NodeKind::Plain(Value::Null)
            }
            DeValue::Table(table) => self.table(table, depth + 1),
            DeValue::Array(items) => {
                let items = items.iter().map(|item| self.node(item, depth + 1));
                NodeKind::List(items.collect())
            }
            DeValue::String(text) => match Text::parse(text) {
                Ok(Text::Plain(text)) => NodeKind::Plain(Value::String(text)),
                Ok(Text::Reference(reference)) => {
                    self.refers = true;
                    NodeKind::Reference(reference)
                }
                Err(reason) => {
                    let help = "write literal: before a text that is meant as it is".to_owned();
                    self.walk
                        .problem_with_help(code::REFERENCE, &span, reason, Some(help));
                    NodeKind::Plain(Value::Null)
                }
            },
            DeValue::Boolean(flag) => NodeKind::Plain(Value::Bool(*flag)),
            DeValue::Datetime(at) => NodeKind::Plain(Value::String(at.to_string())),
            DeValue::Integer(number) => {
                let (digits, radix) = (number.as_str(), number.radix());
                let read = i64::from_str_radix(digits, radix)
                    .map(Value::from)
                    .or_else(|_| u64::from_str_radix(digits, radix).map(Value::from));
                self.number(read.ok(), digits, &span)
            }
            DeValue::Float(number) => {
                let read = number.as_str().parse().ok();
                let read = read.and_then(serde_json::Number::from_f64);
                self.number(read.map(Value::Number), number.as_str(), &span)
            }
        };
        Node {
            span: span.into(),
            kind,
        }
    }

    fn number(&mut self, read: Option<Value>, written: &str, span: &Range<usize>) -> NodeKind {
        if let Some(value) = read {
            return NodeKind::Plain(value);
        }
        let reason = format!(
            "{} is a number that settings cannot carry",
            bounded(written, 80)
        );
        let help = "whole numbers have 64 bits, others are finite".to_owned();
        self.walk
            .problem_with_help(code::OUT_OF_RANGE, span, reason, Some(help));
        NodeKind::Plain(Value::Null)
    }
}

/// Makes JSON of the tree.
struct Resolver<'a> {
    source: &'a Arc<Source>,
    dir: &'a Path,
    secrets: Vec<String>,
    problems: Problems,
}

impl Resolver<'_> {
    fn value(&mut self, node: &Node) -> Value {
        match &node.kind {
            NodeKind::Plain(value) => value.clone(),
            NodeKind::List(items) => items.iter().map(|item| self.value(item)).collect(),
            NodeKind::Table(members) => {
                let members = members
                    .iter()
                    .map(|member| (member.name.to_string(), self.value(&member.node)));
                Value::Object(members.collect::<Map<_, _>>())
            }
            NodeKind::Reference(reference) => {
                match reference.resolve(self.dir, &mut self.secrets) {
                    Ok(text) => Value::String(text),
                    Err(reason) => {
                        let place = node.span.of(self.source);
                        self.problems
                            .add(Problem::new(code::REFERENCE, &place, reason));
                        Value::Null
                    }
                }
            }
        }
    }
}
