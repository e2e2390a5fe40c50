//! What the workspace relies on and does not say by itself: unsafe code, the licences of what it is built from, the limits on what it reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The licences that go with MIT OR Apache-2.0 and ask for nothing but to be named.
const ACCEPTED: [&str; 10] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Zlib",
];
/// Further ones, each for those that have it: the Unicode licence is one like the above, for tables that are taken from Unicode; the Mozilla
/// licence asks that changes to the very files it is in are made public, of which there are none.
const ACCEPTED_FOR: [(&str, &str); 3] = [
    ("Unicode-3.0", ""),
    ("MPL-2.0", "generational-arena"),
    ("MPL-2.0+", "smartstring"),
];
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_list_of_unsafe_code_is_what_the_code_says() {
    assert!(
        text("engine/UNSAFE.md") == plugin_engine_tests::unsafe_inventory(),
        "write it anew: cargo run --package plugin-engine-tests --example unsafe_inventory > engine/UNSAFE.md"
    );
}

/// Everything that is built, for whatever target, with whatever features.
fn packages() -> Vec<Value> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo can be run");
    assert!(
        metadata.status.success(),
        "{}",
        String::from_utf8_lossy(&metadata.stderr)
    );
    let mut metadata: Value = serde_json::from_slice(&metadata.stdout).expect("it is JSON");
    match metadata["packages"].take() {
        Value::Array(packages) => packages,
        other => panic!("no packages: {other}"),
    }
}

/// Whether a licence is accepted, as SPDX writes it. A slash is an old way to write OR.
fn is_accepted(expression: &str, package: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let tokens = expression.replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = tokens.split_whitespace().collect();
    any_of(&tokens, package) == Some((true, &[][..]))
}

/// Whether it is accepted, and what stands behind it. `None` for what is no licence.
type Judged<'a> = Option<(bool, &'a [&'a str])>;

fn any_of<'a>(tokens: &'a [&'a str], package: &str) -> Judged<'a> {
    let (mut accepted, mut rest) = all_of(tokens, package)?;
    while let ["OR", after @ ..] = rest {
        let (other, left) = all_of(after, package)?;
        accepted |= other;
        rest = left;
    }
    Some((accepted, rest))
}

fn all_of<'a>(tokens: &'a [&'a str], package: &str) -> Judged<'a> {
    let (mut accepted, mut rest) = one(tokens, package)?;
    while let ["AND", after @ ..] = rest {
        let (other, left) = one(after, package)?;
        accepted &= other;
        rest = left;
    }
    Some((accepted, rest))
}

fn one<'a>(tokens: &'a [&'a str], package: &str) -> Judged<'a> {
    let known = |name: &str| {
        let special = ACCEPTED_FOR
            .iter()
            .any(|(licence, of)| *licence == name && (of.is_empty() || *of == package));
        ACCEPTED.contains(&name) || special
    };
    match tokens {
        ["(", inner @ ..] => match any_of(inner, package)? {
            (accepted, [")", rest @ ..]) => Some((accepted, rest)),
            _ => None,
        },
        [name, "WITH", exception, rest @ ..] => {
            Some((known(&format!("{name} WITH {exception}")), rest))
        }
        [name, rest @ ..] => Some((known(name), rest)),
        [] => None,
    }
}

#[test]
fn everything_that_is_built_in_has_a_licence_that_goes_with_ours() {
    let packages = packages();
    assert!(packages.len() > 100, "{} packages", packages.len());
    let refused: Vec<String> = packages
        .iter()
        .filter_map(|package| {
            let name = package["name"].as_str()?;
            let licence = package["license"].as_str().unwrap_or("none");
            (!is_accepted(licence, name)).then(|| format!("{name}: {licence}"))
        })
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn a_licence_is_judged_as_it_is_written() {
    for (expression, accepted) in [
        ("MIT", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("GPL-3.0-only AND MIT", false),
        ("(GPL-3.0-only OR MIT) AND BSD-3-Clause", true),
        ("MIT AND (GPL-3.0-only AND ISC)", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("GPL-2.0 WITH Classpath-exception-2.0", false),
        ("MPL-2.0", false),
        ("MIT OR", false),
        ("(MIT", false),
        ("", false),
    ] {
        assert_eq!(is_accepted(expression, "some"), accepted, "{expression}");
    }
    assert!(is_accepted("MPL-2.0", "generational-arena"));
}

#[test]
fn everything_that_is_built_in_comes_from_the_registry() {
    for package in packages() {
        let source = package["source"].as_str();
        let name = package["name"].as_str().unwrap_or_default();
        assert!(
            source.is_none_or(|source| source == REGISTRY),
            "{name} comes from {source:?}"
        );
    }
}

/// One row of the table in `engine/LIMITS.md`.
struct Limit {
    what: String,
    value: u64,
    constant: String,
    file: String,
}

fn limits() -> Vec<Limit> {
    let page = text("engine/LIMITS.md");
    let rows = page
        .lines()
        .filter(|line| line.starts_with('|') && line.contains(".rs"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, what, value, place, ..] = cells[..] else {
            panic!("no row: {row}");
        };
        let (constant, file) = place
            .strip_prefix('`')
            .and_then(|place| place.strip_suffix('`')?.split_once("` in `"))
            .unwrap_or_else(|| panic!("no place: {place}"));
        Limit {
            what: what.to_owned(),
            value: written(value),
            constant: constant.to_owned(),
            file: file.to_owned(),
        }
    })
    .collect()
}

/// A value as the table has it: `64 KiB`, `1,024`, `30 s`.
fn written(value: &str) -> u64 {
    let (number, unit) = value.split_once(' ').unwrap_or((value, ""));
    let number: u64 = number
        .replace(',', "")
        .parse()
        .unwrap_or_else(|_| panic!("no number: {value}"));
    number
        * match unit {
            "" | "bytes" | "s" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            "days" => 24 * 3_600,
            other => panic!("no unit: {other}"),
        }
}

/// A value as a constant has it: numbers, products, shifts, and durations in seconds.
fn computed(expression: &str) -> Option<u64> {
    let expression = expression
        .trim()
        .trim_start_matches("Duration::from_secs(")
        .trim_end_matches(')');
    if let Some((number, shift)) = expression.split_once("<<") {
        return Some(computed(number)? << computed(shift)?);
    }
    expression
        .split('*')
        .map(|factor| factor.trim().replace('_', "").parse::<u64>().ok())
        .product()
}

/// The constants of a file by their names, where their values can be worked out.
fn constants(file: &str) -> BTreeMap<String, u64> {
    let text = text(file);
    let lines = text.lines().filter_map(|line| {
        let (_, line) = line.split_once("const ")?;
        let (name, rest) = line.split_once(':')?;
        let (_, value) = rest.split_once('=')?;
        let value = value.split(';').next()?;
        Some((name.to_owned(), computed(value)?))
    });
    let mut constants = BTreeMap::new();
    // The first is the one of the system that this is run on.
    for (name, value) in lines {
        constants.entry(name).or_insert(value);
    }
    constants
}

#[test]
fn the_limits_are_those_of_the_code() {
    let limits = limits();
    assert!(limits.len() > 60, "{} limits", limits.len());
    let mut seen = BTreeSet::new();
    for Limit {
        what,
        value,
        constant,
        file,
    } in limits
    {
        let found = constants(&file).get(&constant).copied();
        assert_eq!(found, Some(value), "{what}: {constant} in {file}");
        assert!(seen.insert((file, constant)), "{what} stands there twice");
    }
}

/// A limit that is added to what reads something belongs into the table.
#[test]
fn every_limit_of_those_who_read_is_in_the_table() {
    let told: BTreeSet<(String, String)> = limits()
        .into_iter()
        .map(|limit| (limit.file, limit.constant))
        .collect();
    for file in told.iter().map(|(file, _)| file) {
        for constant in constants(file).into_keys() {
            assert!(
                !constant.ends_with("_MAX") || told.contains(&(file.clone(), constant.clone())),
                "{constant} in {file} is not in engine/LIMITS.md"
            );
        }
    }
}

/// Every claim about a threat names a test that is there.
#[test]
fn the_threats_are_held_off_by_tests_that_exist() {
    let page = text("engine/THREATS.md");
    let is_name = |word: &str| {
        word.matches('_').count() >= 4
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let named: BTreeSet<&str> = page.split('`').filter(|word| is_name(word)).collect();
    assert!(named.len() > 30, "{} tests are named", named.len());
    let mut dirs: Vec<PathBuf> = ["engine", "tests"].map(|dir| root().join(dir)).into();
    let mut defined = BTreeSet::new();
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("a directory can be read") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() && !path.ends_with("target") {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).expect("a source is text");
                let names = source.split("#[test]").skip(1).filter_map(|after| {
                    let (_, after) = after.split_once("fn ")?;
                    after.split_once('(').map(|(name, _)| name.to_owned())
                });
                defined.extend(names);
            }
        }
    }
    for name in named {
        assert!(defined.contains(name), "{name} is no test");
    }
}
