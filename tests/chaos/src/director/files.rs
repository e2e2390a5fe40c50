//! What is done to files: the plugin directory, configurations, and the plugins that crash.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::World;
use crate::random::Random;
use crate::roster::{self, CRASHERS, Crasher, NOISE, VERSIONS};

/// The name of a file that chaos is done to, and the crate that belongs there.
fn target(world: &World, random: &mut Random) -> (PathBuf, &'static str) {
    let (name, of) = match random.within(0, 10) {
        0 => ("versioned", *random.pick(&VERSIONS)),
        _ => {
            let of = *random.pick(&NOISE);
            (of, of)
        }
    };
    (world.site.plugins().join(format!("{name}.so")), of)
}

/// Renames what was written to a name that nobody looks at.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let hidden = path.with_file_name(format!(
        ".{}.new",
        path.file_name().unwrap_or_default().display()
    ));
    fs::write(&hidden, bytes)?;
    fs::rename(hidden, path)
}

/// Takes away whatever is there.
fn clear(path: &Path) {
    if fs::remove_file(path).is_err() {
        let _ = fs::remove_dir(path);
    }
}

/// The plugin file of a crate, with other bytes at its end where `is_other`.
fn file_of(world: &World, of: &str, random: &mut Random, is_other: bool) -> io::Result<Vec<u8>> {
    let mut bytes = fs::read(world.site.file_of(of))?;
    if is_other {
        bytes.extend(random.bytes(16));
    }
    Ok(bytes)
}

/// Does something to a plugin file or its configuration.
pub(super) fn change(world: &Arc<World>, random: &mut Random) {
    let (path, of) = target(world, random);
    let kind = random.within(0, 22);
    world.journal.count("file operations", 1);
    world
        .journal
        .did(format!("file operation {kind} on {}", path.display()));
    // The directory may have been moved away, or something be there that cannot be written.
    if let Err(error) = change_one(world, random, &path, of, kind) {
        world.journal.did(format!("  which failed: {error}"));
    }
}

fn change_one(
    world: &Arc<World>,
    random: &mut Random,
    path: &Path,
    of: &'static str,
    kind: u64,
) -> io::Result<()> {
    let config = path.with_extension("toml");
    match kind {
        0..5 => {
            configure_floods(of, &config)?;
            replace(path, &file_of(world, of, random, false)?)
        }
        5..8 => replace(path, &file_of(world, of, random, true)?),
        8 => fs::write(path, file_of(world, of, random, true)?),
        9 => {
            let file = OpenOptions::new().write(true).open(path)?;
            let len = file.metadata()?.len();
            file.set_len(random.within(0, len.max(1)))
        }
        10 => {
            let bytes = file_of(world, of, random, true)?;
            let (path, pause) = (path.to_owned(), random.within(20, 500));
            world.beside(move |world| {
                write_slowly(world, &path, &bytes, Duration::from_millis(pause))
            });
            Ok(())
        }
        11..14 => {
            clear(path);
            if random.chance(50) {
                clear(&config);
            }
            Ok(())
        }
        14 => fs::rename(path, target(world, random).0),
        15 => {
            let mode = *random.pick(&[0o666, 0o777, 0o600, 0o000, 0o644, 0o755, 0o4755]);
            fs::set_permissions(path, Permissions::from_mode(mode))
        }
        16 => link(world, random, path, of),
        17 => spoil(world, random, path, of),
        18..20 => configure(world, random, &config, of),
        20 => replace(&config, bad_config(random).as_bytes()),
        _ => {
            clear(&config);
            configure_floods(of, &config)
        }
    }
}

/// One that publishes a million events an update would leave no room for anything else.
fn configure_floods(of: &str, config: &Path) -> io::Result<()> {
    if of != "floods" {
        return Ok(());
    }
    replace(config, b"interval = \"2s\"\n[settings]\nevents = 20000\n")
}

fn write_slowly(world: &World, path: &Path, bytes: &[u8], pause: Duration) {
    let Ok(mut file) = File::create(path) else {
        return;
    };
    for part in bytes.chunks(bytes.len() / 4 + 1) {
        if file.write_all(part).is_err() {
            return;
        }
        world.sleep(pause);
    }
}

/// Puts a link there, or something that is no file at all.
fn link(world: &World, random: &mut Random, path: &Path, of: &str) -> io::Result<()> {
    clear(path);
    match random.within(0, 6) {
        // To a file of this run: whoever writes to the link later writes to what it leads to.
        0 => {
            let elsewhere = world.site.elsewhere(of);
            fs::copy(world.site.file_of(of), &elsewhere)?;
            symlink(elsewhere, path)
        }
        1 => symlink(world.site.plugins().join("noop.so"), path),
        2 => symlink("/nowhere/at/all", path),
        3 => symlink(path, path),
        4 => symlink("/dev/zero", path),
        _ => fs::create_dir(path),
    }
}

/// Puts bytes there that are no plugin, or only nearly one.
fn spoil(world: &World, random: &mut Random, path: &Path, of: &str) -> io::Result<()> {
    let bytes = match random.within(0, 5) {
        0 => Vec::new(),
        1 => b"not a library\n".repeat(40),
        2 => random.bytes(4_096),
        3 => {
            let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
            bytes.extend(random.bytes(2_000));
            bytes
        }
        _ => {
            let mut bytes = file_of(world, of, random, true)?;
            // Nothing of the header is code: what is taken all the same is as it was.
            for _ in 0..random.within(1, 6) {
                let at = random.within(0, 64) as usize;
                bytes[at] = random.number() as u8;
            }
            bytes
        }
    };
    if random.chance(50) {
        replace(path, &bytes)
    } else {
        fs::write(path, bytes)
    }
}

/// Writes a good configuration beside a plugin.
fn configure(world: &World, random: &mut Random, config: &Path, of: &str) -> io::Result<()> {
    if of == "floods" {
        return configure_floods(of, config);
    }
    let mut text = roster::plugin_config(random);
    let nowhere = world.site.root.join("nowhere");
    let settings = match of {
        "settings" => "greeting = \"hello\"\n".to_owned(),
        "quotes-settings" => "token = \"a secret of many letters\"\n".to_owned(),
        "directory-size" | "duplicates" => format!("path = {:?}\n", world.site.runs()),
        "load-log" => format!("path = {:?}\n", world.site.root.join("load.db")),
        // Nobody listens at the port that discards.
        "free-space" => format!(
            "path = {:?}\nleast_mib = {}\n",
            world.site.state(),
            random.within(0, 100)
        ),
        "log-matches" => {
            let patterns = ["a.*b", "crash|panic", "(", ""];
            format!(
                "file = {:?}\npattern = {:?}\n",
                world.site.said(1),
                random.pick(&patterns)
            )
        }
        "scripted" => {
            let tasks = [
                "work",
                "fail",
                "fail and retry",
                "fail for good",
                "panic",
                "fail in silence",
                "return nonsense",
                "say nonsense",
                "wait",
                "make nothing",
            ];
            format!("do = {:?}\n", random.pick(&tasks))
        }
        "throws" => {
            let what = [
                "failure",
                "permanent",
                "runtime_error",
                "out_of_range",
                "int",
                "in display",
                "in the constructor",
            ];
            format!("throw = {:?}\n", random.pick(&what))
        }
        "probe" => "address = \"127.0.0.1:9\"\n".to_owned(),
        "script" => {
            let scripts = ["updates * 2", "let n = 0; loop { n += 1 }", "let x = ;"];
            format!("script = \"{}\"\n", random.pick(&scripts))
        }
        "feed" => format!("source = {:?}\n", nowhere.join("feed.xml")),
        "fails" => format!("every = {}\n", random.within(0, 5)),
        "panics" => format!("every = {}\n", random.within(0, 9)),
        "hangs-awhile" => format!("ms = {}\n", random.within(5, 4_000)),
        "computes" => format!("ms = {}\n", random.within(1, 60)),
        "slow-create" | "slow-destroy" => format!("ms = {}\n", random.within(5, 3_000)),
        "panics-in-create" => format!("first = {}\n", random.within(0, 4)),
        "fails-in-create" => format!("until = {nowhere:?}\n"),
        "keeps-state" => {
            let call = random.pick(&["create", "update", "save_state", "restore_state"]);
            format!("fails_in = \"{call}\"\npanics = {}\n", random.chance(50))
        }
        "publishes" => format!("burst = {}\n", random.within(1, 200)),
        "long-text" => format!("pad = {}\n", random.within(0, 9)),
        _ => String::new(),
    };
    if !settings.is_empty() && random.chance(80) {
        text.push_str("[settings]\n");
        text.push_str(&settings);
    }
    if random.chance(50) {
        replace(config, text.as_bytes())
    } else {
        fs::write(config, text)
    }
}

/// A configuration that is refused.
fn bad_config(random: &mut Random) -> String {
    let bad = [
        "interval = 0\n",
        "interval = \"-1s\"\n",
        "timeout = nan\n",
        "intervall = \"1s\"\n",
        "id = \"NO GOOD\"\n",
        "interval = \"1s\ninterval = \"2s\"\n",
        "[settings\n",
        "\u{0}\u{1}\u{fffd}",
        "restart = { delay = \"9s\", window = \"1s\" }\n",
        "requires = [\"clock >= banana\"]\n",
    ];
    (*random.pick(&bad)).to_owned()
}

/// Writes the engine's configuration anew: good, or bad, which changes nothing.
pub(super) fn configure_engine(world: &World, random: &mut Random) {
    let is_bad = random.chance(30);
    let text = if is_bad {
        format!("[engine]\nworkers = 2\n[[plugin]]\n{}", bad_config(random))
    } else {
        roster::engine_config(random)
    };
    world.journal.count("engine configurations", 1);
    world.journal.did(format!(
        "engine.toml: {}",
        if is_bad { "bad" } else { "good" }
    ));
    if let Err(error) = replace(&world.site.config(), text.as_bytes()) {
        world.journal.did(format!("  which failed: {error}"));
    }
}

/// The whole directory goes and comes back: everything stays as it is meanwhile.
pub(super) fn move_directory_away(world: &World, random: &mut Random) {
    let (here, away) = (world.site.plugins(), world.site.root.join("plugins-away"));
    let time = Duration::from_millis(random.within(100, 4_000));
    world
        .journal
        .did(format!("the directory is away for {} ms", time.as_millis()));
    world.journal.count("times the directory was away", 1);
    if fs::rename(&here, &away).is_err() {
        return;
    }
    std::thread::sleep(time);
    // Somebody who wrote slowly may have made it anew.
    if fs::rename(&away, &here).is_err() {
        let _ = fs::remove_dir_all(&here);
        if let Err(error) = fs::rename(&away, &here) {
            world
                .journal
                .did(format!("the directory does not come back: {error}"));
        }
    }
}

/// The plugins that crash and lie in the directory, with how many crashes each may still have.
#[derive(Default)]
pub(super) struct Armed(BTreeMap<&'static str, u32>);

impl Armed {
    pub(super) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Puts one there, if none is.
    pub(super) fn arm_one(&mut self, world: &World, random: &mut Random) {
        let one = random.pick(&CRASHERS);
        // Each crash has one culprit, and one that is not built is none.
        if self.any() || !world.site.file_of(one.of).is_file() {
            return;
        }
        world.journal.did(format!("arm {}", one.id));
        world.journal.count("crashing plugins", 1);
        // Known before it can crash, and with other bytes than any before it, of which nothing is known.
        world.observer().crashes().armed(one.id);
        self.0.insert(one.id, 3);
        if let Err(error) = put_there(world, one, random) {
            world.journal.did(format!("  which failed: {error}"));
        }
    }

    /// A start has crashed.
    pub(super) fn crashed(&mut self) {
        self.0
            .values_mut()
            .for_each(|left| *left = left.saturating_sub(1));
    }

    /// Before a start: takes those away that have crashed often enough.
    pub(super) fn spare(&mut self, world: &World) {
        let mut spent = Vec::new();
        for (id, left) in &mut self.0 {
            let is_unseen = CRASHERS.iter().any(|one| one.id == *id && one.is_unseen);
            if *left == 0 || is_unseen {
                spent.push(*id);
            }
            *left = left.saturating_sub(1);
        }
        spent.into_iter().for_each(|id| self.disarm(world, id));
    }

    fn disarm(&mut self, world: &World, id: &'static str) {
        world.journal.did(format!("disarm {id}"));
        self.0.remove(id);
        let file = world.site.plugins().join(format!("{id}.so"));
        clear(&file);
        clear(&file.with_extension("toml"));
        world.observer().crashes().disarmed(id);
    }
}

fn put_there(world: &World, one: &Crasher, random: &mut Random) -> io::Result<()> {
    let file = world.site.plugins().join(format!("{}.so", one.id));
    let config = format!("id = \"{}\"\ninterval = \"1s\"\n{}", one.id, one.config);
    replace(&file.with_extension("toml"), config.as_bytes())?;
    replace(&file, &file_of(world, one.of, random, true)?)
}
