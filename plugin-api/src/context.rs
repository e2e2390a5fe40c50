//! What a plugin is told during a call, and what it can ask for.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::abi::{CallFrame, publish_status};
use crate::host;

/// What `create` is told.
pub struct CreateContext<'a> {
    frame: &'a CallFrame,
}

/// What `update` is told.
pub struct UpdateContext<'a> {
    frame: &'a CallFrame,
}

/// What `display` is told.
pub struct DisplayContext<'a> {
    frame: &'a CallFrame,
}

/// What `save_state` is told.
pub struct SaveContext<'a> {
    frame: &'a CallFrame,
}

/// What `restore_state` is told.
pub struct RestoreContext<'a> {
    frame: &'a CallFrame,
}

macro_rules! call_context {
    ($context:ident) => {
        impl<'a> $context<'a> {
            pub(crate) fn new(frame: &'a CallFrame) -> Self {
                Self { frame }
            }

            /// The id of the plugin, which the configuration may have made another than the file's own.
            ///
            /// ```
            /// # use plugin_api::prelude::*;
            /// # struct Works;
            /// # impl Plugin for Works {
            /// #     fn create(_: &CreateContext) -> Result<Self, PluginError> { Ok(Self) }
            ///     fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
            ///         std::fs::write(std::env::temp_dir().join(cx.id()), "one file for each plugin")?;
            ///         Ok(())
            ///     }
            /// # }
            /// # plugin_test_host::TestHost::new().create::<Works>().unwrap().update().unwrap();
            /// ```
            #[must_use]
            pub fn id(&self) -> &str {
                host::id(self.frame)
            }

            /// How long this call may still take, by the engine's clock. Zero once the deadline has passed.
            ///
            /// ```
            /// # use plugin_api::prelude::*;
            /// # struct Works;
            /// # impl Plugin for Works {
            /// #     fn create(_: &CreateContext) -> Result<Self, PluginError> { Ok(Self) }
            ///     fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
            ///         let for_the_answer = cx.time_left() * 9 / 10;   // a tenth is kept back
            ///         if for_the_answer.is_zero() {
            ///             return Err(PluginError::recoverable("no time left"));
            ///         }
            ///         Ok(())
            ///     }
            /// # }
            /// # plugin_test_host::TestHost::new().create::<Works>().unwrap().update().unwrap();
            /// ```
            #[must_use]
            pub fn time_left(&self) -> Duration {
                Duration::from_nanos(
                    self.frame
                        .deadline_ns
                        .saturating_sub(host::now_ns(self.frame)),
                )
            }

            /// Whether nobody waits for this call any more: its deadline has passed, the plugin is being switched off or
            /// unloaded, or the engine shuts down. Work that takes long asks now and then, and returns.
            ///
            /// ```
            /// # use plugin_api::prelude::*;
            /// # struct Works;
            /// # impl Plugin for Works {
            /// #     fn create(_: &CreateContext) -> Result<Self, PluginError> { Ok(Self) }
            ///     fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
            ///         for _portion in 0..1_000 {
            ///             if cx.is_cancelled() {
            ///                 return Err(PluginError::recoverable("not finished"));
            ///             }
            ///         }
            ///         Ok(())
            ///     }
            /// # }
            /// # plugin_test_host::TestHost::new().create::<Works>().unwrap().update().unwrap();
            /// ```
            #[must_use]
            pub fn is_cancelled(&self) -> bool {
                host::is_cancelled(self.frame)
            }

            /// Says that the work is getting on. Cheap enough for the middle of a loop.
            ///
            /// ```
            /// # use plugin_api::prelude::*;
            /// # struct Works;
            /// # impl Plugin for Works {
            /// #     fn create(_: &CreateContext) -> Result<Self, PluginError> { Ok(Self) }
            ///     fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
            ///         for _portion in 0..1_000 {
            ///             cx.record_progress();
            ///         }
            ///         Ok(())
            ///     }
            /// # }
            /// # plugin_test_host::TestHost::new().create::<Works>().unwrap().update().unwrap();
            /// ```
            pub fn record_progress(&self) {
                host::record_progress(self.frame);
            }

            /// Publishes the event `plugin.<id>.<name>` with a text of the plugin's own.
            ///
            /// Nothing is lost silently: see [`Self::try_publish`] for the reasons a publish may be refused. This method logs
            /// the refusal as a warning.
            ///
            /// ```
            /// # use plugin_api::prelude::*;
            /// # struct Works;
            /// # impl Plugin for Works {
            /// #     fn create(_: &CreateContext) -> Result<Self, PluginError> { Ok(Self) }
            ///     fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
            ///         cx.publish("disk.full", "93 %");        // the event plugin.<id>.disk.full
            ///         Ok(())
            ///     }
            /// # }
            /// # plugin_test_host::TestHost::new().create::<Works>().unwrap().update().unwrap();
            /// ```
            pub fn publish(&self, name: &str, payload: impl AsRef<str>) {
                if let Err(error) = self.try_publish(name, payload) {
                    if error != PublishError::Discarded {
                        tracing::warn!(target: "plugin_api", name, %error, "event refused");
                    }
                }
            }

            /// Publishes the event `plugin.<id>.<name>`, and says whether the engine took it.
            ///
            /// ```
            /// # use plugin_api::prelude::*;
            /// # struct Works;
            /// # impl Plugin for Works {
            /// #     fn create(_: &CreateContext) -> Result<Self, PluginError> { Ok(Self) }
            ///     fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
            ///         let refused = cx.try_publish("state", "one of the engine's own names");
            ///         assert_eq!(refused, Err(PublishError::NameRefused));
            ///         cx.try_publish("count", "42")?;
            ///         Ok(())
            ///     }
            /// # }
            /// # plugin_test_host::TestHost::new().create::<Works>().unwrap().update().unwrap();
            /// ```
            ///
            /// # Errors
            /// The name is reserved or malformed, the payload too long, or this call was abandoned.
            pub fn try_publish(
                &self,
                name: &str,
                payload: impl AsRef<str>,
            ) -> Result<(), PublishError> {
                PublishError::from_status(host::publish(self.frame, name, payload.as_ref()))
            }
        }

        impl fmt::Debug for $context<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($context))
                    .field("id", &self.id())
                    .field("time_left", &self.time_left())
                    .field("is_cancelled", &self.is_cancelled())
                    .finish_non_exhaustive()
            }
        }
    };
}

call_context!(CreateContext);
call_context!(UpdateContext);
call_context!(DisplayContext);
call_context!(SaveContext);
call_context!(RestoreContext);

impl CreateContext<'_> {
    /// The plugin's settings, as the type that the author wants.
    ///
    /// ```
    /// use plugin_api::prelude::*;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Settings { start: u64 }
    ///
    /// struct Counter { count: u64 }
    ///
    /// impl Plugin for Counter {
    ///     fn create(cx: &CreateContext) -> Result<Self, PluginError> {
    ///         let settings: Settings = cx.settings()?;
    ///         Ok(Self { count: settings.start })
    ///     }
    /// #
    /// #     fn update(&mut self, _: &UpdateContext) -> Result<(), PluginError> { Ok(()) }
    /// }
    /// #
    /// # let host = plugin_test_host::TestHost::new();
    /// # assert!(host.create::<Counter>().is_err());
    /// # assert!(host.settings(serde_json::json!({ "start": 5 })).create::<Counter>().is_ok());
    /// ```
    ///
    /// # Errors
    /// The settings do not fit the type: names the key, what was expected and what was found. Through `?` it becomes a
    /// recoverable [`crate::PluginError`], as any error does; [`crate::PluginError::into_permanent`] says that only another
    /// configuration can help.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, SettingsError> {
        let text = host::settings(self.frame);
        let mut deserializer = serde_json::Deserializer::from_str(text);
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = error.path().to_string();
            // The position in a JSON text that the author never wrote would only mislead.
            let text = error.into_inner().to_string();
            let reason = text
                .rsplit_once(" at line ")
                .map_or(text.as_str(), |(reason, _)| reason)
                .to_owned();
            SettingsError {
                key: (path != ".").then_some(path),
                reason,
            }
        })
    }
}

/// Settings that do not fit the type the plugin asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    key: Option<String>,
    reason: String,
}

impl SettingsError {
    /// The key below `settings`, with dots, where the mismatch lies inside one.
    ///
    /// ```
    /// use plugin_api::prelude::*;
    /// use plugin_test_host::TestHost;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Settings { start: u64 }
    ///
    /// struct Counter;
    ///
    /// impl Plugin for Counter {
    ///     fn create(cx: &CreateContext) -> Result<Self, PluginError> {
    ///         let wrong = cx.settings::<Settings>().err().expect("a text is no number");
    ///         assert_eq!(wrong.key(), Some("start"));
    ///         Ok(Self)
    ///     }
    /// #
    /// #     fn update(&mut self, _: &UpdateContext) -> Result<(), PluginError> { Ok(()) }
    /// }
    ///
    /// # fn main() -> Result<(), plugin_test_host::CallError> {
    /// let host = TestHost::new().settings(serde_json::json!({ "start": "ten" }));
    /// host.create::<Counter>()?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "settings.{key}: {}", self.reason),
            None => write!(f, "settings: {}", self.reason),
        }
    }
}

impl std::error::Error for SettingsError {}

/// Why the engine did not take an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PublishError {
    /// The name is one of the engine's own, or not of the form `[a-z0-9][a-z0-9_.-]{0,63}`.
    NameRefused,
    /// The payload is longer than the engine takes (64 KiB).
    TooLong,
    /// The call was abandoned: what it says is no longer heard.
    Discarded,
}

impl PublishError {
    fn from_status(status: u8) -> Result<(), Self> {
        match status {
            publish_status::ACCEPTED => Ok(()),
            publish_status::NAME_REFUSED => Err(Self::NameRefused),
            publish_status::TOO_LONG => Err(Self::TooLong),
            _ => Err(Self::Discarded),
        }
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NameRefused => {
                "the event's name is reserved for the engine or not of the form [a-z0-9][a-z0-9_.-]{0,63}"
            }
            Self::TooLong => "the event's payload is longer than 64 KiB",
            Self::Discarded => "the call was abandoned, so the event was discarded",
        })
    }
}

impl std::error::Error for PublishError {}
