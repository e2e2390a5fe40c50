//! Why a task is not supervised.

use plugin_engine_core::{EnterError, bounded, escape_control};

use crate::code::Code;

/// Why a task was not started. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuperviseError {
    /// A task cannot have this name.
    #[error(
        "a task cannot be named \"{}\": {why}",
        escape_control(bounded(name, 80))
    )]
    Name {
        /// The name.
        name: Box<str>,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A task of this name runs, or as many as may.
    #[error("{name}: {source}")]
    NotEntered {
        /// The task.
        name: Box<str>,
        /// Which of the two.
        #[source]
        source: EnterError,
    },
    /// A future was to be supervised outside of a tokio runtime, so that nobody would poll it.
    #[error(
        "{name}: a future is supervised on the tokio runtime from within which it is started, and there is none here"
    )]
    NoRuntime {
        /// The task.
        name: Box<str>,
    },
    /// The engine has been shut down.
    #[error("{name}: not started, the engine has been shut down")]
    ShutDown {
        /// The task.
        name: Box<str>,
    },
    /// The thread of the task could not be started.
    #[error("{name}: cannot start its thread: {source}")]
    Thread {
        /// The task.
        name: Box<str>,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl SuperviseError {
    /// The stable code.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let error = engine.supervise("", |_| ()).unwrap_err();
    /// assert_eq!(error.code(), plugin_engine::Code::TASK_NAME);
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Name { .. } => Code::TASK_NAME,
            Self::NotEntered {
                source: EnterError::Taken,
                ..
            } => Code::TASK_NAME_TAKEN,
            Self::NotEntered { .. } => Code::TOO_MANY_TASKS,
            Self::NoRuntime { .. } => Code::NO_RUNTIME,
            Self::ShutDown { .. } => Code::SHUT_DOWN,
            Self::Thread { .. } => Code::NO_THREAD,
        }
    }
}
