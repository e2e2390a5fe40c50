//! Causes, times and durations in the words of a person. Never which of them matter.

use std::time::Duration;

use plugin_engine_core::{Cause, Fault, FaultKind, WallTime, bounded, escape_control};

/// The longest text of somebody else that is repeated in a line, in bytes.
const QUOTE_LEN_MAX: usize = 300;

/// What happened, once. No `_`: a new cause has to be given words.
pub(super) const fn of_cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Mapped => "its file was verified and mapped",
        Cause::LoadFailed => "its file was refused",
        Cause::Created => "its instance was created",
        Cause::CreateFailed => "a create failed",
        Cause::RequirementUnmet => {
            "it was held back, because something that it requires was not there"
        }
        Cause::RequirementMet => "what it requires had come, and it was created",
        Cause::UpdateStarted => "an update started",
        Cause::UpdateCompleted => "an update completed",
        Cause::UpdateFailed => "an update failed",
        Cause::UpdateTimedOut => "an update timed out",
        Cause::UpdatePanicked => "an update panicked",
        Cause::FailedPermanently => "an update failed for good",
        Cause::DisplayFailed => "a display failed",
        Cause::DestroyFailed => "the destroy of an instance failed",
        Cause::CreatedAnew => "the instance that had panicked was created anew",
        Cause::GaveUp => "its restarts were used up, and it was given up",
        Cause::Unhealthy => "it was unhealthy, and stopped to be restarted",
        Cause::TurnedUnhealthy => "it became unhealthy, and goes on being called",
        Cause::Restarted => "it was restarted",
        Cause::Replaced => "another instance was put beside one whose call does not return",
        Cause::Recovered => "it was healthy again",
        Cause::BreakerOpened => {
            "its circuit breaker opened, because too many updates had failed in a row"
        }
        Cause::BreakerClosed => "its circuit breaker closed, because an update had completed",
        Cause::LimitPassed => "it used more than its limits allow",
        Cause::LimitsKept => "it kept to its limits again",
        Cause::CallRefused => "an update that was due could not be started",
        Cause::ReturnedLate => {
            "a call returned that nobody waited for any more, and its result was discarded"
        }
        Cause::ThreadPanicked => "a thread that the plugin had started panicked",
        Cause::SwitchedOn => "it was switched on",
        Cause::SwitchedOff => "it was switched off",
        Cause::Reset => "it was reset",
        Cause::Reloaded => "another build or other settings took over",
        Cause::ReloadRefused => "a reload was refused, and what was active went on",
        Cause::RolledBack => "a reload was undone, and what was active before took over again",
        Cause::Reconfigured => "another schedule or other limits began to hold",
        Cause::SaveFailed => "its state could not be saved for a replacement",
        Cause::Unloaded => "it was unloaded",
        Cause::FileRemoved => "its file was removed, and it was unloaded",
        Cause::ShutDown => "the engine was shut down, and it was unloaded",
        Cause::Crashed => "a call of it brought the engine to its end",
        Cause::Interrupted => {
            "it was being called when the engine came to its end for another reason"
        }
        Cause::Quarantined => {
            "it was not loaded, because it has crashed the engine as often as it may"
        }
    }
}

/// The kind of an error, before its message.
pub(super) const fn of_kind(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Failed => "the plugin reported an error",
        FaultKind::Permanent => "the plugin reported an error that trying again cannot mend",
        FaultKind::Timeout => "it took too long",
        FaultKind::Panic => "it panicked",
        FaultKind::ThreadPanic => "a thread of the plugin panicked",
        FaultKind::Load => "its file was refused",
        FaultKind::Config => "its configuration is not good",
        FaultKind::Contract => "it answered with something that the contract does not have",
        FaultKind::Refused => "the engine could not make the call",
        FaultKind::Requirement => "something that it requires is not there",
        FaultKind::Limit => "it used more than it should",
        FaultKind::Crash => "it crashed the engine",
        // The type is for others to match on with room for more; here every kind has words.
        _ => "error",
    }
}

/// An error as one line: its kind in words and by its name, what it says, and where.
pub(super) fn error(fault: &Fault) -> String {
    let mut text = format!(
        "{} [{}]: {}",
        of_kind(fault.kind),
        fault.kind,
        message(fault)
    );
    if !fault.location.is_empty() {
        text.push_str(&format!(" (at {})", escape_control(&fault.location)));
    }
    text
}

/// What an error says.
pub(super) fn message(fault: &Fault) -> String {
    quote(&fault.message)
}

/// What somebody else has written, on one line and not too long.
pub(super) fn quote(text: &str) -> String {
    let cut = bounded(text, QUOTE_LEN_MAX);
    let dots = if cut.len() < text.len() { " …" } else { "" };
    format!("{}{dots}", escape_control(cut))
}

/// A time of day, with the date where that is another one than that of `now`. In UTC.
pub(super) fn clock(time: WallTime, now: WallTime) -> String {
    let text = |time: WallTime| humantime::format_rfc3339_seconds(time.into()).to_string();
    let (shown, today) = (text(time), text(now));
    match (shown.split_once('T'), today.split_once('T')) {
        (Some((date, clock)), Some((today, _))) if date == today => clock.to_owned(),
        (Some((date, clock)), _) => format!("{date} {clock}"),
        _ => shown,
    }
}

/// A time that has been, with how long ago that is.
pub(super) fn past(time: WallTime, now: WallTime) -> String {
    let ago = now.saturating_since(time);
    let ago = if ago < Duration::from_secs(1) {
        "just now".to_owned()
    } else {
        format!("{} ago", span(ago))
    };
    format!("{} ({ago})", clock(time, now))
}

/// A time that is to come, with how long it is until then.
pub(super) fn future(time: WallTime, now: WallTime) -> String {
    format!(
        "{} (in {})",
        clock(time, now),
        span(time.saturating_since(now))
    )
}

/// How long, in one or two units.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let two = |large: u64, unit: &str, small: u64, other: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {other}"),
    };
    match seconds {
        0 => "less than a second".to_owned(),
        1..60 => format!("{seconds} s"),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds / 60 % 60, "min"),
        _ => {
            let days = seconds / 86_400;
            let unit = if days == 1 { "day" } else { "days" };
            two(days, unit, seconds / 3_600 % 24, "h")
        }
    }
}

/// How many, with a noun that takes an s.
pub(super) fn count(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::given::{fault, time};
    use super::*;

    #[test]
    fn a_time_of_another_day_has_its_date_and_one_of_today_has_none() {
        let now = time("00:00:05");
        assert_eq!(clock(time("00:00:01"), now), "00:00:01Z");
        assert_eq!(
            clock(time("2026-11-21 23:59:59"), now),
            "2026-11-21 23:59:59Z"
        );
        assert_eq!(
            past(time("2026-11-21 23:59:59"), now),
            "2026-11-21 23:59:59Z (6 s ago)"
        );
        assert_eq!(
            future(time("2026-11-23 00:00:05"), now),
            "2026-11-23 00:00:05Z (in 1 day)"
        );
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nothing_come_from_the_future() {
        assert_eq!(
            past(time("03:00:00"), time("02:00:00")),
            "03:00:00Z (just now)"
        );
    }

    #[test]
    fn spans_are_told_in_two_units_at_most() {
        for (seconds, text) in [
            (0, "less than a second"),
            (59, "59 s"),
            (60, "1 min"),
            (3_599, "59 min 59 s"),
            (3_600, "1 h"),
            (86_399, "23 h 59 min"),
            (86_400, "1 day"),
            (3 * 86_400 + 7_200, "3 days 2 h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_long_text_of_a_plugin_is_cut_and_its_control_characters_are_shown() {
        let text = format!("one\ntwo {}", "x".repeat(1_000));
        let shown = message(&fault(FaultKind::Failed, None, time("03:00:00"), &text, 1));
        assert!(
            shown.starts_with("one\\ntwo xxx") && shown.ends_with("x …"),
            "{shown}"
        );
        assert!(shown.len() < 320, "{}", shown.len());
    }
}
