//! The places of a run: plugin files, configuration, state directory, evidence. Never who changes them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::journal::Journal;
use crate::random::Random;
use crate::roster::{self, SENTINELS};

/// How large the file system of the state directory is, in MiB, where one of its own can be had.
const STATE_MIB: u64 = 64;

pub(crate) struct Site {
    /// Everything lies below it.
    pub(crate) root: PathBuf,
    /// Where the program and the plugin files were built.
    built: PathBuf,
    /// Whether the state directory lies on a file system of its own.
    pub(crate) has_own_disk: bool,
}

impl Site {
    /// Lays out everything below `root`, which has to be there and empty.
    pub(crate) fn new(root: &Path, built: &Path, random: &mut Random) -> io::Result<Self> {
        let mut site = Self {
            root: root.to_owned(),
            built: built.to_owned(),
            has_own_disk: false,
        };
        for dir in [
            site.plugins(),
            site.disk(),
            site.runs(),
            root.join("elsewhere"),
        ] {
            fs::create_dir_all(dir)?;
        }
        let options = format!("size={STATE_MIB}m,mode=0700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "plugin-engine-chaos"])
            .arg(site.disk())
            .output();
        site.has_own_disk = mounted.is_ok_and(|output| output.status.success());
        for one in &SENTINELS {
            let file = site.plugins().join(roster::sentinel_file(one.of));
            if !file.exists() {
                let is_left_out = Self::left_out(built).contains(&one.of);
                // What it does then is the same.
                let of = if is_left_out { "noop" } else { one.of };
                fs::copy(site.file_of(of), file)?;
            }
        }
        fs::write(site.config(), roster::engine_config(random))?;
        Ok(site)
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.built.join("plugin-engine")
    }

    /// The plugin file of a crate.
    pub(crate) fn file_of(&self, name: &str) -> PathBuf {
        self.built.join(format!("lib{}.so", name.replace('-', "_")))
    }

    fn before(built: &Path) -> Self {
        Self {
            root: PathBuf::new(),
            built: built.to_owned(),
            has_own_disk: false,
        }
    }

    /// Which of the plugins that no Rust compiler makes are not there.
    pub(crate) fn left_out(built: &Path) -> Vec<&'static str> {
        let site = Self::before(built);
        let names = roster::FOREIGN.iter().copied();
        names.filter(|name| !site.file_of(name).is_file()).collect()
    }

    /// What is missing of what has to be built before.
    pub(crate) fn missing(built: &Path) -> Vec<String> {
        let site = Self::before(built);
        let crashers = roster::CRASHERS.iter().map(|one| one.of);
        let crates = roster::NOISE.iter().chain(&roster::VERSIONS).copied();
        let names = crates.chain(crashers);
        let files = names
            .filter(|name| !roster::FOREIGN.contains(name))
            .map(|name| site.file_of(name));
        files
            .chain([site.program()])
            .filter(|file| !file.is_file())
            .map(|file| file.display().to_string())
            .collect()
    }

    pub(crate) fn plugins(&self) -> PathBuf {
        self.root.join("plugins")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.root.join("engine.toml")
    }

    /// A place outside the directory of plugins for a plugin file that a link leads to.
    pub(crate) fn elsewhere(&self, name: &str) -> PathBuf {
        self.root.join("elsewhere").join(format!("{name}.so"))
    }

    fn disk(&self) -> PathBuf {
        self.root.join("disk")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.disk().join("state")
    }

    pub(crate) fn history(&self) -> PathBuf {
        self.state().join("history.db")
    }

    /// What takes the room of the disk away.
    pub(crate) fn ballast(&self) -> PathBuf {
        self.disk().join("ballast")
    }

    /// What each process has said.
    pub(crate) fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    pub(crate) fn said(&self, run: u32) -> PathBuf {
        self.runs().join(format!("{run:04}.stderr"))
    }

    /// Gives the file system of the state directory back. What lay there is kept beside it, where `keep` is.
    pub(crate) fn close(&self, keep: bool, journal: &Journal) {
        if !self.has_own_disk {
            return;
        }
        if keep {
            let copied = Command::new("cp")
                .arg("-a")
                .arg(self.state())
                .arg(self.root.join("state-kept"))
                .status();
            if !copied.is_ok_and(|status| status.success()) {
                journal.did("the state directory could not be kept");
            }
        }
        let unmounted = Command::new("umount").arg(self.disk()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.disk().display());
        }
    }
}
