//! What people and programs do to files, as a series of looks, and what of it counts when.

use std::collections::BTreeMap;

use super::*;
use crate::changes::{Change, FileIdentity};
use crate::sequence::Sequence;

const SETTLE: Duration = Duration::from_millis(200);
const GRACE: Duration = Duration::from_millis(2_000);

fn identity(inode: u64, len: u64, changed: i64) -> FileIdentity {
    FileIdentity::Seen {
        device: 1,
        inode,
        len,
        modified: (changed, 0),
        changed: (changed, 0),
    }
}

/// A directory that a test writes to and a detector looks at.
struct Stage {
    detector: Detector,
    known: Observation,
    seen: Observation,
    inodes: u64,
    now: u64,
}

impl Stage {
    /// A stage where the files of these names are there and known.
    fn with(names: &[&str]) -> Self {
        let mut stage = Self {
            detector: Detector::new(SETTLE, GRACE),
            known: Observation::default(),
            seen: Observation::default(),
            inodes: 0,
            now: 0,
        };
        for name in names {
            stage.write(name);
        }
        stage.known = stage.seen.clone();
        stage
    }

    fn part(&mut self, name: &str) -> &mut Option<FileIdentity> {
        let (subject, part) = match name {
            "engine.toml" => (Subject::EngineConfig, "file"),
            "plugins.lock" => (Subject::Lock, "file"),
            name => match name.rsplit_once('.') {
                Some((stem, "toml")) => (Subject::Plugin(stem.into()), "config"),
                Some((stem, "minisig")) => (Subject::Plugin(stem.into()), "signature"),
                _ => (Subject::Plugin(name.into()), "file"),
            },
        };
        let group = self.seen.groups.entry(subject).or_default();
        match part {
            "config" => &mut group.config,
            "signature" => &mut group.signature,
            _ => &mut group.file,
        }
    }

    /// A new file in place of whatever was there.
    fn write(&mut self, name: &str) {
        self.inodes += 1;
        let (inodes, now) = (self.inodes, self.now);
        *self.part(name) = Some(identity(inodes, 10, now.cast_signed()));
    }

    /// The same file with another length.
    fn grow(&mut self, name: &str, to: u64) {
        let now = self.now.cast_signed();
        let part = self.part(name);
        let inode = match part {
            Some(FileIdentity::Seen { inode, .. }) => *inode,
            _ => panic!("{name} is not there"),
        };
        *part = Some(identity(inode, to, now));
    }

    fn remove(&mut self, name: &str) {
        *self.part(name) = None;
        self.seen
            .groups
            .retain(|_, group| *group != FileGroup::default());
    }

    fn at(&mut self, millis: u64) -> &mut Self {
        assert!(millis >= self.now);
        self.now = millis;
        self
    }

    /// Looks, makes known what settled, and names it.
    fn look(&mut self) -> Vec<(String, Change)> {
        let now = Moment::from_nanos(self.now * 1_000_000);
        let settled = self.detector.observe(now, &self.known, &self.seen);
        settled
            .into_iter()
            .map(|subject| {
                let (before, group) = (self.known.group(&subject), self.seen.group(&subject));
                let change = Change::between(&before, &group).expect("what settled is a change");
                let name = match &subject {
                    Subject::EngineConfig => "engine.toml".to_owned(),
                    Subject::Lock => "plugins.lock".to_owned(),
                    Subject::Plugin(name) => name.to_str().expect("text").to_owned(),
                };
                if self.seen.groups.contains_key(&subject) {
                    self.known.groups.insert(subject, group);
                } else {
                    self.known.groups.remove(&subject);
                }
                (name, change)
            })
            .collect()
    }

    /// Looks every so many milliseconds up to a time, and says what settled when.
    fn watch(&mut self, until: u64, every: u64) -> Vec<(u64, String, Change)> {
        let mut settled = Vec::new();
        loop {
            let now = self.now;
            settled.extend(
                self.look()
                    .into_iter()
                    .map(|(name, change)| (now, name, change)),
            );
            if self.now + every > until {
                self.now = until;
                return settled;
            }
            self.now += every;
        }
    }
}

fn one(at: u64, name: &str, change: Change) -> Vec<(u64, String, Change)> {
    vec![(at, name.to_owned(), change)]
}

#[test]
fn a_file_that_appears_counts_once_it_has_not_moved_for_the_settle_time() {
    let mut stage = Stage::with(&[]);
    stage.write("a");
    assert_eq!(stage.watch(5_000, 10), one(200, "a", Change::Appeared));
}

#[test]
fn a_file_that_grows_does_not_count_before_it_has_stopped() {
    let mut stage = Stage::with(&["a"]);
    for step in 1..=20 {
        stage.at(step * 150).grow("a", 10 + step);
        assert_eq!(stage.look(), []);
    }
    assert_eq!(stage.watch(9_000, 10), one(3_200, "a", Change::Replaced));
}

#[test]
fn half_a_file_that_is_followed_by_the_rest_within_the_settle_time_is_one_change() {
    let mut stage = Stage::with(&["a"]);
    stage.grow("a", 5);
    assert_eq!(stage.watch(190, 10), []);
    stage.grow("a", 20);
    assert_eq!(stage.watch(5_000, 10), one(390, "a", Change::Replaced));
}

#[test]
fn half_a_file_whose_rest_comes_later_counts_twice_and_last_as_what_it_became() {
    let mut stage = Stage::with(&["a"]);
    stage.grow("a", 5);
    assert_eq!(stage.watch(1_000, 10), one(200, "a", Change::Replaced));
    stage.grow("a", 20);
    assert_eq!(stage.watch(5_000, 10), one(1_200, "a", Change::Replaced));
    assert_eq!(stage.known, stage.seen);
}

#[test]
fn a_removal_counts_after_the_grace_time() {
    let mut stage = Stage::with(&["a", "b"]);
    stage.remove("a");
    assert_eq!(stage.watch(5_000, 10), one(2_000, "a", Change::Removed));
}

#[test]
fn removal_and_return_within_the_grace_time_is_one_replacement() {
    let mut stage = Stage::with(&["a"]);
    stage.remove("a");
    assert_eq!(stage.watch(1_990, 10), []);
    stage.write("a");
    assert_eq!(stage.watch(9_000, 10), one(2_190, "a", Change::Replaced));
}

#[test]
fn removal_and_return_beyond_the_grace_time_are_two_changes() {
    let mut stage = Stage::with(&["a"]);
    stage.remove("a");
    stage.watch(3_000, 10);
    stage.write("a");
    assert_eq!(stage.watch(9_000, 10), one(3_200, "a", Change::Appeared));
}

#[test]
fn a_file_that_comes_back_as_it_was_is_no_change() {
    let mut stage = Stage::with(&["a"]);
    let before = stage.seen.clone();
    stage.remove("a");
    stage.watch(1_000, 10);
    stage.seen = before;
    assert_eq!(stage.watch(9_000, 10), []);
    assert_eq!(stage.detector.next(), None);
}

#[test]
fn two_replacements_in_a_second_end_in_the_last() {
    for (second, changes) in [(100, 1), (190, 1), (300, 2), (900, 2)] {
        let mut stage = Stage::with(&["a"]);
        stage.write("a");
        let mut settled = stage.watch(second, 10);
        stage.write("a");
        settled.extend(stage.watch(5_000, 10));
        assert_eq!(settled.len(), changes, "{second}: {settled:?}");
        assert_eq!(stage.known, stage.seen);
    }
}

#[test]
fn a_file_and_what_lies_beside_it_settle_together() {
    let mut stage = Stage::with(&[]);
    stage.write("a");
    stage.watch(150, 10);
    stage.write("a.toml");
    stage.watch(300, 10);
    stage.write("a.minisig");
    assert_eq!(stage.watch(5_000, 10), one(500, "a", Change::Appeared));
}

#[test]
fn each_part_is_a_change_of_its_own_kind() {
    for (name, change) in [
        ("a", Change::Replaced),
        ("a.toml", Change::ConfigChanged),
        ("a.minisig", Change::SignatureChanged),
    ] {
        let mut stage = Stage::with(&["a", "b"]);
        stage.write(name);
        assert_eq!(stage.watch(1_000, 10), one(200, "a", change), "{name}");
        stage.write(name);
        assert_eq!(stage.watch(3_000, 10), one(1_200, "a", change), "{name}");
    }
    for name in ["engine.toml", "plugins.lock"] {
        let mut stage = Stage::with(&[name]);
        stage.write(name);
        assert_eq!(stage.watch(1_000, 10), one(200, name, Change::Replaced));
    }
}

#[test]
fn a_configuration_that_is_gone_counts_after_the_grace_time_like_any_removal() {
    let mut stage = Stage::with(&["a", "a.toml", "a.minisig"]);
    stage.remove("a.toml");
    assert_eq!(
        stage.watch(4_000, 10),
        one(2_000, "a", Change::ConfigChanged)
    );
    stage.remove("a.minisig");
    assert_eq!(
        stage.watch(9_000, 10),
        one(6_000, "a", Change::SignatureChanged)
    );
}

#[test]
fn what_an_editor_does_between_two_versions_of_a_configuration_is_one_change() {
    let mut stage = Stage::with(&["a", "a.toml"]);
    // The old one becomes a backup, and the new one comes a little later.
    stage.remove("a.toml");
    stage.watch(30, 10);
    stage.write("a.toml");
    assert_eq!(stage.watch(5_000, 10), one(230, "a", Change::ConfigChanged));
}

#[test]
fn what_was_not_seen_while_the_directory_was_gone_is_waited_for_anew() {
    let mut stage = Stage::with(&["a", "b"]);
    stage.remove("a");
    assert_eq!(stage.watch(1_900, 10), []);
    stage.detector.lose_sight();
    assert_eq!(stage.detector.next(), None);
    assert_eq!(stage.at(60_000).look(), []);
    assert_eq!(stage.watch(90_000, 10), one(62_000, "a", Change::Removed));
}

#[test]
fn the_next_look_is_needed_when_the_first_change_counts() {
    let mut stage = Stage::with(&["a", "b"]);
    stage.look();
    assert_eq!(stage.detector.next(), None);
    stage.remove("a");
    stage.look();
    assert_eq!(
        stage.detector.next(),
        Some(Moment::from_nanos(2_000_000_000))
    );
    stage.at(100).write("b");
    stage.look();
    assert_eq!(stage.detector.next(), Some(Moment::from_nanos(300_000_000)));
    // Looking no more often than that is enough.
    assert_eq!(stage.at(300).look(), [("b".to_owned(), Change::Replaced)]);
    assert_eq!(stage.at(2_000).look(), [("a".to_owned(), Change::Removed)]);
    assert_eq!(stage.detector.next(), None);
}

#[test]
fn without_settle_and_grace_a_change_counts_at_once() {
    let mut stage = Stage::with(&["a"]);
    stage.detector = Detector::new(Duration::ZERO, Duration::ZERO);
    stage.remove("a");
    stage.write("b");
    assert_eq!(stage.look().len(), 2);
}

/// Whatever is done to files: nothing counts that moved within the settle time or went within the grace time, nothing counts twice, and
/// when all is quiet everything is known as it is.
#[test]
fn nothing_counts_too_early_or_twice_and_everything_does_in_the_end() {
    const NAMES: [&str; 7] = [
        "a",
        "a.toml",
        "a.minisig",
        "b",
        "b.toml",
        "engine.toml",
        "plugins.lock",
    ];
    for seed in 1..200 {
        let mut numbers = Sequence(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut stage = Stage::with(&["a", "b", "b.toml", "engine.toml"]);
        // Since when each subject is seen as it is.
        let mut moved: BTreeMap<Subject, (FileGroup, u64)> = BTreeMap::new();
        for _ in 0..300 {
            let name = NAMES[numbers.below(NAMES.len())];
            match numbers.below(6) {
                0 => stage.remove(name),
                1 if stage.part(name).is_some() => stage.grow(name, 20),
                1 | 2 => stage.write(name),
                _ => {}
            }
            // A configuration without a plugin file is nothing that is seen.
            stage.seen.groups.retain(|_, group| group.file.is_some());
            let before = stage.known.clone();
            let now = stage.now;
            for subject in before.groups.keys().chain(stage.seen.groups.keys()) {
                let group = stage.seen.group(subject);
                let (last, since) = moved.entry(subject.clone()).or_insert((group, now));
                if *last != group {
                    (*last, *since) = (group, now);
                }
            }
            let settled = stage.look();
            for (name, change) in &settled {
                let subject = match name.as_str() {
                    "engine.toml" => Subject::EngineConfig,
                    "plugins.lock" => Subject::Lock,
                    name => Subject::Plugin(name.into()),
                };
                let (group, since) = moved[&subject];
                let waited = u128::from(now - since);
                let needed = if lacks(&group, &before.group(&subject)) {
                    GRACE
                } else {
                    SETTLE
                };
                assert!(
                    waited >= needed.as_millis(),
                    "seed {seed}: {name} {change:?} after {waited} ms"
                );
            }
            assert!(stage.look().is_empty(), "seed {seed}: counted twice");
            let next = now + 1 + numbers.below(400) as u64;
            stage.at(next);
        }
        stage.watch(stage.now + 5_000, 100);
        assert_eq!(stage.known, stage.seen, "seed {seed}");
    }
}
