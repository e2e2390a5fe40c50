//! The states of a plugin, the calls into it, and which commands a state admits.

use std::fmt;
use std::str::FromStr;

/// The state of a plugin. There are no others.
///
/// ```
/// use plugin_engine_core::PluginState;
///
/// assert_eq!(PluginState::Error.name(), "Error");
/// assert_eq!(PluginState::from_code(0), Some(PluginState::Unloaded));
/// assert_eq!("enabled".parse(), Ok(PluginState::Enabled));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum PluginState {
    /// No library. The state of every unknown id.
    Unloaded = 0,
    /// The library is verified and mapped, no instance yet.
    Loaded = 1,
    /// An instance exists, updates run when due.
    Enabled = 2,
    /// An update is in flight and inside its deadline.
    Running = 3,
    /// Needs a reset, a reload, a fixed file or the restart policy. Not called.
    Error = 4,
    /// Switched off by configuration or by a person. Not called.
    Disabled = 5,
}

/// All states.
pub const STATES: [PluginState; 6] = [
    PluginState::Unloaded,
    PluginState::Loaded,
    PluginState::Enabled,
    PluginState::Running,
    PluginState::Error,
    PluginState::Disabled,
];

impl PluginState {
    /// The state's name, as it is written everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unloaded => "Unloaded",
            Self::Loaded => "Loaded",
            Self::Enabled => "Enabled",
            Self::Running => "Running",
            Self::Error => "Error",
            Self::Disabled => "Disabled",
        }
    }

    /// The state with this number.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        if (code as usize) < STATES.len() {
            Some(STATES[code as usize])
        } else {
            None
        }
    }
}

impl fmt::Display for PluginState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such state; the states are Unloaded, Loaded, Enabled, Running, Error and Disabled")]
pub struct UnknownState;

impl FromStr for PluginState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        STATES
            .into_iter()
            .find(|state| state.name().eq_ignore_ascii_case(text))
            .ok_or(UnknownState)
    }
}

/// One entry into plugin code.
///
/// ```
/// use plugin_engine_core::CallKind;
///
/// assert_eq!(CallKind::SaveState.name(), "save_state");
/// assert_eq!(CallKind::from_code(1), Some(CallKind::Update));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum CallKind {
    /// Makes the instance.
    Create = 0,
    /// Does the plugin's work.
    Update = 1,
    /// Shows the plugin to a person.
    Display = 2,
    /// Gives the instance back.
    Destroy = 3,
    /// Hands over the state of an instance that is about to be replaced.
    SaveState = 4,
    /// Takes over the state of the instance before.
    RestoreState = 5,
}

impl CallKind {
    /// The call's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Display => "display",
            Self::Destroy => "destroy",
            Self::SaveState => "save_state",
            Self::RestoreState => "restore_state",
        }
    }

    /// The call with this number.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Create,
            1 => Self::Update,
            2 => Self::Display,
            3 => Self::Destroy,
            4 => Self::SaveState,
            5 => Self::RestoreState,
            _ => return None,
        })
    }
}

impl fmt::Display for CallKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a person or an embedder can ask of a plugin.
///
/// ```
/// use plugin_engine_core::{Admission, Command, PluginState};
///
/// assert_eq!(Command::Reset.name(), "reset");
/// assert_eq!(Command::Enable.admission(PluginState::Enabled), Admission::AlreadySo);
/// let legal: Vec<_> = Command::legal_in(PluginState::Unloaded).collect();
/// assert_eq!(legal, [Command::Load, Command::Unload, Command::Reload, Command::Forget]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Map the library and create the instance.
    Load,
    /// Switch on: create an instance where there is none.
    Enable,
    /// Switch off: destroy the instance, keep the library.
    Disable,
    /// Leave Error, or begin anew with a new instance and no error.
    Reset,
    /// Update now, due or not.
    Update,
    /// Show the plugin.
    Display,
    /// Destroy the instance and let go of the library.
    Unload,
    /// Put the file as it is now in the place of the one that is loaded, if it is good.
    Reload,
    /// Forget the history.
    Forget,
}

/// Whether a state admits a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It will be done.
    Accepted,
    /// It is so already: success, and no entry in the history.
    AlreadySo,
    /// A call is in flight: decide again when it has ended or passed its deadline.
    WhenCallEnds,
    /// Not legal in this state.
    Denied,
}

impl Command {
    /// All commands.
    pub const ALL: [Self; 9] = [
        Self::Load,
        Self::Enable,
        Self::Disable,
        Self::Reset,
        Self::Update,
        Self::Display,
        Self::Unload,
        Self::Reload,
        Self::Forget,
    ];

    /// The command's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Reset => "reset",
            Self::Update => "update",
            Self::Display => "display",
            Self::Unload => "unload",
            Self::Reload => "reload",
            Self::Forget => "forget",
        }
    }

    /// Whether `state` admits this command.
    #[must_use]
    pub const fn admission(self, state: PluginState) -> Admission {
        use Admission::{Accepted, AlreadySo, Denied, WhenCallEnds};
        use PluginState::{Disabled, Enabled, Error, Loaded, Running, Unloaded};
        match (self, state) {
            (Self::Load, Unloaded) => Accepted,
            (Self::Load, Loaded | Enabled | Running | Disabled) => AlreadySo,
            (Self::Load, Error) => Denied,

            (Self::Enable, Disabled | Error) => Accepted,
            (Self::Enable, Loaded | Enabled | Running) => AlreadySo,
            (Self::Enable, Unloaded) => Denied,

            (Self::Disable, Loaded | Enabled | Error) => Accepted,
            (Self::Disable, Disabled) => AlreadySo,
            (Self::Disable, Running) => WhenCallEnds,
            (Self::Disable, Unloaded) => Denied,

            (Self::Reset, Enabled | Disabled | Error) => Accepted,
            (Self::Reset, Running) => WhenCallEnds,
            (Self::Reset, Unloaded | Loaded) => Denied,

            (Self::Update | Self::Display, Enabled) => Accepted,
            (Self::Update | Self::Display, Running) => WhenCallEnds,
            (Self::Update | Self::Display, Unloaded | Loaded | Error | Disabled) => Denied,

            (Self::Unload, Loaded | Enabled | Disabled | Error) => Accepted,
            (Self::Unload, Unloaded) => AlreadySo,
            (Self::Unload, Running) => WhenCallEnds,

            // Its file is verified, loaded and tried first; only then does it matter whether a call is in flight.
            (Self::Reload, Unloaded | Loaded | Enabled | Disabled | Error) => Accepted,
            (Self::Reload, Running) => WhenCallEnds,

            (Self::Forget, Unloaded) => Accepted,
            (Self::Forget, Loaded | Enabled | Running | Error | Disabled) => Denied,
        }
    }

    /// The commands that `state` does not deny.
    pub fn legal_in(state: PluginState) -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(move |command| command.admission(state) != Admission::Denied)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
