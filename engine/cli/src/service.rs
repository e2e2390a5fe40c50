//! What a service manager is told: that plugins are loaded, that they are read again, that the engine's own tasks are well, that it stops.
//! By datagrams to the socket that `NOTIFY_SOCKET` names, as systemd describes under sd_notify(3); nothing is said where there is none.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use plugin_engine::{Engine, PluginState};

/// How often the line of counts is looked at.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// How long the shortest wait between two looks is, however short the manager's patience.
const LOOK_MIN: Duration = Duration::from_millis(5);
/// How many tasks that make no progress are named.
const STALE_NAMED_MAX: usize = 4;

/// The service manager, or nobody.
#[derive(Clone)]
pub(crate) struct Service {
    told: Option<Arc<Told>>,
}

struct Told {
    socket: UnixDatagram,
    to: SocketAddr,
    /// How long the manager waits for a sign of life.
    patience: Option<Duration>,
    has_failed: AtomicBool,
}

impl Service {
    /// The manager that the environment names.
    pub(crate) fn of_environment() -> Self {
        let name = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let told = name.and_then(|name| match Told::new(&name) {
            Ok(told) => Some(Arc::new(told)),
            Err(error) => {
                tracing::warn!(%error, socket = ?name, "the service manager cannot be told anything");
                None
            }
        });
        Self { told }
    }

    /// Begins to say how the plugins stand, whenever that changes, and that all is well, for as long as it is. On a thread of its own, which
    /// lasts as long as the process.
    pub(crate) fn follow(&self, engine: &Engine) -> io::Result<()> {
        let Some(told) = &self.told else {
            return Ok(());
        };
        let (told, engine) = (Arc::clone(told), engine.clone());
        thread::Builder::new()
            .name("service".to_owned())
            .spawn(move || told.follow(&engine))
            .map(drop)
    }

    /// The plugins are loaded, or read again.
    pub(crate) fn is_ready(&self) {
        self.tell("READY=1\n");
    }

    /// The plugins are being read again. [`Service::is_ready`] has to follow.
    pub(crate) fn is_reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\n"));
    }

    /// The engine shuts down.
    pub(crate) fn is_stopping(&self) {
        self.tell("STOPPING=1\n");
    }

    fn tell(&self, what: &str) {
        if let Some(told) = &self.told {
            told.tell(what);
        }
    }
}

impl Told {
    fn new(name: &OsString) -> io::Result<Self> {
        let bytes = name.as_bytes();
        let to = match bytes.strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that takes nothing must not hold the engine up.
        socket.set_nonblocking(true)?;
        let variable = |name| std::env::var(name).ok();
        let patience = patience(
            variable("WATCHDOG_USEC").as_deref(),
            variable("WATCHDOG_PID").as_deref(),
            std::process::id(),
        );
        Ok(Self {
            socket,
            to,
            patience,
            has_failed: AtomicBool::new(false),
        })
    }

    fn tell(&self, what: &str) {
        let sent = self.socket.send_to_addr(what.as_bytes(), &self.to);
        if let Err(error) = sent
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%error, "the service manager does not take what it is told");
        }
    }

    fn follow(&self, engine: &Engine) {
        let mut status = String::new();
        let (mut status_at, mut sign_at) = (Instant::now(), Instant::now());
        loop {
            let now = Instant::now();
            let stale = engine.is_healthy(&[], None).err();
            if now >= status_at || stale.is_some() {
                let tasks = stale.iter().flat_map(|stale| &stale.tasks);
                let names: Vec<_> = tasks.map(|task| &*task.name).collect();
                let line = status_line(&states(engine), &names);
                if line != status {
                    self.tell(&format!("STATUS={line}\n"));
                    status = line;
                }
                status_at = now + STATUS_EVERY;
            }
            let Some(half) = self.patience.map(|patience| patience / 2) else {
                thread::sleep(STATUS_EVERY);
                continue;
            };
            if now >= sign_at && stale.is_none() {
                self.tell("WATCHDOG=1\n");
                sign_at = now + half;
            }
            // A task that was only just started is not well for a moment. It is looked at again soon, so that no sign comes too late for that.
            let wait = if stale.is_some() {
                half / 8
            } else {
                sign_at.min(status_at).saturating_duration_since(now)
            };
            thread::sleep(wait.clamp(LOOK_MIN, STATUS_EVERY));
        }
    }
}

fn states(engine: &Engine) -> Vec<PluginState> {
    engine.snapshots().iter().map(|one| one.state).collect()
}

/// How long the manager waits for a sign of life, as it says in two variables. The second, where it is there, says who is meant.
fn patience(micros: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    let is_meant = pid.is_none_or(|pid| pid.parse() == Ok(own));
    let micros: u64 = micros?.parse().ok()?;
    (is_meant && micros > 0).then(|| Duration::from_micros(micros))
}

/// How the plugins stand, on one line, and before that which of the engine's own tasks make no progress.
fn status_line(states: &[PluginState], stale: &[&str]) -> String {
    let count =
        |wanted: &[PluginState]| states.iter().filter(|state| wanted.contains(state)).count();
    let plugins = if states.len() == 1 {
        "plugin"
    } else {
        "plugins"
    };
    let mut line = match stale.len() {
        0 => String::new(),
        more if more > STALE_NAMED_MAX => format!(
            "no progress: {} and {} more; ",
            stale[..STALE_NAMED_MAX].join(", "),
            more - STALE_NAMED_MAX
        ),
        _ => format!("no progress: {}; ", stale.join(", ")),
    };
    line.push_str(&format!("{} {plugins}", states.len()));
    let mut separator = ": ";
    for (what, wanted) in [
        ("running", &[PluginState::Enabled, PluginState::Running][..]),
        ("starting", &[PluginState::Loaded]),
        ("in Error", &[PluginState::Error]),
        ("Disabled", &[PluginState::Disabled]),
        ("Unloaded", &[PluginState::Unloaded]),
    ] {
        let count = count(wanted);
        if count > 0 {
            line.push_str(&format!("{separator}{count} {what}"));
            separator = ", ";
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_one_line_of_counts_and_names_what_makes_no_progress() {
        use PluginState::{Disabled, Enabled, Error, Loaded, Running, Unloaded};
        for (states, stale, line) in [
            (&[][..], &[][..], "0 plugins"),
            (&[Enabled], &[], "1 plugin: 1 running"),
            (
                &[Enabled, Running, Error, Disabled, Unloaded, Loaded],
                &[],
                "6 plugins: 2 running, 1 starting, 1 in Error, 1 Disabled, 1 Unloaded",
            ),
            (
                &[Error],
                &["plugin-watchdog"],
                "no progress: plugin-watchdog; 1 plugin: 1 in Error",
            ),
            (
                &[],
                &["a", "b", "c", "d", "e", "f"],
                "no progress: a, b, c, d and 2 more; 0 plugins",
            ),
        ] {
            assert_eq!(status_line(states, stale), line);
        }
    }

    #[test]
    fn the_patience_of_a_manager_counts_only_for_whom_it_means() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(patience(Some("1000000"), None, 7), second);
        assert_eq!(patience(Some("1000000"), Some("7"), 7), second);
        assert_eq!(patience(Some("1000000"), Some("8"), 7), None);
        assert_eq!(patience(Some("1000000"), Some("x"), 7), None);
        assert_eq!(patience(Some("0"), None, 7), None);
        assert_eq!(patience(Some("soon"), None, 7), None);
        assert_eq!(patience(None, None, 7), None);
    }

    #[test]
    fn a_socket_that_cannot_be_is_refused() {
        let long = OsString::from(format!("/{}", "x".repeat(200)));
        assert!(Told::new(&long).is_err());
        assert!(Told::new(&OsString::from(format!("@{}", "x".repeat(200)))).is_err());
        assert!(Told::new(&OsString::from("@name")).is_ok());
    }
}
