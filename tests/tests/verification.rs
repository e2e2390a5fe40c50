//! What a file must fulfil besides being a good plugin: who can change it, whether it is listed, whether it is signed.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use plugin_engine::{
    Check, Code, LoadOutcome, PluginState, Verdict, VerifyPolicy, inspect, lock_directory,
};
use plugin_engine_tests::{Rig, built, lines_about, patched};

/// Loads everything and says, per refused file, its name and code.
fn refused(rig: &Rig) -> Vec<(String, Code)> {
    let outcomes = rig.load_any().into_iter();
    let mut refused: Vec<_> = outcomes
        .filter_map(|outcome| match outcome {
            LoadOutcome::Refused { file, error } => {
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                Some((name, error.code()))
            }
            outcome => {
                assert!(outcome.is_good(), "{outcome}");
                None
            }
        })
        .collect();
    refused.sort_by(|one, other| one.0.cmp(&other.0));
    refused
}

fn rig_with(policy: impl FnOnce(&mut VerifyPolicy)) -> Rig {
    let mut made = VerifyPolicy::default();
    policy(&mut made);
    Rig::with(|builder| builder.verify_policy(made))
}

fn put(rig: &Rig, fixture: &str, file: &str) -> PathBuf {
    let path = rig.dir().join(file);
    std::fs::copy(built(fixture), &path).unwrap();
    path
}

fn set(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_that_everybody_can_write_to_is_refused_and_loads_once_that_is_taken_away() {
    let rig = Rig::new();
    let file = put(&rig, "noop", "noop.so");
    set(&file, 0o666);
    assert_eq!(refused(&rig), [("noop.so".to_owned(), Code::FILE_WRITABLE)]);
    // Its manifest could be read, so its plugin shows the reason, with the code as the error's type.
    let error = rig.snapshot("noop").error.unwrap();
    assert_eq!(
        (rig.state("noop"), &*error.type_name),
        (PluginState::Error, "PE0106")
    );
    assert!(error.message.ends_with("[PE0106]"), "{error}");
    set(&file, 0o644);
    rig.load();
    assert_eq!(rig.state("noop"), PluginState::Enabled);
}

#[test]
fn a_directory_that_everybody_can_write_to_makes_its_files_refused_unless_it_is_sticky() {
    let rig = Rig::new();
    put(&rig, "noop", "noop.so");
    set(rig.dir(), 0o777);
    assert_eq!(
        refused(&rig),
        [("noop.so".to_owned(), Code::DIRECTORY_WRITABLE)]
    );
    set(rig.dir(), 0o1777);
    rig.load();
    assert_eq!(rig.state("noop"), PluginState::Enabled);
}

#[test]
fn a_link_within_the_directory_is_followed_and_the_directory_it_leads_to_counts() {
    let rig = Rig::new();
    let versions = rig.dir().join("versions");
    std::fs::create_dir(&versions).unwrap();
    std::fs::copy(built("noop"), versions.join("noop-1")).unwrap();
    symlink("versions/noop-1", rig.dir().join("noop.so")).unwrap();
    set(&versions, 0o777);
    assert_eq!(
        refused(&rig),
        [("noop.so".to_owned(), Code::DIRECTORY_WRITABLE)]
    );
    set(&versions, 0o755);
    rig.load();
    assert_eq!(rig.state("noop"), PluginState::Enabled);
}

#[test]
fn a_good_file_takes_its_id_from_one_that_was_refused_before_it() {
    let rig = Rig::new();
    patched(
        "noop",
        "panic=unwind",
        "panic=aborts",
        &rig.dir().join("a.so"),
    );
    put(&rig, "noop", "b.so");
    assert_eq!(refused(&rig), [("a.so".to_owned(), Code::PANIC_STRATEGY)]);
    assert_eq!(rig.state("noop"), PluginState::Enabled);
    assert_eq!(rig.snapshot("noop").file(), Some(&*rig.dir().join("b.so")));
    // The reason is not lost: nobody shows it now, so it is in the list.
    let listed = rig.engine.refused();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].path(), rig.dir().join("a.so"));
    // Loading again changes nothing: the bad one does not take the id back.
    assert_eq!(refused(&rig), [("a.so".to_owned(), Code::PANIC_STRATEGY)]);
    assert_eq!(
        (rig.state("noop"), rig.error("noop")),
        (PluginState::Enabled, None)
    );
}

#[test]
fn a_refused_file_that_is_removed_leaves_the_list() {
    let rig = Rig::new();
    let file = rig.dir().join("a.so");
    std::fs::write(&file, "no library").unwrap();
    assert_eq!(refused(&rig).len(), 1);
    assert_eq!(rig.engine.refused().len(), 1);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(refused(&rig).len(), 0);
    assert_eq!(rig.engine.refused().len(), 0);
}

/// A copy of a plugin with a RUNPATH: an entry of the dynamic table that may be absent is made one.
fn with_runpath(file: &Path) {
    const RELACOUNT: [u8; 8] = 0x6fff_fff9_u64.to_le_bytes();
    const RUNPATH: [u8; 8] = 29_u64.to_le_bytes();
    let mut bytes = std::fs::read(built("noop")).unwrap();
    let places: Vec<_> = (0..bytes.len() - 16)
        .step_by(8)
        .filter(|at| bytes[*at..].starts_with(&RELACOUNT))
        .collect();
    assert_eq!(places.len(), 1, "the dynamic table has one such entry");
    // The text of the path: what stands at the begin of the table of strings.
    bytes[places[0]..places[0] + 8].copy_from_slice(&RUNPATH);
    bytes[places[0] + 8..places[0] + 16].copy_from_slice(&1_u64.to_le_bytes());
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn a_library_that_says_where_to_search_is_refused_unless_that_is_allowed() {
    let rig = Rig::new();
    with_runpath(&rig.dir().join("noop.so"));
    assert_eq!(
        refused(&rig),
        [("noop.so".to_owned(), Code::FILE_SEARCH_PATH)]
    );
    let rig = rig_with(|policy| policy.allow_rpath = true);
    with_runpath(&rig.dir().join("noop.so"));
    assert_eq!(refused(&rig), []);
    assert_eq!(rig.state("noop"), PluginState::Enabled);
}

#[test]
fn with_a_lock_only_what_it_lists_is_loaded() {
    let rig = Rig::new();
    put(&rig, "noop", "noop.so");
    let lock = lock_directory(rig.dir(), &VerifyPolicy::default()).unwrap();
    assert_eq!((lock.files.len(), lock.refused.len()), (1, 0));
    lock.write().unwrap();
    put(&rig, "fails", "fails.so");
    assert_eq!(refused(&rig), [("fails.so".to_owned(), Code::NOT_LOCKED)]);
    assert_eq!(rig.state("noop"), PluginState::Enabled);
    // Whoever lists it, lets it in.
    let lock = lock_directory(rig.dir(), &VerifyPolicy::default()).unwrap();
    assert_eq!(lock.differences().unwrap(), ["fails.so: is not listed"]);
    lock.write().unwrap();
    assert_eq!(lock.differences().unwrap(), [""; 0]);
    assert_eq!(refused(&rig), []);
    assert_eq!(rig.state("fails"), PluginState::Enabled);
}

#[test]
fn a_file_that_was_changed_after_it_was_locked_is_refused() {
    let rig = Rig::new();
    let file = put(&rig, "noop", "noop.so");
    lock_directory(rig.dir(), &VerifyPolicy::default())
        .unwrap()
        .write()
        .unwrap();
    // One byte behind everything that is mapped.
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.push(0);
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(refused(&rig), [("noop.so".to_owned(), Code::LOCK_MISMATCH)]);
}

#[test]
fn a_lock_that_does_not_hold_lets_nothing_in() {
    let rig = Rig::new();
    put(&rig, "noop", "noop.so");
    let lock = rig.dir().join("plugins.lock");
    lock_directory(rig.dir(), &VerifyPolicy::default())
        .unwrap()
        .write()
        .unwrap();
    let good = std::fs::read_to_string(&lock).unwrap();
    let bad = [("noop.so".to_owned(), Code::BAD_LOCK)];
    for text in [
        "",
        "format = 1\n[[file]",
        &good[..good.len() - 30],
        &good.replace("format = 1", "format = 9"),
    ] {
        std::fs::write(&lock, text).unwrap();
        assert_eq!(refused(&rig), bad, "{text}");
    }
    std::fs::write(&lock, &good).unwrap();
    set(&lock, 0o646);
    assert_eq!(refused(&rig), bad);
    // Whoever compares must not be told that all is well.
    let made = lock_directory(rig.dir(), &VerifyPolicy::default()).unwrap();
    let reason = made.differences().unwrap_err();
    assert!(reason.contains("everybody may write"), "{reason}");
    std::fs::remove_file(&lock).unwrap();
    symlink("nowhere", &lock).unwrap();
    assert_eq!(refused(&rig), bad);
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    assert_eq!(refused(&rig), bad);
    std::fs::remove_dir(&lock).unwrap();
    rig.load();
}

#[test]
fn a_lock_that_is_asked_for_must_be_there() {
    let place = tempfile::TempDir::new().unwrap();
    let lock = place.path().join("allowed");
    let rig = rig_with(|policy| policy.lock = Some(lock.clone()));
    put(&rig, "noop", "noop.so");
    assert_eq!(refused(&rig), [("noop.so".to_owned(), Code::BAD_LOCK)]);
    let mut policy = VerifyPolicy::default();
    policy.lock = Some(lock.clone());
    let made = lock_directory(rig.dir(), &policy).unwrap();
    assert_eq!(made.path, lock);
    made.write().unwrap();
    assert_eq!(refused(&rig), []);
}

/// Keys made for one test, and signatures by them.
struct Signer(minisign::KeyPair);

impl Signer {
    fn new() -> Self {
        Self(minisign::KeyPair::generate_unencrypted_keypair().unwrap())
    }

    fn public(&self) -> String {
        self.0.pk.to_base64()
    }

    fn sign(&self, file: &Path) {
        let bytes = std::fs::File::open(file).unwrap();
        let signature = minisign::sign(Some(&self.0.pk), &self.0.sk, bytes, None, None).unwrap();
        std::fs::write(signature_of(file), signature.into_string()).unwrap();
    }
}

fn signature_of(file: &Path) -> PathBuf {
    format!("{}.minisig", file.display()).into()
}

#[test]
fn where_signatures_are_required_only_a_good_one_lets_a_file_in() {
    let signer = Signer::new();
    let rig = rig_with(|policy| {
        policy.require_signature = true;
        policy.trusted_keys = vec![Signer::new().public(), signer.public()];
    });
    let file = put(&rig, "noop", "noop.so");
    let refused_with = |code| assert_eq!(refused(&rig), [("noop.so".to_owned(), code)]);
    refused_with(Code::NO_SIGNATURE);
    std::fs::write(signature_of(&file), "nonsense").unwrap();
    refused_with(Code::BAD_SIGNATURE);
    Signer::new().sign(&file);
    refused_with(Code::BAD_SIGNATURE);
    // A signature of other bytes, by the right key.
    put(&rig, "fails", "noop.so");
    signer.sign(&file);
    put(&rig, "noop", "noop.so");
    refused_with(Code::BAD_SIGNATURE);
    signer.sign(&file);
    assert_eq!(refused(&rig), []);
    assert_eq!(rig.state("noop"), PluginState::Enabled);
}

#[test]
fn a_file_of_the_engine_that_asks_for_less_than_at_the_start_lets_nothing_in() {
    let key = Signer::new().public();
    let signed = format!("[verify]\nrequire_signature = true\ntrusted_keys = [\"{key}\"]\n");
    let locked = "[verify]\nlock = \"plugins.lock\"\n".to_owned();
    for asks in [signed, locked] {
        let dir = tempfile::TempDir::new().unwrap();
        let config = dir.path().join("engine.toml");
        std::fs::write(&config, &asks).unwrap();
        let rig = Rig::with(|builder| builder.config_file(&config));
        let file = put(&rig, "noop", "noop.so");
        assert_eq!(refused(&rig).len(), 1);
        // As somebody leaves it who is about to write it anew.
        std::fs::write(&config, "").unwrap();
        for error in [
            rig.engine.try_load_all().unwrap_err(),
            rig.engine.load_file(&file).unwrap_err(),
            rig.engine.reset("noop").unwrap_err(),
        ] {
            assert_eq!(error.code(), Code::CONFIG_LOOSENED, "{error}");
        }
        assert_eq!(rig.state("noop"), PluginState::Error);
        std::fs::write(&config, &asks).unwrap();
        assert_eq!(refused(&rig).len(), 1);
        assert_eq!(rig.engine.usage().libraries, 0);
    }
}

#[test]
fn a_policy_that_cannot_hold_is_refused_when_the_engine_is_built() {
    let build = |policy| {
        plugin_engine::Engine::builder()
            .verify_policy(policy)
            .build()
    };
    let mut policy = VerifyPolicy::default();
    policy.require_signature = true;
    let error = build(policy.clone()).unwrap_err();
    assert_eq!(error.code(), Code::CONFIG_RANGE, "{error}");
    policy.trusted_keys.push("no key".to_owned());
    let error = build(policy).unwrap_err().to_string();
    assert!(error.contains("no public key of minisign"), "{error}");
}

#[test]
fn an_inspection_makes_every_check_that_can_be_made() {
    let rig = Rig::new();
    let file = rig.dir().join("noop.so");
    patched("noop", "panic=unwind", "panic=aborts", &file);
    set(&file, 0o666);
    let inspection = inspect(&file, &VerifyPolicy::default());
    let verdicts: Vec<_> = inspection
        .checks
        .iter()
        .map(|(check, verdict)| (*check, verdict.name()))
        .collect();
    let expected = Check::ALL.map(|check| match check {
        Check::Owner | Check::Panic => (check, "refused"),
        _ => (check, "passed"),
    });
    assert_eq!(verdicts, expected);
    assert_eq!(inspection.refusal().unwrap().code(), Code::FILE_WRITABLE);
    assert_eq!(inspection.manifest.as_ref().unwrap().id, "noop");
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(inspection.len, Some(bytes.len() as u64));
    // A file that is none leaves the rest unmade.
    let none = inspect(rig.dir().join("absent.so"), &VerifyPolicy::default());
    let reached = none
        .checks
        .iter()
        .filter(|(_, verdict)| !matches!(verdict, Verdict::NotReached));
    assert_eq!(
        reached.map(|(check, _)| *check).collect::<Vec<_>>(),
        [Check::File]
    );
}

#[test]
fn a_plugin_whose_library_is_not_there_is_refused_before_its_code_runs() {
    let rig = Rig::new();
    let file = rig.dir().join("noop.so");
    patched("noop", "libgcc_s.so.1", "libgcc_s.so.9", &file);
    assert_eq!(refused(&rig), [("noop.so".to_owned(), Code::FILE_NEEDS)]);
    let error = rig.error("noop").unwrap();
    assert!(
        error.contains("needs libgcc_s.so.9, which is not installed"),
        "{error}"
    );
}

#[test]
fn a_file_that_a_group_may_write_to_is_loaded_with_a_warning_and_a_refused_one_without() {
    let rig = Rig::new();
    let file = put(&rig, "noop", "group-good.so");
    set(&file, 0o664);
    let bad = rig.dir().join("group-bad.so");
    std::fs::write(&bad, "no library").unwrap();
    set(&bad, 0o664);
    let warned = |file: &Path| {
        let lines = lines_about(file).into_iter();
        lines
            .filter(|line| line.message.contains("a group may write"))
            .count()
    };
    // Listening begins with the first question.
    assert_eq!(warned(&file), 0);
    assert_eq!(
        refused(&rig),
        [("group-bad.so".to_owned(), Code::FILE_NO_LIBRARY)]
    );
    assert_eq!(rig.state("noop"), PluginState::Enabled);
    assert_eq!((warned(&file), warned(&bad)), (1, 0));
}
