//! What a process before has left behind, judged: whose call brought it to its end, who was only being called, and in which words that is
//! told.

use std::path::PathBuf;

use plugin_engine_core::{CallKind, FaultKind, FaultReport, PluginId, WallTime, escape_control};
use plugin_engine_crash_marks::{Call, CallLeft, How, Mark, Name, Remains, Role};

use super::counts::{Counts, LastCrash};
use crate::code::Code;

/// The most calls that are told of: a file that ended the process while it was loaded may have been as many plugins.
const FOUND_MAX: usize = 65_536;

/// A call that was in flight when the process before ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundCall {
    /// The plugin.
    pub id: PluginId,
    /// Whether it was this call that brought the process to its end, so that it was counted. If not, nobody knows why the process ended:
    /// it was killed, the machine stopped, or something else in it failed.
    pub crashed: bool,
    /// How often the plugin has crashed the engine so far, with the bytes that its file had.
    pub crashes: u32,
    /// The call; `None` for what runs when its file is loaded or unmapped.
    pub call: Option<CallKind>,
    /// Since when it was in flight.
    pub since: WallTime,
    /// When the process ended, if that is known.
    pub ended_at: Option<WallTime>,
    /// All of this in words.
    pub message: String,
    /// The file of the plugin.
    pub file: PathBuf,
}

impl FoundCall {
    /// What is entered into the history of the plugin.
    pub(crate) fn report(&self) -> FaultReport {
        let mut report = FaultReport::new(FaultKind::Crash, self.message.clone());
        if self.crashed {
            report.type_name = Code::CRASHED.to_string();
        }
        report
    }
}

impl std::fmt::Display for FoundCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.id, self.message)
    }
}

/// Judges what was left behind, and counts what is a crash. `boot_id` is of this boot of the machine.
pub(super) fn judge(remains: &Remains, counts: &mut Counts, boot_id: &str) -> Vec<FoundCall> {
    let is_seen = counts.seen.as_ref() == Some(&remains.run);
    let culprit = remains.culprit();
    let mut found = Vec::new();
    for left in &remains.calls {
        let mark = left.mark.filter(|_| culprit == Some(left));
        for name in names(remains, left) {
            let Ok(id) = PluginId::new(&name.id) else {
                continue;
            };
            if found.len() >= FOUND_MAX {
                return found;
            }
            let crashes = match mark {
                Some(mark) if !is_seen => {
                    let last = LastCrash {
                        call: kind(left.call),
                        how: mark.how,
                        at: WallTime::from_unix_nanos(mark.at_ns),
                    };
                    counts.add(&id, name.digest, last)
                }
                _ => counts.of(&id, &name.digest).map_or(0, |one| one.crashes),
            };
            let message = match mark {
                Some(mark) => crashed(left, mark, crashes),
                None => interrupted(remains, left, boot_id),
            };
            let ended = mark.or(remains.process.map(|(mark, _)| mark));
            found.push(FoundCall {
                id,
                crashed: mark.is_some(),
                crashes,
                call: kind(left.call),
                since: WallTime::from_unix_nanos(left.since_ns),
                ended_at: ended.map(|mark| WallTime::from_unix_nanos(mark.at_ns)),
                message,
                file: name.path.clone().into(),
            });
        }
    }
    if culprit.is_some() {
        counts.seen = Some(remains.run.clone());
    }
    found
}

/// How the process ended, if that was seen and is told by no call of a plugin.
pub(super) fn elsewhere(remains: &Remains) -> Option<String> {
    let (mark, tid) = remains.process?;
    if remains.ended || remains.culprit().is_some() {
        return None;
    }
    Some(match mark.how {
        How::Signal(signal) => format!(
            "the process before ended by {} on the thread {tid}, which was in no call of a plugin; it may be one that a plugin had started",
            signal_name(signal)
        ),
        How::SentSignal(signal) => format!(
            "the process before ended by {}, which somebody had sent to it",
            signal_name(signal)
        ),
        How::Exit(status) => format!(
            "the process before ended by an exit with the status {status} on the thread {tid}, which was in no call of a plugin, without \
             having shut the engine down"
        ),
    })
}

/// Whose call it was. What runs when a file is loaded or unmapped is of all of its plugins.
fn names<'a>(remains: &'a Remains, left: &'a CallLeft) -> Vec<&'a Name> {
    let Some(name) = &left.name else {
        return Vec::new();
    };
    if kind(left.call).is_some() {
        return vec![name];
    }
    let mut names: Vec<&Name> = Vec::new();
    let of_file = |other: &&Name| other.digest == name.digest && other.path == name.path;
    names.extend(remains.names.iter().filter(of_file));
    names.sort_by(|one, other| one.id.cmp(&other.id));
    names.dedup_by(|one, other| one.id == other.id);
    names
}

fn kind(call: Call) -> Option<CallKind> {
    Some(match call {
        Call::Load | Call::Unmap => return None,
        Call::Create => CallKind::Create,
        Call::Update => CallKind::Update,
        Call::Display => CallKind::Display,
        Call::Destroy => CallKind::Destroy,
        Call::SaveState => CallKind::SaveState,
        Call::RestoreState => CallKind::RestoreState,
    })
}

fn when(call: Call) -> String {
    match kind(call) {
        Some(kind) => format!("in its {kind}"),
        None if call == Call::Unmap => "while its file was unmapped".to_owned(),
        None => "while its file was loaded".to_owned(),
    }
}

fn thread(left: &CallLeft) -> String {
    let name = match left.role {
        Some(Role::Worker) => "plugin-worker",
        Some(Role::Aside) => "plugin-aside",
        Some(Role::Loader) => "plugin-loader",
        Some(Role::Unmap) => "plugin-unmap",
        None => "of the engine",
    };
    format!("the thread {name} ({})", left.tid)
}

fn time(nanos: u64) -> WallTime {
    WallTime::from_unix_nanos(nanos)
}

fn crashed(left: &CallLeft, mark: Mark, crashes: u32) -> String {
    format!(
        "crashed the engine {}: {} at {} on {}, which was calling it since {}; {} so far [{}]",
        when(left.call),
        how_in_words(mark.how),
        time(mark.at_ns),
        thread(left),
        time(left.since_ns),
        times(crashes),
        Code::CRASHED,
    )
}

fn interrupted(remains: &Remains, left: &CallLeft, boot_id: &str) -> String {
    let why = match (remains.process, remains.culprit()) {
        (_, Some(culprit)) => match &culprit.name {
            Some(name) => format!("{} had crashed it", escape_control(&name.id)),
            None => "a call of another plugin had crashed it".to_owned(),
        },
        (Some((mark, tid)), None) => match mark.how {
            How::SentSignal(signal) => format!("somebody had sent it {}", signal_name(signal)),
            how => format!("by {} on the thread {tid}", how_in_words(how)),
        },
        (None, None) if remains.run.boot_id != boot_id => {
            "it was killed, or the machine stopped".to_owned()
        }
        (None, None) => "it was killed".to_owned(),
    };
    format!(
        "was being called when the process ended ({why}): {} on {}, since {}; not counted",
        when(left.call),
        thread(left),
        time(left.since_ns),
    )
}

/// How a process ended, in words.
pub(super) fn how_in_words(how: How) -> String {
    match how {
        How::Signal(signal) | How::SentSignal(signal) => signal_name(signal),
        How::Exit(-1) => "an exit of the process".to_owned(),
        How::Exit(status) => format!("an exit of the process with the status {status}"),
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGBUS => "SIGBUS",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        libc::SIGABRT => "SIGABRT",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGSYS => "SIGSYS",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

/// How often, in words.
pub(super) fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}

/// What a plugin shows that has crashed the engine as often as it may.
pub(super) fn quarantined(crashes: u32, last: &LastCrash) -> String {
    let when = match last.call {
        Some(call) => format!("in its {call}"),
        None => "while its file was loaded or unmapped".to_owned(),
    };
    format!(
        "quarantined: crashed the engine {}, the last time at {} {when} ({}); another file is loaded, and `reset` tries this one again",
        times(crashes),
        last.at,
        how_in_words(last.how)
    )
}
