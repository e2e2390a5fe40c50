//! Looks at a file's bytes before any of its code runs. What comes out is the only thing that can be loaded.
//!
//! Every check is made, also after one has failed, as far as it can be: an inspection shows them all, and a refused file whose
//! manifest can be read shows the reason under its id.

mod contract;
mod error;
mod inspection;
mod lock;
mod locking;
mod open;
mod ownership;
mod policy;
mod rules;
mod signature;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use plugin_engine_core::PluginId;

use crate::digest::{self, FileDigest, Fingerprint};
use crate::discover::Candidate;
use crate::image::{self, Absence, Absent, Image, ImageError};
use crate::manifest::Manifest;
use crate::seal::SealedFile;
use crate::steps::{Step, Steps};

pub use error::VerifyError;
pub use inspection::{Check, Inspection, Verdict};
pub use lock::LockedFile;
pub use locking::{DirectoryLock, lock_directory};
pub use policy::VerifyPolicy;
pub(crate) use policy::check as check_policy;
pub(crate) use rules::Rules;
#[cfg(any(test, fuzzing))]
pub(crate) use {lock::parse as parse_lock, signature::judge as judge_signature};

use open::Found;
use ownership::Ownership;

/// The longest list of names in a verdict, in bytes.
const LIST_LEN_MAX: usize = 400;

/// The bytes of a plugin file that passed all checks, with what they say of themselves. They were sealed before they were looked
/// at, so they are the ones that will be loaded.
pub(crate) struct VerifiedArtifact {
    pub(crate) path: PathBuf,
    pub(crate) sealed: SealedFile,
    pub(crate) manifest: Manifest,
    pub(crate) fingerprint: Fingerprint,
    /// Known where a lock asked for it.
    pub(crate) sha256: Option<FileDigest>,
    /// Whether it says itself that it must never be unmapped.
    pub(crate) stays_mapped: bool,
    pub(crate) steps: Steps,
}

/// Why a file was refused, and whose it is as far as that could be read.
pub(crate) struct Refused {
    pub(crate) id: Option<PluginId>,
    pub(crate) error: VerifyError,
}

/// Copies a file once, and checks the copy.
pub(crate) fn verify(candidate: &Candidate, rules: &Rules) -> Result<VerifiedArtifact, Refused> {
    let Examination {
        sealed,
        fingerprint,
        sha256,
        manifest,
        checks,
        stays_mapped,
        steps,
        ..
    } = Examination::new(candidate, rules);
    // The first check that refuses decides, so that what matters most is what people read.
    let mut warnings = Vec::new();
    for (check, verdict) in checks {
        match verdict {
            Verdict::Refused(error) => {
                let id = manifest.map(|manifest| manifest.id);
                return Err(Refused { id, error });
            }
            Verdict::Warned(text) => warnings.push((check, text)),
            Verdict::Passed(_) | Verdict::NotReached => {}
        }
    }
    // Of a file that is refused the reason is enough.
    for (check, text) in warnings {
        let file = candidate.path.display();
        tracing::warn!(target: "plugin_engine", %file, %check, "{text}");
    }
    match (sealed, fingerprint, manifest) {
        (Some(mut sealed), Some(fingerprint), Some(manifest)) => {
            // All was looked at; the system's loader reads them for itself.
            sealed.let_go_of_bytes();
            Ok(VerifiedArtifact {
                path: candidate.path.clone(),
                sealed,
                manifest,
                fingerprint,
                sha256,
                stays_mapped,
                steps,
            })
        }
        // An examination that refuses nothing has found all of them.
        _ => Err(Refused {
            id: None,
            error: VerifyError::NoManifest,
        }),
    }
}

/// Looks at a file as a load would, and reports every check. Runs no code of the file.
///
/// ```
/// use plugin_engine::{VerifyPolicy, inspect};
///
/// let inspection = inspect("/nowhere/libclock.so", &VerifyPolicy::default());
/// println!("{}", inspection.refusal().expect("nothing is there"));
/// ```
#[must_use]
pub fn inspect(path: impl AsRef<Path>, policy: &VerifyPolicy) -> Inspection {
    let candidate = Candidate::of_path(path.as_ref());
    inspect_with(
        &candidate,
        &Rules::new(&Arc::new(policy.clone()), &candidate.root),
    )
}

fn inspect_with(candidate: &Candidate, rules: &Rules) -> Inspection {
    inspection(&candidate.path, Examination::new(candidate, rules))
}

/// What an inspection says of bytes that lie in no file: what is asked of files and of what lies beside them is not reached, or absent.
#[cfg(any(test, fuzzing))]
pub(crate) fn inspect_bytes(bytes: &[u8], policy: VerifyPolicy) -> Inspection {
    let path = Path::new("bytes");
    let mut examination = Examination::begin();
    examination.look_at_bytes(bytes, path, &Rules::without_lock(&Arc::new(policy)));
    inspection(path, examination.complete())
}

fn inspection(path: &Path, examination: Examination) -> Inspection {
    let sealed = examination.sealed.as_ref();
    let digest = examination
        .sha256
        .or_else(|| sealed.map(|sealed| digest::sha256(sealed.bytes())));
    Inspection {
        path: path.to_owned(),
        len: sealed.map(SealedFile::len),
        sha256: digest.as_ref().map(digest::hex),
        manifest: examination.manifest,
        needed: examination.needed,
        checks: examination.checks,
    }
}

/// What is known of a file so far, and the verdicts.
struct Examination {
    sealed: Option<SealedFile>,
    fingerprint: Option<Fingerprint>,
    sha256: Option<FileDigest>,
    manifest: Option<Manifest>,
    needed: Vec<String>,
    stays_mapped: bool,
    checks: Vec<(Check, Verdict)>,
    steps: Steps,
}

impl Examination {
    fn new(candidate: &Candidate, rules: &Rules) -> Self {
        let mut examination = Self::begin();
        examination.look(candidate, rules);
        examination.complete()
    }

    fn begin() -> Self {
        Self {
            sealed: None,
            fingerprint: None,
            sha256: None,
            manifest: None,
            needed: Vec::new(),
            stays_mapped: false,
            checks: Vec::with_capacity(Check::ALL.len()),
            steps: Steps::begin(),
        }
    }

    /// Says of every check that was not made that it was not, and puts all in their order.
    fn complete(mut self) -> Self {
        self.steps.end(Step::Checks);
        let made = |check| self.checks.iter().any(|(done, _)| *done == check);
        let rest: Vec<_> = Check::ALL
            .into_iter()
            .filter(|check| !made(*check))
            .collect();
        let rest = rest.into_iter().map(|check| (check, Verdict::NotReached));
        self.checks.extend(rest);
        self.checks.sort_by_key(|(check, _)| *check as usize);
        self
    }

    fn judge(&mut self, check: Check, result: Result<Verdict, VerifyError>) {
        let verdict = result.unwrap_or_else(Verdict::Refused);
        self.checks.push((check, verdict));
    }

    fn look(&mut self, candidate: &Candidate, rules: &Rules) {
        let found = match open::find(candidate) {
            Ok(found) => found,
            Err(error) => return self.judge(Check::File, Err(error)),
        };
        self.judge(Check::Owner, owner(&found, candidate, rules));
        let sealed = match open::seal(&found) {
            Ok(sealed) => sealed,
            Err(error) => return self.judge(Check::File, Err(error)),
        };
        let file = format!("a regular file, {} bytes", sealed.len());
        self.judge(Check::File, Ok(Verdict::Passed(file)));
        self.steps.end(Step::Copy);
        self.look_at_bytes(sealed.bytes(), &candidate.path, rules);
        self.sealed = Some(sealed);
    }

    /// `path` is whose bytes they are: a lock goes by its name, and a signature lies beside it.
    fn look_at_bytes(&mut self, bytes: &[u8], path: &Path, rules: &Rules) {
        self.fingerprint = Some(digest::fingerprint(bytes));
        self.sha256 = rules.lock.as_ref().map(|_| digest::sha256(bytes));
        self.steps.end(Step::Digest);
        match image::read(bytes) {
            Ok(image) => self.look_at_image(&image, rules),
            // A library whose notes are broken is one all the same; it is the manifest that cannot be read.
            Err(error @ ImageError::BadNote { .. }) => {
                self.judge(Check::Manifest, Err(error.into()));
            }
            Err(error) => self.judge(Check::Format, Err(error.into())),
        }
        if let Some(manifest) = &self.manifest
            && let Some(lock) = &rules.lock
            && let Some(digest) = &self.sha256
        {
            let locked = lock.check(path, digest, manifest);
            let passed = || Verdict::Passed("listed with these bytes".to_owned());
            self.judge(Check::Lock, locked.map(|()| passed()));
        } else if rules.lock.is_none() {
            self.judge(
                Check::Lock,
                Ok(Verdict::Passed("there is no lock".to_owned())),
            );
        }
        let signed = signature::check(path, bytes, rules).map(|comment| {
            Verdict::Passed(match comment {
                Some(comment) => format!("signed by a trusted key: {comment}"),
                None => "none is required".to_owned(),
            })
        });
        self.judge(Check::Signature, signed);
    }

    fn look_at_image(&mut self, image: &Image<'_>, rules: &Rules) {
        let format = format!(
            "{} for {}, {} bits",
            image.format, image.machine, image.bits
        );
        let fits = image.fits_this_machine();
        // Names of libraries of another system say nothing here.
        let here = fits.is_ok();
        let fits = fits
            .map(|()| Verdict::Passed(format))
            .map_err(VerifyError::from);
        self.judge(Check::Format, fits);
        self.judge(Check::SearchPath, search_path(image, rules));
        if here {
            self.judge(Check::Needs, needs(image, rules));
        }
        self.needed.clone_from(&image.needed);
        self.stays_mapped = image.stays_mapped;
        let manifest = image.manifest.ok_or(VerifyError::NoManifest);
        match manifest.and_then(|text| {
            Manifest::parse(text).map_err(|reason| VerifyError::BadManifest { reason })
        }) {
            Ok(manifest) => {
                let says = format!("{} {}", manifest.id, manifest.version);
                self.judge(Check::Manifest, Ok(Verdict::Passed(says)));
                self.judge(
                    Check::Contract,
                    contract::check_version(&manifest).map(Verdict::Passed),
                );
                self.judge(
                    Check::Panic,
                    contract::check_panic(&manifest).map(Verdict::Passed),
                );
                self.manifest = Some(manifest);
            }
            Err(error) => self.judge(Check::Manifest, Err(error)),
        }
    }
}

fn owner(found: &Found, candidate: &Candidate, rules: &Rules) -> Result<Verdict, VerifyError> {
    let ownership = ownership::check(
        &found.stat,
        &found.real_path,
        &candidate.root,
        &rules.policy,
    )?;
    Ok(match ownership {
        Ownership::Good { owner, mode } => {
            Verdict::Passed(format!("belongs to user {owner}, mode {mode:04o}"))
        }
        Ownership::GroupWrites { what } => Verdict::Warned(format!("a group may write to {what}")),
    })
}

fn search_path(image: &Image<'_>, rules: &Rules) -> Result<Verdict, VerifyError> {
    let Some(first) = image.search_paths.first() else {
        return Ok(Verdict::Passed("none".to_owned()));
    };
    if rules.policy.allow_rpath {
        return Ok(Verdict::Warned(format!(
            "allowed by the configuration: {} {}",
            first.tag,
            plugin_engine_core::bounded(&first.path, 200)
        )));
    }
    Err(VerifyError::SearchPath {
        tag: first.tag,
        path: first.path.clone(),
    })
}

fn needs(image: &Image<'_>, rules: &Rules) -> Result<Verdict, VerifyError> {
    let absent = image::missing(&image.needed, &image.search_paths);
    // Named by a path, a library comes from where nobody has looked, as with a search path.
    let refused = |absence| match absence {
        Absence::Missing => true,
        Absence::Path | Absence::Variable => !rules.policy.allow_rpath,
        Absence::Unknown => false,
    };
    let (refused, warned): (Vec<_>, Vec<_>) =
        absent.into_iter().partition(|one| refused(one.absence));
    let words = |absent: &[Absent]| {
        let words: Vec<_> = absent.iter().take(8).map(ToString::to_string).collect();
        cut(words.join("; "))
    };
    if !refused.is_empty() {
        return Err(VerifyError::Needs {
            reason: words(&refused),
        });
    }
    if !warned.is_empty() {
        return Ok(Verdict::Warned(words(&warned)));
    }
    Ok(Verdict::Passed(match image.needed.len() {
        0 => "no library of the system".to_owned(),
        _ => cut(image.needed.join(", ")),
    }))
}

/// A list of names, each of which a file may make as long as it likes.
fn cut(mut list: String) -> String {
    let shown = plugin_engine_core::bounded(&list, LIST_LEN_MAX).len();
    if shown < list.len() {
        list.truncate(shown);
        list.push('…');
    }
    list
}

impl From<ImageError> for VerifyError {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Empty => Self::NoLibrary {
                reason: "it is empty".to_owned(),
            },
            ImageError::NoLibrary { looks_like } => Self::NoLibrary {
                reason: format!("it looks like {looks_like}"),
            },
            ImageError::NotALibrary { kind } => Self::NotDynamic { kind },
            ImageError::Malformed { format, reason } => Self::Malformed {
                reason: format!("{format}: {reason}"),
            },
            ImageError::CutOff { end, len } => Self::CutOff { end, len },
            ImageError::BadNote { reason } => Self::BadManifest { reason },
            ImageError::OtherFormat { found, expected } => Self::OtherMachine {
                found: format!("a library in the format {found}"),
                expected: format!("libraries in the format {expected}"),
            },
            ImageError::OtherMachine { found, expected } => Self::OtherMachine {
                found: format!("a library for {found}"),
                expected: format!("libraries for {expected}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_names_has_a_longest_length() {
        let fits = "é".repeat(LIST_LEN_MAX / 2);
        assert_eq!(cut(fits.clone()), fits);
        assert_eq!(cut(format!("{fits}é")), format!("{fits}…"));
        assert_eq!(
            cut(format!("x{fits}")).len(),
            LIST_LEN_MAX - 1 + '…'.len_utf8()
        );
    }
}
