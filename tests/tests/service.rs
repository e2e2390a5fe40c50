//! The program under a service manager: what it says to it, in which order, and when it falls silent.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::{Duration, Instant};

use plugin_engine_tests::{Gate, Running, built, command, ended, wait_for};
use rustix::process::Signal;
use tempfile::TempDir;

/// How long a message may be on its way before a test has failed.
const LATE: Duration = Duration::from_secs(60);

/// A service manager, and the directory of plugins of the service that it runs.
struct Manager {
    dir: TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("plugins")).unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        Self { dir, socket }
    }

    fn plugin(&self, fixture: &str, id: &str, config: &str) {
        let plugins = self.dir.path().join("plugins");
        std::fs::write(
            plugins.join(format!("{id}.toml")),
            format!("id = \"{id}\"\n{config}"),
        )
        .unwrap();
        std::fs::copy(built(fixture), plugins.join(format!("{id}.so"))).unwrap();
    }

    /// A run over the plugins, which is told of this manager.
    fn command(&self) -> Command {
        let mut command = command();
        command
            .arg("run")
            .arg("--plugins")
            .arg(self.dir.path().join("plugins"))
            .env("NOTIFY_SOCKET", self.dir.path().join("notify"));
        command
    }

    /// The next message, if one comes within this time.
    fn message_within(&self, time: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(time)).unwrap();
        let mut buffer = [0; 4_096];
        let len = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..len].to_vec()).unwrap())
    }

    /// Reads on until a message is one of these, and returns it; one that must not come is a failure.
    fn await_one(&self, what: &str, must_not: &str, wanted: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + LATE;
        while let Some(message) = self.message_within(LATE) {
            assert!(
                must_not.is_empty() || !message.starts_with(must_not),
                "{message} before {what}"
            );
            if wanted(&message) {
                return message;
            }
            assert!(Instant::now() < until, "no {what}, but {message}");
        }
        panic!("no {what}")
    }

    fn await_message(&self, wanted: &str) {
        self.await_one(wanted, "", |message| message == wanted);
    }

    /// The next message that is neither a status nor a sign of life.
    fn next_state(&self) -> String {
        self.await_one("state", "", |message| {
            !message.starts_with("STATUS=") && message != "WATCHDOG=1\n"
        })
    }
}

fn monotonic_micros() -> i128 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000
}

#[test]
fn a_run_is_ready_reloads_is_ready_again_and_stops_in_this_order() {
    let manager = Manager::new();
    manager.plugin("noop", "p", "");
    let run = Running::start(&mut manager.command());
    assert_eq!(manager.next_state(), "READY=1\n");
    for _ in 0..2 {
        let before = monotonic_micros();
        run.signal(Signal::HUP);
        let reloading = manager.next_state();
        let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        let micros: i128 = micros.unwrap().trim_end().parse().unwrap();
        assert!((before..=monotonic_micros()).contains(&micros), "{micros}");
        assert_eq!(manager.next_state(), "READY=1\n");
    }
    run.signal(Signal::TERM);
    assert_eq!(manager.next_state(), "STOPPING=1\n");
    assert_eq!(run.end().0, Some(0));
    while let Some(message) = manager.message_within(Duration::from_millis(1)) {
        assert!(message.starts_with("STATUS="), "{message} after the stop");
    }
}

#[test]
fn a_run_is_not_ready_before_its_plugins_are_created() {
    let (manager, gate) = (Manager::new(), Gate::new());
    manager.plugin("gated", "p", &gate.settings("in_call = \"create\""));
    let run = Running::start(&mut manager.command());
    gate.await_entry(1);
    manager.await_one("status", "READY", |message| {
        message == "STATUS=1 plugin: 1 starting\n"
    });
    gate.open_all();
    assert_eq!(manager.next_state(), "READY=1\n");
    manager.await_message("STATUS=1 plugin: 1 running\n");
    run.signal(Signal::TERM);
    assert_eq!(run.end().0, Some(0));
}

#[test]
fn a_run_that_cannot_begin_never_says_that_it_is_ready() {
    let manager = Manager::new();
    std::fs::remove_dir(manager.dir.path().join("plugins")).unwrap();
    assert_eq!(ended(&mut manager.command()).status, 1);
    while let Some(message) = manager.message_within(Duration::from_millis(1)) {
        assert!(!message.starts_with("READY"), "{message}");
    }
}

#[test]
fn the_status_follows_the_plugins() {
    let manager = Manager::new();
    manager.plugin("noop", "p", "");
    let run = Running::start(&mut manager.command());
    manager.await_message("STATUS=1 plugin: 1 running\n");
    manager.plugin("fails-in-create", "q", "");
    manager.await_one("plugin in Error", "", |message| {
        message.starts_with("STATUS=2 plugins: 1 running, 1 in Error")
    });
    run.signal(Signal::TERM);
    assert_eq!(run.end().0, Some(0));
}

#[test]
fn a_socket_without_a_file_is_found_by_its_name() {
    let manager = Manager::new();
    let name = format!("plugin-engine-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    let manager = Manager { socket, ..manager };
    let mut command = manager.command();
    command.env("NOTIFY_SOCKET", format!("@{name}"));
    let run = Running::start(&mut command);
    assert_eq!(manager.next_state(), "READY=1\n");
    run.signal(Signal::TERM);
    assert_eq!(run.end().0, Some(0));
}

#[test]
fn a_manager_that_has_gone_is_missed_in_one_line_and_nothing_else() {
    let manager = Manager::new();
    manager.plugin("noop", "p", "interval = \"10ms\"\n");
    std::fs::remove_file(manager.dir.path().join("notify")).unwrap();
    let mut command = manager.command();
    command.args(["--cycles", "20"]);
    let run = ended(&mut command);
    assert_eq!(run.status, 0, "{}", run.err);
    let missed = run.err.matches("does not take what it is told").count();
    assert_eq!(missed, 1, "{}", run.err);
}

#[test]
fn signs_of_life_come_for_whom_they_are_meant_also_while_a_plugin_hangs() {
    let manager = Manager::new();
    manager.plugin("hangs", "p", "timeout = \"1day\"\n");
    let mut command = manager.command();
    command.env("WATCHDOG_USEC", "100000");
    let run = Running::start(&mut command);
    for _ in 0..20 {
        manager.await_message("WATCHDOG=1\n");
    }
    drop(run);

    let manager = Manager::new();
    let mut command = manager.command();
    command
        .env("WATCHDOG_USEC", "1000")
        .env("WATCHDOG_PID", "1");
    let run = Running::start(&mut command);
    manager.await_one("READY", "WATCHDOG", |message| message == "READY=1\n");
    run.signal(Signal::TERM);
    manager.await_one("STOPPING", "WATCHDOG", |message| message == "STOPPING=1\n");
}

/// Holds one thread of a process, as a debugger does, until it is let go.
struct Held(i32);

impl Held {
    /// `None` where nobody may do so.
    fn hold(thread: i32) -> Option<Self> {
        let request = |request, what: &str| {
            // SAFETY: neither request reads or writes memory of this process.
            let answer = unsafe { libc::ptrace(request, thread, 0, 0) };
            let error = std::io::Error::last_os_error();
            if answer == -1 {
                eprintln!("cannot {what} the thread: {error}");
            }
            answer != -1
        };
        let held = request(libc::PTRACE_SEIZE, "seize") && request(libc::PTRACE_INTERRUPT, "stop");
        // SAFETY: a null pointer says that the status is not wanted.
        let waited =
            held.then(|| unsafe { libc::waitpid(thread, std::ptr::null_mut(), libc::__WALL) });
        (waited == Some(thread)).then_some(Self(thread))
    }
}

impl Drop for Held {
    /// Also where a test fails: a process with a thread that is held cannot be ended.
    fn drop(&mut self) {
        // SAFETY: as above; the thread was stopped by this one.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, 0, 0) };
    }
}

#[test]
fn no_sign_of_life_comes_while_a_task_of_the_engine_is_wedged() {
    let manager = Manager::new();
    manager.plugin("noop", "p", "");
    let mut command = manager.command();
    command.env("WATCHDOG_USEC", "400000");
    let run = Running::start(&mut command);
    manager.await_message("READY=1\n");
    manager.await_message("WATCHDOG=1\n");
    let tasks = format!("/proc/{}/task", run.pid());
    let mut found = None;
    wait_for("the thread of the engine", || {
        let threads = std::fs::read_dir(&tasks).unwrap().flatten();
        found = threads
            .filter(|thread| {
                let name = std::fs::read_to_string(thread.path().join("comm"));
                // As much of a name as the system keeps.
                name.is_ok_and(|name| name.trim_end() == "plugin-watchdog")
            })
            .find_map(|thread| thread.file_name().to_str()?.parse().ok());
        found.is_some()
    });
    let Some(held) = Held::hold(found.unwrap()) else {
        eprintln!("skipped: threads cannot be held here");
        return;
    };
    manager.await_one("stale task", "", |message| {
        message.starts_with("STATUS=no progress: plugin-watchdog; 1 plugin")
    });
    let silent_until = Instant::now() + Duration::from_secs(1);
    while let Some(left) = silent_until.checked_duration_since(Instant::now()) {
        let message = manager.message_within(left.max(Duration::from_millis(1)));
        assert_ne!(message.as_deref(), Some("WATCHDOG=1\n"));
    }
    drop(held);
    manager.await_message("WATCHDOG=1\n");
    run.signal(Signal::TERM);
    assert_eq!(run.end().0, Some(0));
}
