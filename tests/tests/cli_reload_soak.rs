//! The program while one of its plugins is replaced again and again: its memory and its descriptors stay as they are, and nobody misses an
//! update.
//!
//! `SOAK_RELOADS` says how often; by default some hundred times, which is enough to see anything that a reload leaves behind.

use std::fs;
use std::path::PathBuf;

use plugin_engine_tests::{Builds, Running, built, command, wait_for};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

const RELOADS: u64 = 300;
/// Until here everything that grows once has grown.
const WARM: u64 = 100;
/// What may come and go with the moment at which is looked, in KiB.
const SLACK_KIB: u64 = 4_096;
/// What a reload may leave, in bytes: `tracing` keeps lists that nothing takes back.
const LEFT_MAX: u64 = 512;
/// What is mapped while one build has just taken over from the other.
const MAPPED_MAX: usize = 3;

fn reloads() -> u64 {
    let wanted = std::env::var("SOAK_RELOADS").ok();
    wanted.map_or(RELOADS, |wanted| {
        wanted.parse().expect("a number of reloads")
    })
}

/// What a process uses.
#[derive(Debug, Clone, Copy)]
struct Use {
    resident_kib: u64,
    descriptors: usize,
    mapped: usize,
}

impl Use {
    fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let soaked = maps.lines().filter(|line| line.contains("memfd:soaked"));
        Self {
            resident_kib: kib.unwrap().parse().unwrap(),
            descriptors: fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(),
            mapped: soaked.filter(|line| line.contains(" 00000000 ")).count(),
        }
    }
}

struct Soak {
    running: Running,
    dir: TempDir,
    builds: Builds,
}

impl Soak {
    fn start(fixture: &str, config: &str) -> Self {
        let dir = TempDir::new().unwrap();
        fs::write(
            dir.path().join("soaked.toml"),
            format!("id = \"soaked\"\ninterval = \"1s\"\n{config}"),
        )
        .unwrap();
        fs::copy(built("noop"), dir.path().join("neighbour.so")).unwrap();
        let builds = Builds::of(fixture);
        builds.write(0, &dir.path().join("soaked.so"));
        let mut command = command();
        // Its log would fill a pipe that nobody reads.
        command
            .args(["run", "--json", "--no-watch", "--plugins"])
            .arg(dir.path())
            .stderr(fs::File::create(dir.path().join("errors")).unwrap());
        let mut running = Running::start(&mut command);
        running.await_line("\"id\":\"soaked\"");
        Self {
            running,
            dir,
            builds,
        }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("soaked.so")
    }

    /// Puts a build there as one should, and has it read.
    fn replace(&mut self, build: u64, until: &str) {
        let beside = self.dir.path().join("next");
        self.builds.write(build, &beside);
        fs::rename(beside, self.file()).unwrap();
        self.running.signal(Signal::HUP);
        self.running.await_line(until);
    }

    /// Stops it; the last line has all plugins.
    fn stop(self) -> Vec<Value> {
        self.running.signal(Signal::TERM);
        let (status, out, _) = self.running.end();
        assert_eq!(status, Some(0));
        let last: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        last["snapshots"]
            .as_array()
            .expect("a list of plugins")
            .clone()
    }
}

fn soak(fixture: &str) {
    let mut soak = Soak::start(fixture, "unmap = \"when-safe\"\n");
    let reloads = reloads();
    let pid = soak.running.pid();
    let mut warm = Use::of(pid);
    for reload in 1..=reloads {
        soak.replace(reload % 2, "\"cause\":\"reloaded\"");
        if reload == WARM.min(reloads) {
            wait_for("the unmap", || Use::of(pid).mapped <= MAPPED_MAX);
            warm = Use::of(pid);
        }
    }
    wait_for("the unmap", || Use::of(pid).mapped == 1);
    let now = Use::of(pid);
    println!("{fixture}: after {WARM} {warm:?}, after {reloads} {now:?}");
    assert!(now.descriptors <= warm.descriptors, "{warm:?} {now:?}");
    let allowed = SLACK_KIB + reloads.saturating_sub(WARM) * LEFT_MAX / 1_024;
    assert!(
        now.resident_kib <= warm.resident_kib + allowed,
        "{warm:?} {now:?}"
    );
    for plugin in soak.stop() {
        let count = |key: &str| plugin[key].as_u64().expect("it is a number");
        for key in ["failures", "timeouts", "panics", "late", "skipped"] {
            assert_eq!(count(key), 0, "{key} of {plugin}");
        }
        if plugin["id"] == "soaked" {
            assert_eq!(count("generation"), reloads + 1);
        }
    }
}

#[test]
fn a_plugin_that_is_replaced_again_and_again_costs_nothing_in_the_end() {
    soak("versioned-1-1");
}

#[test]
fn nor_does_one_that_asks_for_its_thread() {
    soak("current-thread");
}

#[test]
fn nor_does_one_that_leaves_values_with_destructors_on_threads() {
    soak("thread-locals");
}

#[test]
fn by_default_the_reload_that_goes_beyond_the_budget_is_refused_in_words_and_the_plugin_goes_on() {
    let mut soak = Soak::start("versioned-1-1", "");
    let mut refused = None;
    for build in 1..=2_000 {
        soak.replace(build, "\"cause\":\"reload");
        if soak.running.last_line().contains("reload_refused") {
            refused = Some(build);
            break;
        }
    }
    // Its own first build and the neighbour are mapped, too.
    assert_eq!(refused, Some(899));
    assert!(soak.running.last_line().contains("PE0209"));
    assert_eq!(Use::of(soak.running.pid()).mapped, 899);
    soak.running.await_line("\"cause\":\"update_completed\"");
    for plugin in soak.stop() {
        assert_eq!(plugin["error"], Value::Null, "{plugin}");
        if plugin["id"] == "soaked" {
            assert_eq!(plugin["generation"], 899);
        }
    }
}
