//! Plugins whose calls are `async fn`s: the trait that their author implements, and the plugin that it is for the engine.

use std::fmt;
use std::time::Duration;

use crate::runtime::{InstanceRuntime, Interrupted};
use crate::{
    CreateContext, DisplayContext, Plugin, PluginError, RestoreContext, SaveContext, Tasks,
    UpdateContext, View,
};

/// A plugin whose calls wait in a tokio runtime that lives and dies with the instance. Exported as [`Async`]:
///
/// ```standalone_crate
/// use std::time::Duration;
///
/// use plugin_api::prelude::*;
/// use plugin_api::tokio::time::sleep;
///
/// struct Weather { readings: u64 }
///
/// impl AsyncPlugin for Weather {
///     async fn create(_cx: &CreateContext<'_>, tasks: &Tasks) -> Result<Self, PluginError> {
///         tasks.spawn("listen", async {
///             loop {
///                 sleep(Duration::from_secs(1)).await;      // goes on between the calls
///             }
///         });
///         Ok(Self { readings: 0 })
///     }
///
///     async fn update(&mut self, cx: &UpdateContext<'_>) -> Result<(), PluginError> {
///         sleep(Duration::from_millis(1)).await;
///         self.readings += 1;
///         cx.publish("readings", self.readings.to_string());
///         Ok(())
///     }
///
///     async fn display(&mut self, _cx: &DisplayContext<'_>) -> Result<View, PluginError> {
///         Ok(View::text(format!("{} readings", self.readings)))
///     }
///
///     async fn destroy(self) {
///         sleep(Duration::from_millis(1)).await;            // says good-bye to a server
///     }
/// }
///
/// export_plugin!(Async<Weather>, id = "weather", interval = "10s", timeout = "2s");
/// # fn main() {}
/// ```
///
/// The engine's thread waits for the future of a call, which may borrow the plugin and the context; tasks run on threads of the runtime. Once
/// the deadline has passed or the call is cancelled, the future is dropped at the `await` that it waits at, within some 10 ms: what it had done
/// to the plugin by then stays done, and the plugin is called again. A future that never comes to an `await` is a call that hangs.
///
/// When the instance is destroyed, every task is dropped at its `await`, and the threads end before `destroy` returns, so that nothing of
/// the plugin runs any more and its file can be unmapped. A task that comes to no `await` within
/// [`SHUTDOWN_LIMIT`](Self::SHUTDOWN_LIMIT) is named in the log; its thread lives on, and the engine keeps the file mapped for it.
///
/// Functions of tokio that want a runtime find this one. For more than timers and tasks, add `tokio` to the plugin's own dependencies with
/// the features that are wanted (`net`, `fs`, `macros` …).
///
/// The methods and constants that are not described here are those of [`Plugin`].
pub trait AsyncPlugin: Sized + Send + 'static {
    /// As [`Plugin::STATE_VERSION`].
    const STATE_VERSION: u32 = 0;

    /// How many threads run tasks; at least 1. Up to 16 more start for what blocks, as `tokio::task::spawn_blocking`.
    const WORKER_THREADS: usize = 1;

    /// How long [`destroy`](Self::destroy) may wait, and after that as long again the end of tasks and threads. Twice that has to be less than
    /// the engine's `destroy_timeout`, 5 s unless configured.
    const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);

    /// As [`Plugin::create`]. `tasks` starts what goes on between the calls; a clone of it can be kept.
    ///
    /// # Errors
    /// As there.
    fn create(
        cx: &CreateContext<'_>,
        tasks: &Tasks,
    ) -> impl Future<Output = Result<Self, PluginError>>;

    /// As [`Plugin::update`].
    ///
    /// # Errors
    /// As there.
    fn update(&mut self, cx: &UpdateContext<'_>) -> impl Future<Output = Result<(), PluginError>>;

    /// As [`Plugin::display`].
    ///
    /// # Errors
    /// As there.
    fn display(
        &mut self,
        cx: &DisplayContext<'_>,
    ) -> impl Future<Output = Result<View, PluginError>> {
        let _ = cx;
        async { Ok(View::empty()) }
    }

    /// As [`Plugin::destroy`]: while tasks still run. Dropped where it waits after [`SHUTDOWN_LIMIT`](Self::SHUTDOWN_LIMIT).
    fn destroy(self) -> impl Future<Output = ()> {
        async {}
    }

    /// As [`Plugin::settings_schema`].
    #[must_use]
    fn settings_schema() -> Option<String> {
        None
    }

    /// As [`Plugin::save_state`].
    ///
    /// # Errors
    /// As there.
    fn save_state(&mut self, cx: &SaveContext<'_>) -> Result<Vec<u8>, PluginError> {
        let _ = cx;
        Err(PluginError::permanent(
            "it has a STATE_VERSION and does not implement save_state",
        ))
    }

    /// As [`Plugin::restore_state`].
    ///
    /// # Errors
    /// As there.
    fn restore_state(
        &mut self,
        cx: &RestoreContext<'_>,
        version: u32,
        state: &[u8],
    ) -> Result<(), PluginError> {
        let _ = (cx, state);
        Err(PluginError::permanent(format!(
            "it has a STATE_VERSION and does not implement restore_state, so that it cannot take over state of version {version}"
        )))
    }
}

/// An [`AsyncPlugin`] as a [`Plugin`], with the runtime that its calls wait in.
pub struct Async<P> {
    plugin: P,
    /// After the plugin, which may hold what belongs to the runtime.
    runtime: InstanceRuntime,
}

impl<P: fmt::Debug> fmt::Debug for Async<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Async").field(&self.plugin).finish()
    }
}

/// Why the call of a context is no longer waited for, if so.
macro_rules! interruption {
    ($cx:expr) => {
        || {
            if $cx.time_left().is_zero() {
                Some(Interrupted::DeadlinePassed)
            } else {
                $cx.is_cancelled().then_some(Interrupted::Cancelled)
            }
        }
    };
}

impl<P: AsyncPlugin> Plugin for Async<P> {
    const STATE_VERSION: u32 = P::STATE_VERSION;

    fn create(cx: &CreateContext) -> Result<Self, PluginError> {
        let runtime = InstanceRuntime::start(cx.id(), P::WORKER_THREADS, P::SHUTDOWN_LIMIT)?;
        let plugin = runtime.wait_for(interruption!(cx), P::create(cx, runtime.tasks()))??;
        Ok(Self { plugin, runtime })
    }

    fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
        self.runtime
            .wait_for(interruption!(cx), self.plugin.update(cx))?
    }

    fn display(&mut self, cx: &DisplayContext) -> Result<View, PluginError> {
        self.runtime
            .wait_for(interruption!(cx), self.plugin.display(cx))?
    }

    fn settings_schema() -> Option<String> {
        P::settings_schema()
    }

    fn save_state(&mut self, cx: &SaveContext) -> Result<Vec<u8>, PluginError> {
        self.plugin.save_state(cx)
    }

    fn restore_state(
        &mut self,
        cx: &RestoreContext,
        version: u32,
        state: &[u8],
    ) -> Result<(), PluginError> {
        self.plugin.restore_state(cx, version, state)
    }

    fn destroy(self) {
        let Self {
            plugin,
            mut runtime,
        } = self;
        if runtime.wait_for_a_while(plugin.destroy()).is_err() {
            tracing::warn!(
                target: "plugin_api",
                "destroy waited for longer than {:?}, and was given up",
                P::SHUTDOWN_LIMIT
            );
        }
        runtime.shut_down();
    }
}
