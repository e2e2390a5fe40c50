//! A process that is killed from outside, whenever that is, leaves nobody who is counted or kept out.

use std::path::Path;
use std::process::{Child, Stdio};

use plugin_engine_crash_marks::{Call, Remains};
use plugin_engine_tests::{built, command, objects, wait_for};
use tempfile::TempDir;

/// How many are killed altogether, and how many at the same time.
const KILLS: usize = 200;
const AT_A_TIME: usize = 4;

/// One plugin that never returns, and one that works.
struct Site {
    dir: TempDir,
}

impl Site {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let plugins = dir.path().join("plugins");
        std::fs::create_dir(&plugins).unwrap();
        for name in ["hangs", "noop"] {
            std::fs::copy(built(name), plugins.join(format!("{name}.so"))).unwrap();
        }
        std::fs::write(plugins.join("hangs.toml"), "timeout = \"1day\"\n").unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self) -> std::process::Command {
        let mut command = command();
        command.args(["run", "--no-watch", "--json", "--plugins"]);
        command.arg(self.path("plugins"));
        command.arg("--state").arg(self.path("state"));
        command
    }

    /// Starts a run, and kills it in the middle of a call: of an update, or of whichever is seen first.
    fn kill_in_a_call(&self, of_update: bool) {
        let mut child = self.command();
        let mut child: Child = child
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let own = child.id();
        wait_for("a call", || {
            assert!(
                child.try_wait().unwrap().is_none(),
                "it has ended by itself"
            );
            calls(&self.path("state/calls"), own)
                .iter()
                .any(|call| !of_update || *call == Call::Update)
        });
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// The calls that are in flight in this process.
fn calls(path: &Path, process: u32) -> Vec<Call> {
    let bytes = std::fs::read(path).unwrap_or_default();
    match Remains::read(&bytes) {
        Ok(remains) if remains.run.pid == process => {
            remains.calls.iter().map(|call| call.call).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn two_hundred_kills_in_the_middle_of_calls_keep_nobody_out() {
    built("hangs");
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                let site = Site::new();
                for n in 0..KILLS / AT_A_TIME {
                    site.kill_in_a_call(n % 2 == 0);
                }
                check(&site);
            });
        }
    });
}

/// After the last kill, which was in the middle of an update, everybody is loaded, and nobody was ever counted.
fn check(site: &Site) {
    site.kill_in_a_call(true);
    // Whoever hangs would keep the run from its end in time; switched off, it is loaded all the same.
    let config = "timeout = \"1day\"\nenabled = false\n";
    std::fs::write(site.path("plugins/hangs.toml"), config).unwrap();
    let output = site.command().args(["--cycles", "1"]).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    assert!(
        !site.path("state/crashes.json").exists(),
        "nothing was counted"
    );
    let out = String::from_utf8(output.stdout).unwrap();
    let mut entries = objects(&out);
    let last = entries.pop().unwrap();
    for snapshot in last["snapshots"].as_array().unwrap() {
        assert!(
            ["Enabled", "Disabled"].contains(&snapshot["state"].as_str().unwrap()),
            "{snapshot}"
        );
    }
    let causes = |id: &str| -> Vec<&str> {
        let of = entries.iter().filter(|entry| entry["id"] == id);
        of.map(|entry| entry["cause"].as_str().unwrap()).collect()
    };
    assert_eq!(causes("hangs")[0], "interrupted");
    for id in ["hangs", "noop"] {
        let counted = |cause: &&str| ["crashed", "quarantined"].contains(cause);
        assert!(!causes(id).iter().any(counted), "{id}: {:?}", causes(id));
    }
    let interrupted = &entries[0]["error"]["message"];
    let interrupted = interrupted.as_str().unwrap();
    assert!(
        interrupted
            .starts_with("was being called when the process ended (it was killed): in its update"),
        "{interrupted}"
    );
    assert!(err.contains("and not counted: hangs"), "{err}");
}
