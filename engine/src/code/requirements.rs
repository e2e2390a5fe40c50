//! 052x: what plugins require of each other.

use plugin_engine_core::{FaultKind, FaultReport, Unmet};

use super::Code;

impl Code {
    /// The code of a requirement that is not met.
    pub(crate) fn of_unmet(unmet: &Unmet) -> Self {
        match unmet {
            Unmet::Cycle { .. } => Self::REQUIREMENT_CYCLE,
            _ => Self::REQUIREMENT_UNMET,
        }
    }

    /// What a plugin shows that is held back by a requirement; `what` came of that, if it is not the plugin's state.
    pub(crate) fn unmet_report(what: &str, unmet: &Unmet) -> FaultReport {
        let code = Self::of_unmet(unmet);
        FaultReport {
            type_name: code.to_string(),
            ..FaultReport::new(FaultKind::Requirement, format!("{what}{unmet} [{code}]"))
        }
    }
}

super::codes! {
    BAD_REQUIREMENT = "PE0521", "a requirement is none" {
        cause: "An item of `requires` is an id of a plugin and, where one is meant, a version requirement as Cargo writes it. There are at most 64 in one place, and a plugin cannot require itself.",
        example: "libreport.toml:2:13: an item of `requires` is wrong: \"clock => 1.2\" is no requirement: \"=> 1.2\" is no version requirement (unexpected character '>' while parsing major version number) [PE0521]",
        remedy: "Write `\"clock\"`, `\"clock >= 1.2\"` or `\"clock >= 1.2, < 2\"`.",
    }
    REQUIREMENT_UNMET = "PE0522", "something that the plugin requires is not there" {
        cause: "A plugin that it requires has not been loaded, is switched off, has failed, or is of a version that does not fit. Until that has changed it is not created, and is not called if it was created before.",
        example: "report: requires clock >= 1.2; clock is 1.1.0 [PE0522]",
        remedy: "Load, enable or replace the plugin that the message names: this one then starts by itself. Its manifest (`plugin-engine inspect`) or its configuration says what it requires.",
    }
    REQUIREMENT_CYCLE = "PE0523", "plugins require each other in a circle" {
        cause: "None of them could be created before the others.",
        example: "report: requires itself in the end: report requires clock requires report [PE0523]",
        remedy: "Take one of the requirements back: in the configuration that says it, or in the plugin.",
    }
}
