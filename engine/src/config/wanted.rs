//! What a key takes, in words. Never what it means.

use std::time::Duration;

use plugin_engine_core::REQUIREMENTS_MAX;

use super::keys::Kind;

/// A duration as a person would write it: whole days stay days, because 365 days are no number of whole months.
pub(crate) fn duration_text(duration: Duration) -> String {
    const DAY: u64 = 24 * 3_600;
    let seconds = duration.as_secs();
    if seconds > DAY && seconds.is_multiple_of(DAY) && duration.subsec_nanos() == 0 {
        return format!("{}days", seconds / DAY);
    }
    humantime::format_duration(duration).to_string()
}

impl Kind {
    /// What the key takes, for a sentence that says that something else is there.
    pub(crate) fn wanted(self) -> String {
        match self {
            Self::Id => "an id in quotes, of a-z, 0-9, _ and -".to_owned(),
            Self::Path => "a path in quotes".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Duration { min, max } => format!(
                "a duration in quotes, from \"{}\" to \"{}\", such as \"1s\"",
                duration_text(min),
                duration_text(max)
            ),
            Self::Count { min, max } => format!("a whole number from {min} to {max}"),
            Self::Choice(choices) => {
                let choices: Vec<_> = choices.iter().map(|one| format!("\"{one}\"")).collect();
                choices.join(" or ")
            }
            Self::PublicKeys => "a list of public keys of minisign, in quotes".to_owned(),
            Self::Owners => {
                format!("a list of numbers of users, from 0 to {}", u32::MAX)
            }
            Self::Requirements => format!(
                "a list of at most {REQUIREMENTS_MAX} texts such as \"clock\", \"clock >= 1.2\" or \"clock >= 1.2, < 2\""
            ),
            Self::Settings | Self::Table(_) => "a table".to_owned(),
            Self::Tables(section) => format!("a list of tables, each begun with {}", section.name),
        }
    }
}
