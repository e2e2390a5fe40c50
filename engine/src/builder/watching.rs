//! How an engine is told when a change in its directory counts.

use std::time::Duration;

use super::EngineBuilder;

/// Watching.
impl EngineBuilder {
    /// How long a file has to stay as it is before [`Engine::watch`](crate::Engine::watch) takes a change of it for one: 1 ms to one minute, by default 200 ms.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let engine = plugin_engine::Engine::builder()
    ///     .plugin_dir("plugins.d")
    ///     .watch_settle(Duration::from_millis(500))
    ///     .watch_grace(Duration::from_secs(5))
    ///     .watch_rescan(Duration::from_secs(30))
    ///     .build()?;
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    pub fn watch_settle(mut self, time: Duration) -> Self {
        self.watch_settle = Some(time);
        self
    }

    /// How long a file has to be gone before [`Engine::watch`](crate::Engine::watch) unloads its plugins: 1 ms to one hour, by default 2 s. A file that comes
    /// back within that time was replaced. No shorter than the time in which changes settle, whatever is said here.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = plugin_engine::Engine::builder().watch_grace(Duration::from_secs(5));
    /// ```
    pub fn watch_grace(mut self, time: Duration) -> Self {
        self.watch_grace = Some(time);
        self
    }

    /// How often [`Engine::watch`](crate::Engine::watch) looks at the directory even if nothing was noticed, because not everything is: 10 ms to one day, by
    /// default 5 s.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = plugin_engine::Engine::builder().watch_rescan(Duration::from_secs(30));
    /// ```
    pub fn watch_rescan(mut self, time: Duration) -> Self {
        self.watch_rescan = Some(time);
        self
    }
}
