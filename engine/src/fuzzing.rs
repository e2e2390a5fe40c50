//! What the readers of other people's bytes promise, checked over bytes that may be anything.
//!
//! Compiled only for tests and for `engine/fuzz`, whose targets call the functions of [`READERS`]. Each has its bytes read, and panics
//! where what comes back is not what the reader promises. What lives here: promises. What never will: anything that a reader needs.

mod boundary;
mod bytes;
mod lent;
mod questions;
mod settings;
mod stand_in;

use std::path::PathBuf;
use std::sync::LazyLock;

use minisign_verify::PublicKey;
use plugin_api::c::{CONTRACT, CONTRACT_LEN_MAX};
use plugin_api::manifest::DESCRIPTION_LEN_MAX;
use plugin_engine_core::{
    INTERVAL_MAX, INTERVAL_MIN, PluginId, TIMEOUT_MAX, TIMEOUT_MIN, escape_control,
};
use plugin_engine_crash_marks::{CallLeft, Remains, THREADS_MAX};

use crate::config::{self, Problem};
use crate::contract_text;
use crate::crashes::CountsOfCrashes;
use crate::image::{self, Image, TEXT_LEN_MAX, TEXTS_MAX};
use crate::manifest::{Contract, Manifest};
use crate::verify::{self, Check, DirectoryLock, Inspection, Verdict, VerifyPolicy};

pub use boundary::{boundary, boundary_c};
pub use questions::questions;
pub use settings::settings;

/// Checks what one reader makes of some bytes.
pub type Reader = fn(&[u8]);

/// Every reader by its name, which is also that of its target and of its corpus.
pub const READERS: [(&str, Reader); 14] = [
    ("manifest", manifest),
    ("image", image),
    ("loader_cache", loader_cache),
    ("verdict", verdict),
    ("lock", lock),
    ("signature", signature),
    ("config", config),
    ("calls", calls),
    ("crashes", crashes),
    ("questions", questions),
    ("settings", settings),
    ("boundary", boundary),
    ("boundary_c", boundary_c),
    ("contract", contract),
];

/// The longest message of a refusal or a warning, in bytes.
const MESSAGE_LEN_MAX: usize = 1_000;
/// The longest value of a manifest, in bytes.
const VALUE_LEN_MAX: usize = 256;
/// The longest name of a file, in bytes.
const NAME_LEN_MAX: usize = 255;
/// How many bytes one byte of a file may become when it is escaped: `\u{1b}`.
const ESCAPE_LEN_MAX: usize = 6;

/// The signature that is kept for tests, which is the only one by this key that there is for these bytes.
const SIGNED: &[u8] = include_bytes!("../../fixtures/files/signatures/signed.txt");
const SIGNED_COMMENT: &str = "file:signed.txt release 1";
const TRUSTED_KEY: &str = "RWRMCU7N6gfWsSz0mxtBGYbmMkpNch1L2/wyYPVKvoiIM/mpge77NSNZ";

/// What a process before has left behind: as much as there can be, and that only what ended it is told once it had ended as it should.
pub fn calls(bytes: &[u8]) {
    match Remains::read(bytes) {
        Ok(remains) => {
            assert!(remains.calls.len() <= THREADS_MAX);
            // Each has a head and a checksum, and an id of at least one byte.
            assert!(remains.names.len() <= bytes.len() / 45);
            let marked = |call: &CallLeft| call.mark.is_some();
            assert!(!remains.ended || remains.calls.iter().all(marked));
            let culprit = remains.culprit();
            assert_eq!(culprit.is_some(), remains.calls.iter().any(marked));
        }
        Err(error) => assert_message(error),
    }
}

/// How often plugins have crashed the engine: what was read, written again, is read as the same.
pub fn crashes(bytes: &[u8]) {
    match CountsOfCrashes::parse(bytes) {
        Ok(counts) => {
            let again = counts.text();
            assert_eq!(
                CountsOfCrashes::parse(again.as_bytes()),
                Ok(counts),
                "{again}"
            );
        }
        Err(error) => assert_message(error),
    }
}

/// That a text can be shown on one line of a terminal, and is not longer than this.
fn assert_line(text: &str, len_max: usize) {
    assert!(
        text.len() <= len_max,
        "{} bytes, the limit is {len_max}: {text:?}",
        text.len()
    );
    assert_eq!(escape_control(text), text, "it has control characters");
}

fn assert_message(error: impl std::fmt::Display) {
    let text = error.to_string();
    assert!(!text.is_empty());
    assert_line(&text, MESSAGE_LEN_MAX);
}

/// The text of a manifest: ranges, lengths, and that what was read, written again, is read as the same.
pub fn manifest(bytes: &[u8]) {
    // No more is ever taken out of a file.
    let bytes = &bytes[..bytes.len().min(DESCRIPTION_LEN_MAX)];
    match Manifest::parse(bytes) {
        Ok(manifest) => {
            assert_manifest(&manifest);
            let again = written(&manifest);
            assert_eq!(Manifest::parse(again.as_bytes()), Ok(manifest), "{again}");
        }
        Err(reason) => assert_message(reason),
    }
}

fn assert_manifest(manifest: &Manifest) {
    assert!(PluginId::new(manifest.id.as_str()).is_ok());
    let in_range = |value: Option<_>, min, max| value.is_none_or(|it| (min..=max).contains(&it));
    assert!(in_range(manifest.interval, INTERVAL_MIN, INTERVAL_MAX));
    assert!(in_range(manifest.timeout, TIMEOUT_MIN, TIMEOUT_MAX));
    for value in [
        &manifest.version,
        &manifest.api_version,
        &manifest.compiler,
        &manifest.target,
        &manifest.panic,
    ] {
        assert!(!value.is_empty());
        assert_line(value, VALUE_LEN_MAX);
    }
}

fn written(manifest: &Manifest) -> String {
    let Manifest {
        id,
        version,
        interval,
        timeout,
        requires,
        api_version,
        compiler,
        target,
        panic,
        contract,
    } = manifest;
    let mut text = format!(
        "manifest=1\nid={id}\nversion={version}\napi={api_version}\ncompiler={compiler}\ntarget={target}\npanic={panic}\n"
    );
    for (key, value) in [("interval", interval), ("timeout", timeout)] {
        if let Some(value) = value {
            text += &format!("{key}={}\n", humantime::format_duration(*value));
        }
    }
    if *contract == Contract::C {
        text += "contract=c\n";
    }
    if !requires.is_empty() {
        let requires: Vec<_> = requires.iter().map(ToString::to_string).collect();
        text += &format!("requires={}\n", requires.join(", "));
    }
    text
}

/// A dynamic library of any format: bounds, and that it does not matter where in memory the bytes lie.
pub fn image(bytes: &[u8]) {
    let read = image::read(bytes);
    let moved = [&[0], bytes].concat();
    assert_eq!(image::read(&moved[1..]), read, "at an odd address");
    match read {
        Ok(image) => assert_image(&image, bytes),
        Err(error) => assert_message(error),
    }
}

fn assert_image(image: &Image<'_>, bytes: &[u8]) {
    if let Err(error) = image.fits_this_machine() {
        assert_message(error);
    }
    if let Some(manifest) = image.manifest {
        assert!(manifest.len() <= DESCRIPTION_LEN_MAX);
        assert!(bytes.as_ptr_range().contains(&manifest.as_ptr()) || manifest.is_empty());
    }
    assert!(matches!(image.bits, 32 | 64));
    assert_line(&image.machine, NAME_LEN_MAX);
    assert!(image.needed.len() + image.search_paths.len() <= TEXTS_MAX);
    let paths = image.search_paths.iter().map(|path| &path.path);
    for text in image.needed.iter().chain(paths) {
        assert_line(text, TEXT_LEN_MAX * ESCAPE_LEN_MAX);
    }
}

/// The cache of the system's loader: no more and no longer names than it has bytes for.
pub fn loader_cache(bytes: &[u8]) {
    let Some(names) = image::names_in_cache(bytes) else {
        return;
    };
    // Each takes an entry and a text of its own, which may be the end of another one's.
    assert!(names.len() <= bytes.len());
    for name in names {
        assert!(name.len() <= NAME_LEN_MAX && !name.contains('\0'));
    }
}

/// All checks that a file goes through, over bytes that lie in no file: what no check refuses is a plugin that can be loaded.
pub fn verdict(bytes: &[u8]) {
    for allow_rpath in [false, true] {
        let policy = VerifyPolicy {
            allow_rpath,
            ..VerifyPolicy::default()
        };
        let inspection = verify::inspect_bytes(bytes, policy);
        assert_verdicts(&inspection);
        if inspection.is_good() {
            let image = image::read(bytes).expect("its format passed");
            assert_eq!(image.fits_this_machine(), Ok(()));
            assert!(allow_rpath || image.search_paths.is_empty());
            let manifest = inspection.manifest.expect("its manifest passed");
            let is_none = manifest.panic == "none" && manifest.contract == Contract::C;
            assert!(manifest.panic == "unwind" || is_none);
            assert_manifest(&manifest);
        }
    }
}

fn assert_verdicts(inspection: &Inspection) {
    let checks: Vec<Check> = inspection.checks.iter().map(|(check, _)| *check).collect();
    assert_eq!(checks, Check::ALL, "each check once, in their order");
    for (check, verdict) in &inspection.checks {
        match verdict {
            Verdict::Passed(text) | Verdict::Warned(text) => assert_message(text),
            Verdict::Refused(error) => assert_message(error),
            // There is no file to ask.
            Verdict::NotReached if matches!(check, Check::File | Check::Owner) => {}
            Verdict::NotReached => assert!(!inspection.is_good(), "{check} was left out"),
        }
    }
    assert!(inspection.needed.len() <= TEXTS_MAX);
    for library in &inspection.needed {
        assert_line(library, TEXT_LEN_MAX * ESCAPE_LEN_MAX);
    }
}

/// The lock of a directory: what was read, written again, is read as the same.
pub fn lock(bytes: &[u8]) {
    match verify::parse_lock(bytes) {
        Ok(files) => {
            for (name, file) in &files {
                assert_eq!(*name, file.name);
                assert!(!name.is_empty() && !name.contains('/'));
                assert!(file.sha256.len() == 64 && file.sha256.is_ascii());
            }
            let again = DirectoryLock {
                policy: std::sync::Arc::default(),
                path: PathBuf::new(),
                files: files.values().cloned().collect(),
                refused: Vec::new(),
            };
            assert_eq!(verify::parse_lock(again.text().as_bytes()), Ok(files));
        }
        Err(reason) => assert_message(reason),
    }
}

/// A signature, and the text of a key: nothing that is made up is taken for the one that is kept.
pub fn signature(bytes: &[u8]) {
    static KEYS: LazyLock<Vec<PublicKey>> =
        LazyLock::new(|| PublicKey::from_base64(TRUSTED_KEY).into_iter().collect());
    match verify::judge_signature(bytes, SIGNED, &KEYS) {
        Ok(comment) => assert_eq!(comment, SIGNED_COMMENT),
        Err(reason) => assert_message(reason),
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let policy = VerifyPolicy {
            require_signature: true,
            trusted_keys: vec![text.to_owned()],
            ..VerifyPolicy::default()
        };
        if let Err(reason) = verify::check_policy(&policy) {
            assert_message(reason);
        }
    }
}

/// The text of the contract that a file in C carries: a bounded reason, and what fits fits either way.
pub fn contract(bytes: &[u8]) {
    // No more is read, and what is no text is refused before it is compared.
    let bytes = &bytes[..bytes.len().min(CONTRACT_LEN_MAX)];
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let compared = contract_text::compare(CONTRACT, text);
    let other_way = contract_text::compare(text, CONTRACT);
    assert_eq!(compared.is_ok(), other_way.is_ok(), "{compared:?}");
    match compared {
        Err(reason) => assert_message(reason),
        Ok(()) => match contract_text::table_len(text, "PluginModule") {
            Ok(len) => assert!(len.is_multiple_of(8)),
            Err(reason) => assert_message(reason),
        },
    }
}

/// A configuration, as the engine's file and as one beside a plugin file.
pub fn config(bytes: &[u8]) {
    // Both are read as text, which is the first check that there is.
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for read in config::read_text(text) {
        if let Err(error) = read {
            assert_message(&error);
            assert!(!error.problems().is_empty());
            for problem in error.problems() {
                assert_problem(problem, text);
            }
        }
    }
}

fn assert_problem(problem: &Problem, text: &str) {
    assert_message(problem);
    assert!(problem.reason().len() <= MESSAGE_LEN_MAX);
    assert!(
        problem
            .help_text()
            .is_none_or(|help| help.len() <= MESSAGE_LEN_MAX)
    );
    assert!(
        problem
            .line()
            .is_none_or(|line| (1..=text.len() + 1).contains(&line))
    );
    if let Some((line, mark)) = problem.source_line() {
        assert!(line.len() <= MESSAGE_LEN_MAX && text.contains(line) && !line.contains('\n'));
        assert!(line.get(mark).is_some(), "the mark lies within the line");
    }
}

#[cfg(test)]
#[path = "fuzzing_tests.rs"]
mod tests;
