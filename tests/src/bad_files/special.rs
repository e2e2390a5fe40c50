//! What is no file of its own, or none that everybody should trust: directories, pipes, links, permissions, sizes.

use std::fs::{File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::{Refusal, Writer};
use crate::built;

const UNREADABLE: Refusal = ("PE0101", "");
const LEADS_OUT: Refusal = ("PE0103", "");

/// A refusal that says what it is instead of a file.
const fn no_file(kind: &'static str) -> Refusal {
    ("PE0102", kind)
}

pub(super) fn write(writer: &mut Writer<'_>) {
    let path = writer.file("directory", "a directory", no_file("is a directory"));
    std::fs::create_dir(path).expect("a directory can be made");
    let path = writer.file("fifo", "a pipe that nobody writes to", no_file("is a pipe"));
    mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).expect("a pipe can be made");
    let path = writer.file("socket", "a socket", no_file(""));
    // The name stays when nobody listens any more.
    drop(UnixListener::bind(path).expect("a socket can be made"));
    links(writer);
    devices(writer);
    sizes(writer);
    permissions(writer);
}

fn links(writer: &mut Writer<'_>) {
    let mut link = |stem: &str, what, refusal, to: &Path| {
        symlink(to, writer.file(stem, what, refusal)).expect("a link can be made");
    };
    let dangling = Path::new("nowhere.so");
    link("link-dangling", "a link to nothing", UNREADABLE, dangling);
    let itself = Path::new("link-loop.so");
    link("link-loop", "a link to itself", UNREADABLE, itself);
    let elsewhere = built("counter");
    link(
        "link-out",
        "a link to a good plugin elsewhere",
        LEADS_OUT,
        &elsewhere,
    );
    let up = Path::new("..");
    link("link-up", "a link to the directory above", LEADS_OUT, up);
    let here = Path::new(".");
    link(
        "link-here",
        "a link to the plugin directory itself",
        no_file("is a directory"),
        here,
    );
    let zero = Path::new("/dev/zero");
    link(
        "link-zero",
        "a link to a device that never ends",
        LEADS_OUT,
        zero,
    );
    let own = Path::new("/proc/self/exe");
    link(
        "link-magic",
        "a link to the running program",
        LEADS_OUT,
        own,
    );
}

/// Devices in the directory itself, where this user may make them.
fn devices(writer: &mut Writer<'_>) {
    for (minor, name) in [(3, "null"), (5, "zero")] {
        let stem = format!("device-{name}");
        let path = writer.dir.join(format!("{stem}.so"));
        let made = mknodat(
            CWD,
            &path,
            FileType::CharacterDevice,
            Mode::RUSR | Mode::WUSR,
            makedev(1, minor),
        );
        if made.is_ok() {
            writer.file(&stem, "a device", no_file("is a device"));
        }
    }
}

fn sizes(writer: &mut Writer<'_>) {
    let path = writer.file(
        "sparse",
        "a good plugin and a gibibyte of nothing",
        ("PE0104", ""),
    );
    std::fs::write(&path, writer.good).expect("a file can be written");
    let file = File::options().write(true).open(path);
    let grown = file.and_then(|file| file.set_len(1 << 30));
    grown.expect("a file can be grown");
}

fn permissions(writer: &mut Writer<'_>) {
    let path = writer.file(
        "unreadable",
        "a good plugin that only root can read",
        UNREADABLE,
    );
    std::fs::copy(built("clock"), &path).expect("a file can be copied");
    set_mode(&path, 0o000);
    // Root reads it as any other file, and there is nothing else wrong with it.
    let is_root = rustix::process::geteuid().is_root();
    writer.last().is_taken = is_root;

    let path = writer.file(
        "writable-by-others",
        "a good plugin that anybody may change",
        ("PE0106", "chmod o-w"),
    );
    std::fs::copy(built("system"), &path).expect("a file can be copied");
    set_mode(&path, 0o666);
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("the mode can be set");
}
