//! Shows in one command what the engine does with plugins that misbehave: `cargo demo`, or `cargo demo --for 20s`.
//!
//! Builds six plugin files and the program, drops the files into a directory of their own and runs the program over it.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, exit};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

const PLUGINS: [&str; 6] = [
    "clock",
    "system",
    "hangs",
    "hangs-awhile",
    "panics",
    "fails",
];

/// Beside `hangs-awhile`: it returns 300 ms after its deadline, so that it can be called again at its next tick.
const HANGS_AWHILE: &str = "[settings]\nms = 800\n";

fn main() {
    match demo() {
        Ok(status) => exit(
            status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        ),
        Err(error) => {
            eprintln!("demo: {error}");
            exit(1);
        }
    }
}

fn demo() -> io::Result<ExitStatus> {
    let profile_dir = profile_dir()?;
    eprintln!("Building the plugins and the engine …");
    let status = build(&profile_dir)?;
    if !status.success() {
        return Ok(status);
    }
    let plugins = tempfile::Builder::new()
        .prefix("plugin-engine-demo-")
        .permissions(Permissions::from_mode(0o755))
        .tempdir()?;
    for name in PLUGINS {
        drop_in(&profile_dir, name, plugins.path())?;
    }
    let config = format!("{}hangs_awhile.toml", std::env::consts::DLL_PREFIX);
    std::fs::write(plugins.path().join(config), HANGS_AWHILE)?;
    // On standard error, so that `--json` stays a stream of objects.
    eprintln!(
        "Six plugins, each due once a second. `clock` and `system` work; `panics` and `fails` do so.\n\
         `hangs-awhile` takes 800 ms and may take 500: it times out, stays Enabled with the error, and is tried again one\n\
         second after each failure. `hangs` never returns: its ticks are skipped and counted. Their neighbours keep time.\n\
         Ctrl-C stops.\n"
    );
    let signals = Signals::new([SIGINT, SIGTERM])?;
    let mut child = Command::new(profile_dir.join("plugin-engine"))
        .arg("run")
        .arg("--plugins")
        .arg(plugins.path())
        .args(std::env::args_os().skip(1))
        .spawn()?;
    let status = wait(&mut child, signals);
    // By hand, because `exit` drops nothing.
    plugins.close()?;
    status
}

/// Waits for the engine. Ctrl-C is left to it, because the terminal sends that to both; what is sent to this process alone is
/// handed on.
fn wait(child: &mut Child, mut signals: Signals) -> io::Result<ExitStatus> {
    let handle = signals.handle();
    let engine = Pid::from_child(child);
    let forwarder = thread::spawn(move || {
        for signal in signals.forever() {
            if signal == SIGTERM {
                // An engine that has ended already needs no signal.
                let _ = kill_process(engine, Signal::TERM);
            }
        }
    });
    let status = child.wait();
    handle.close();
    let _ = forwarder.join();
    status
}

/// Where the plugins and the program are built: this example lies in `<target>/<profile>/examples`.
fn profile_dir() -> io::Result<PathBuf> {
    let example = std::env::current_exe()?;
    let profile_dir = example.ancestors().nth(2);
    profile_dir
        .map(Path::to_owned)
        .ok_or_else(|| io::Error::other("this example does not lie in a target directory"))
}

fn build(profile_dir: &Path) -> io::Result<ExitStatus> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let profile = match profile_dir.file_name() {
        Some(name) if name == "debug" => OsString::from("dev"),
        Some(name) => name.to_owned(),
        None => OsString::from("dev"),
    };
    let mut command = Command::new(cargo);
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--package", "plugin-engine-cli"])
        .args(PLUGINS.iter().flat_map(|name| ["--package", name]))
        .arg("--profile")
        .arg(profile);
    if let Some(target) = profile_dir.parent() {
        command.arg("--target-dir").arg(target);
    }
    command.status()
}

/// Drops a plugin file into the directory as everybody should: under a name that is not looked at, and renamed when it is
/// complete, so that no engine ever sees half of it, and so that only its owner may write to it.
fn drop_in(profile_dir: &Path, name: &str, plugins: &Path) -> io::Result<()> {
    let file = format!(
        "{}{}{}",
        std::env::consts::DLL_PREFIX,
        name.replace('-', "_"),
        std::env::consts::DLL_SUFFIX
    );
    let incomplete = plugins.join(format!(".{file}.incomplete"));
    std::fs::copy(profile_dir.join(&file), &incomplete)?;
    std::fs::set_permissions(&incomplete, Permissions::from_mode(0o644))?;
    std::fs::rename(incomplete, plugins.join(file))
}
