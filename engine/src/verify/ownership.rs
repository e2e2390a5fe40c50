//! Who could change a file: owners and permissions, of the file and of the directories above it.

use std::path::Path;

use rustix::fs::Stat;

use super::error::VerifyError;
use super::policy::VerifyPolicy;

const STICKY: u32 = 0o1000;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

/// What was found where nothing has to be refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ownership {
    Good {
        owner: u32,
        mode: u32,
    },
    /// A group may write; whether that is meant only its people know.
    GroupWrites {
        what: String,
    },
}

/// Checks that nobody but root, the engine's user and the trusted owners could have written the file.
///
/// `real_path` is where it lies, `root` the directory it was found in, which differs where links lead to it.
pub(super) fn check(
    stat: &Stat,
    real_path: &Path,
    root: &Path,
    policy: &VerifyPolicy,
) -> Result<Ownership, VerifyError> {
    let engine = rustix::process::geteuid().as_raw();
    let trusted = |owner| owner == 0 || owner == engine || policy.trusted_owners.contains(&owner);
    let (owner, mode) = (stat.st_uid, permissions(stat));
    if !trusted(owner) {
        return Err(VerifyError::Owner {
            directory: None,
            owner,
            engine,
        });
    }
    if mode & OTHERS_WRITE != 0 {
        return Err(VerifyError::Writable { mode });
    }
    let mut group_writes = (mode & GROUP_WRITES != 0).then(|| format!("it (mode {mode:04o})"));
    let of_link = root.canonicalize().map_err(VerifyError::Read)?;
    let lies_in = real_path.parent().unwrap_or(&of_link);
    for start in [lies_in, &of_link] {
        for (distance, directory) in start.ancestors().enumerate() {
            let stat =
                rustix::fs::stat(directory).map_err(|errno| VerifyError::Read(errno.into()))?;
            let mode = permissions(&stat);
            // Further up an owner may well be somebody else, as in a container whose users have other numbers outside.
            if distance == 0 && !trusted(stat.st_uid) {
                return Err(VerifyError::Owner {
                    directory: Some(directory.to_owned()),
                    owner: stat.st_uid,
                    engine,
                });
            }
            if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
                return Err(VerifyError::DirectoryWritable {
                    directory: directory.to_owned(),
                    mode,
                });
            }
            if distance == 0 && mode & GROUP_WRITES != 0 && mode & STICKY == 0 {
                group_writes
                    .get_or_insert_with(|| format!("{} (mode {mode:04o})", directory.display()));
            }
        }
        if lies_in == of_link {
            break;
        }
    }
    Ok(match group_writes {
        Some(what) => Ownership::GroupWrites { what },
        None => Ownership::Good { owner, mode },
    })
}

/// Whether somebody who is not trusted could write to a file that says what is trusted; if so, in words.
pub(super) fn check_beside(stat: &Stat, policy: &VerifyPolicy) -> Result<(), String> {
    let engine = rustix::process::geteuid().as_raw();
    let owner = stat.st_uid;
    if owner != 0 && owner != engine && !policy.trusted_owners.contains(&owner) {
        return Err(format!(
            "it belongs to user {owner}, who is neither root nor the user of the engine ({engine})"
        ));
    }
    let mode = permissions(stat);
    if mode & OTHERS_WRITE != 0 {
        return Err(format!("everybody may write to it (mode {mode:04o})"));
    }
    Ok(())
}

fn permissions(stat: &Stat) -> u32 {
    stat.st_mode & 0o7777
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    /// A directory of its own with a file in it.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let place = Self(
                std::env::temp_dir().join(format!("plugin-engine-{name}-{}", std::process::id())),
            );
            fs::create_dir_all(place.0.join("in")).unwrap();
            fs::write(place.file(), "x").unwrap();
            for (path, mode) in [
                (&place.0, 0o755),
                (&place.0.join("in"), 0o755),
                (&place.file(), 0o644),
            ] {
                set(path, mode);
            }
            place
        }

        fn file(&self) -> PathBuf {
            self.0.join("in/a.so")
        }

        fn check(&self, policy: &VerifyPolicy) -> Result<Ownership, VerifyError> {
            let stat = rustix::fs::stat(self.file()).unwrap();
            let real_path = self.file().canonicalize().unwrap();
            check(&stat, &real_path, &self.0.join("in"), policy)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_only_its_owner_can_change_is_good() {
        let place = Place::new("good");
        let policy = VerifyPolicy::default();
        let owner = rustix::process::geteuid().as_raw();
        assert_eq!(
            place.check(&policy).unwrap(),
            Ownership::Good { owner, mode: 0o644 }
        );
    }

    #[test]
    fn what_everybody_can_write_to_is_refused_at_any_height() {
        let place = Place::new("writable");
        let policy = VerifyPolicy::default();
        set(&place.file(), 0o646);
        let error = place.check(&policy).unwrap_err();
        assert!(
            matches!(error, VerifyError::Writable { mode: 0o646 }),
            "{error}"
        );
        set(&place.file(), 0o644);
        for directory in [place.0.join("in"), place.0.clone()] {
            set(&directory, 0o757);
            let error = place.check(&policy).unwrap_err().to_string();
            assert!(error.contains("mode 0757"), "{error}");
            set(&directory, 0o1777);
            assert!(matches!(place.check(&policy), Ok(Ownership::Good { .. })));
            set(&directory, 0o755);
        }
    }

    #[test]
    fn a_group_that_may_write_is_a_warning() {
        let place = Place::new("group");
        let policy = VerifyPolicy::default();
        set(&place.file(), 0o664);
        let found = place.check(&policy).unwrap();
        assert_eq!(
            found,
            Ownership::GroupWrites {
                what: "it (mode 0664)".to_owned()
            }
        );
        set(&place.file(), 0o644);
        set(&place.0.join("in"), 0o775);
        assert!(matches!(
            place.check(&policy),
            Ok(Ownership::GroupWrites { .. })
        ));
    }

    #[test]
    fn a_file_of_somebody_else_is_refused_unless_that_one_is_trusted() {
        if !rustix::process::geteuid().is_root() {
            // Only root can give a file away.
            return;
        }
        let place = Place::new("owner");
        for (path, says) in [
            (place.file(), "belongs to user 12345"),
            (place.0.join("in"), "lies in "),
        ] {
            std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
            let error = place.check(&VerifyPolicy::default()).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            let policy = VerifyPolicy {
                trusted_owners: vec![12_345],
                ..VerifyPolicy::default()
            };
            assert!(place.check(&policy).is_ok());
            std::os::unix::fs::chown(&path, Some(0), None).unwrap();
        }
    }
}
