//! One walk over a directory tree: what it finds, and how it is interrupted and goes on. Nothing here knows a deadline or
//! how a result is shown.
//!
//! The walk goes down before it goes on, with one open directory per level, so that its memory grows with the depth of the
//! tree and not with its size. Links are never followed and the depth has a limit, so that it also ends where a
//! file system leads back into itself.

use std::fs::{self, DirEntry, ReadDir};
use std::io;
use std::path::{Path, PathBuf};

use plugin_api::prelude::tracing;

/// Directories that lie deeper are counted and not entered. Each level costs a descriptor for as long as the walk lasts.
const DEPTH_MAX: usize = 128;

/// What was found below some directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// The lengths of all regular files, in bytes. A file with several names counts once for each.
    pub(crate) bytes: u64,
    /// Regular files.
    pub(crate) files: u64,
    /// Directories, without the one that the tally is of.
    pub(crate) directories: u64,
    /// Links, sockets, devices and the like, which have no size here.
    pub(crate) others: u64,
    /// Files whose length could not be asked for, and directories that could not be read to their end or lie too deep.
    pub(crate) unreadable: u64,
}

impl Tally {
    /// How many entries it counts.
    pub(crate) fn entries(&self) -> u64 {
        self.files + self.directories + self.others
    }

    /// A file system may claim any length for a file; the sum stays at what fits.
    fn add(&mut self, other: &Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.files += other.files;
        self.directories += other.directories;
        self.others += other.others;
        self.unreadable += other.unreadable;
    }
}

/// A directory right below the root, with all that lies in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Child {
    /// Its name, with signs in place of what is no Unicode.
    pub(crate) name: String,
    /// What it holds, in bytes.
    pub(crate) bytes: u64,
}

/// What a complete walk found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Everything together.
    pub(crate) total: Tally,
    /// The largest directories right below the root, largest first.
    pub(crate) largest: Vec<Child>,
    /// How many directories right below the root are not among the largest, and their bytes.
    pub(crate) smaller: (u64, u64),
    /// The bytes of the files right below the root.
    pub(crate) direct_bytes: u64,
    /// The first entry that could not be read, and why.
    pub(crate) first_unreadable: Option<String>,
}

/// A walk that may be under way.
pub(crate) struct Walk {
    /// The open directories, from the root down. Empty when the walk is complete.
    open: Vec<(PathBuf, ReadDir)>,
    largest_max: usize,
    /// The directory right below the root that the walk is in, with what it found there so far.
    child: Option<(String, Tally)>,
    found: Found,
}

impl Walk {
    /// Opens the root, which is the only link that is followed if it is one. Keeps the `largest_max` largest directories.
    pub(crate) fn start(root: &Path, largest_max: usize) -> io::Result<Self> {
        Ok(Self {
            open: vec![(root.to_owned(), fs::read_dir(root)?)],
            largest_max,
            child: None,
            found: Found::default(),
        })
    }

    /// Goes on for as long as `may_go_on` says so, which is asked before each entry. Says whether the walk is complete.
    pub(crate) fn go_on(&mut self, mut may_go_on: impl FnMut() -> bool) -> bool {
        while !self.open.is_empty() {
            if !may_go_on() {
                return false;
            }
            self.step();
        }
        true
    }

    /// How many entries were found so far.
    pub(crate) fn entries(&self) -> u64 {
        let in_child = self.child.as_ref().map_or(0, |(_, tally)| tally.entries());
        self.found.total.entries() + in_child
    }

    /// What was found, once the walk is complete.
    pub(crate) fn into_found(self) -> Found {
        self.found
    }

    /// One entry, or the end of a directory.
    fn step(&mut self) {
        let Some((path, directory)) = self.open.last_mut() else {
            return;
        };
        match directory.next() {
            Some(Ok(entry)) => self.take(&entry),
            // The rest of that directory is out of reach, and asking for it again might never end.
            Some(Err(error)) => {
                let path = path.clone();
                self.unreadable(&path, &error);
                self.leave();
            }
            None => self.leave(),
        }
    }

    fn take(&mut self, entry: &DirEntry) {
        match entry.file_type() {
            Ok(file_type) if file_type.is_dir() => self.enter(entry),
            Ok(file_type) if file_type.is_file() => match entry.metadata() {
                Ok(metadata) => self.file(metadata.len()),
                Err(error) => self.unreadable(&entry.path(), &error),
            },
            Ok(_) => self.tally().others += 1,
            Err(error) => self.unreadable(&entry.path(), &error),
        }
    }

    fn file(&mut self, bytes: u64) {
        if self.child.is_none() {
            self.found.direct_bytes = self.found.direct_bytes.saturating_add(bytes);
        }
        let tally = self.tally();
        tally.files += 1;
        tally.bytes = tally.bytes.saturating_add(bytes);
    }

    fn enter(&mut self, entry: &DirEntry) {
        let path = entry.path();
        if self.open.len() == 1 {
            let name = entry.file_name().to_string_lossy().into_owned();
            self.child = Some((name, Tally::default()));
            self.found.total.directories += 1;
        } else {
            self.tally().directories += 1;
        }
        let opened = if self.open.len() < DEPTH_MAX {
            tracing::trace!(path = %path.display(), "reading");
            fs::read_dir(&path)
        } else {
            let text = format!("more than {DEPTH_MAX} levels deep");
            Err(io::Error::other(text))
        };
        match opened {
            Ok(directory) => self.open.push((path, directory)),
            Err(error) => {
                self.unreadable(&path, &error);
                self.end_child();
            }
        }
    }

    fn leave(&mut self) {
        self.open.pop();
        self.end_child();
    }

    /// Enters the directory below the root, if the walk is in none of it any more, among the largest.
    fn end_child(&mut self) {
        if self.open.len() > 1 {
            return;
        }
        let Some((name, tally)) = self.child.take() else {
            return;
        };
        self.found.total.add(&tally);
        let largest = &mut self.found.largest;
        let bytes = tally.bytes;
        let place = largest.partition_point(|other| other.bytes >= bytes);
        largest.insert(place, Child { name, bytes });
        if largest.len() > self.largest_max
            && let Some(least) = largest.pop()
        {
            let (count, sum) = self.found.smaller;
            self.found.smaller = (count + 1, sum.saturating_add(least.bytes));
        }
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        // Nothing is wrong with what was removed meanwhile.
        if error.kind() == io::ErrorKind::NotFound {
            return;
        }
        self.tally().unreadable += 1;
        self.found
            .first_unreadable
            .get_or_insert_with(|| format!("{}: {error}", path.display()));
    }

    /// What an entry at this place of the walk is counted in.
    fn tally(&mut self) -> &mut Tally {
        match &mut self.child {
            Some((_, tally)) => tally,
            None => &mut self.found.total,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    /// Three directories, four files, a link to the root and one to nowhere.
    fn tree() -> TempDir {
        let root = TempDir::new().unwrap();
        let file = |path: &str, length: usize| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![b'x'; length]).unwrap();
        };
        file("top", 5);
        file("small/a", 10);
        file("large/b", 1_000);
        file("large/deep/c", 2_000);
        symlink(root.path(), root.path().join("large/deep/back")).unwrap();
        symlink("nowhere", root.path().join("dangling")).unwrap();
        root
    }

    fn complete(root: &Path, largest_max: usize) -> Found {
        let mut walk = Walk::start(root, largest_max).unwrap();
        assert!(walk.go_on(|| true));
        walk.into_found()
    }

    fn child(name: &str, bytes: u64) -> Child {
        let name = name.to_owned();
        Child { name, bytes }
    }

    #[test]
    fn everything_is_counted_once_and_links_are_not_followed() {
        let found = complete(tree().path(), 10);
        let expected = Found {
            total: Tally {
                bytes: 3_015,
                files: 4,
                directories: 3,
                others: 2,
                unreadable: 0,
            },
            largest: vec![child("large", 3_000), child("small", 10)],
            smaller: (0, 0),
            direct_bytes: 5,
            first_unreadable: None,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn only_the_largest_are_kept_and_the_others_are_summed_up() {
        let root = tree();
        for (name, length) in [("m", 500), ("n", 20), ("o", 4_000)] {
            fs::create_dir(root.path().join(name)).unwrap();
            fs::write(root.path().join(name).join("f"), vec![0; length]).unwrap();
        }
        let found = complete(root.path(), 2);
        assert_eq!(found.largest, [child("o", 4_000), child("large", 3_000)]);
        assert_eq!(found.smaller, (3, 530));
        assert_eq!(complete(root.path(), 0).smaller, (5, 7_530));
    }

    #[test]
    fn a_walk_in_single_steps_finds_what_a_walk_in_one_go_finds() {
        let root = tree();
        let mut walk = Walk::start(root.path(), 10).unwrap();
        let mut entries = Vec::new();
        let mut steps = 0;
        loop {
            let mut left = 1;
            let complete = walk.go_on(|| {
                left -= 1;
                left == 0
            });
            entries.push(walk.entries());
            steps += 1;
            if complete {
                break;
            }
        }
        // Nine entries and the ends of four directories.
        assert_eq!((steps, entries.last()), (13, Some(&9)), "{entries:?}");
        assert!(entries.is_sorted());
        assert_eq!(walk.into_found(), complete(root.path(), 10));
    }

    #[test]
    fn a_walk_that_may_not_go_on_does_not() {
        let root = tree();
        let mut walk = Walk::start(root.path(), 10).unwrap();
        assert!(!walk.go_on(|| false));
        assert_eq!(walk.entries(), 0);
    }

    #[test]
    fn what_lies_too_deep_is_counted_and_named_but_not_entered() {
        let root = TempDir::new().unwrap();
        let mut path = root.path().to_owned();
        for _ in 0..DEPTH_MAX + 5 {
            path.push("d");
            fs::create_dir(&path).unwrap();
        }
        let found = complete(root.path(), 10);
        assert_eq!(found.total.directories, DEPTH_MAX as u64);
        assert_eq!(found.total.unreadable, 1);
        let text = found.first_unreadable.unwrap();
        assert!(text.ends_with("more than 128 levels deep"), "{text}");
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_counted_and_the_first_is_named() {
        // A path longer than the system takes, made of two that it does take: that stops the superuser, too.
        let root = tree();
        let name = "n".repeat(200);
        let long = |top: &str| {
            let mut path = root.path().join(top);
            (0..15).for_each(|_| path.push(&name));
            fs::create_dir_all(&path).unwrap();
            path
        };
        long("lower");
        let upper = long("upper");
        fs::rename(root.path().join("lower"), upper.join("lower")).unwrap();
        let found = complete(root.path(), 10);
        assert_eq!((found.total.unreadable, found.total.files), (1, 4));
        let text = found.first_unreadable.unwrap();
        assert!(text.starts_with(upper.to_str().unwrap()), "{text}");
        assert!(text.contains("File name too long"), "{text}");
    }

    #[test]
    fn what_was_removed_during_the_walk_is_no_fault() {
        let root = tree();
        let mut walk = Walk::start(root.path(), 10).unwrap();
        let mut steps = 0;
        assert!(!walk.go_on(|| {
            steps += 1;
            steps <= 4
        }));
        root.close().unwrap();
        assert!(walk.go_on(|| true));
        assert_eq!(walk.into_found().total.unreadable, 0);
    }
}
