//! `plugin-engine lock`: lists the plugin files of a directory with their digests, so that nothing else is loaded from it.

use std::path::PathBuf;

use clap::Args;
use plugin_engine::{Code, DirectoryLock, Inspection, lock_directory};
use serde::Serialize;

use crate::output;
use crate::policy::PolicyArgs;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plugin-engine lock --plugins plugins.d
  plugin-engine lock --plugins plugins.d --check

Writes DIR/plugins.lock (or the `lock` that the configuration names): each plugin file
with its id, version and SHA-256. From then on, only these very files are loaded from the
directory. Runs no code of any file.
Exit status: 0; 1 if a file would be refused (then nothing is written), or if --check finds
a difference.")]
pub(crate) struct LockArgs {
    /// The directory of the plugin files
    #[arg(long, value_name = "DIR")]
    plugins: PathBuf,

    #[command(flatten)]
    policy: PolicyArgs,

    /// Write nothing; say how the directory differs from its lock
    #[arg(long)]
    check: bool,

    /// Leave files out that would be refused, instead of giving up
    #[arg(long, conflicts_with = "check")]
    skip_refused: bool,

    /// One JSON object per listed file
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct LockedJson<'a> {
    file: &'a str,
    id: &'a str,
    version: &'a str,
    sha256: &'a str,
}

/// Locks or compares, and returns the exit status.
pub(crate) fn run(args: &LockArgs) -> i32 {
    let policy = match args.policy.read() {
        Ok(policy) => policy,
        Err(status) => return status,
    };
    let lock = match lock_directory(&args.plugins, &policy) {
        Ok(lock) => lock,
        Err(error) => {
            return output::fail_with(
                format_args!("{error}: {}", error.source),
                Code::DIRECTORY_UNREADABLE,
            );
        }
    };
    if args.check {
        return check(&lock);
    }
    let mut status = 0;
    for inspection in &lock.refused {
        status = name_refused(inspection);
    }
    if status != 0 && !args.skip_refused {
        return output::fail("nothing was written; remove these files, or pass --skip-refused");
    }
    if let Err(error) = lock.write() {
        return output::fail(format_args!(
            "cannot write {}: {error}",
            lock.path.display()
        ));
    }
    if args.json {
        return output::print_text(&lock.files.iter().map(json).collect::<String>());
    }
    let files = lock.files.len();
    let plural = if files == 1 { "" } else { "s" };
    output::print_text(&format!(
        "{}: {files} file{plural} locked\n",
        lock.path.display()
    ))
}

fn json(file: &plugin_engine::LockedFile) -> String {
    let object = LockedJson {
        file: &file.name,
        id: &file.id,
        version: &file.version,
        sha256: &file.sha256,
    };
    serde_json::to_string(&object).unwrap_or_default() + "\n"
}

fn name_refused(inspection: &Inspection) -> i32 {
    let file = inspection.path.display();
    match inspection.refusal() {
        Some(error) => output::fail_with(format_args!("{file}: {error}"), error.code()),
        None => output::fail(format_args!(
            "{file}: its name is no text, so it cannot be listed"
        )),
    }
}

fn check(lock: &DirectoryLock) -> i32 {
    let path = lock.path.display();
    match lock.differences() {
        Err(reason) => output::fail_with(format_args!("{path}: {reason}"), Code::BAD_LOCK),
        Ok(differences) if differences.is_empty() => {
            output::print_text(&format!("{path}: as the directory is\n"))
        }
        Ok(differences) => {
            for difference in &differences {
                output::fail(difference);
            }
            1
        }
    }
}
