//! Where an engine works and since when, as an embedder asks it. The rest of the façade is in `engine`.

use std::path::Path;

use plugin_engine_core::WallTime;

use crate::engine::Engine;

/// What an engine was built with.
impl Engine {
    /// The directory of the plugin files, if there is one.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// let engine = plugin_engine::Engine::builder().plugin_dir("plugins.d").build()?;
    /// assert_eq!(engine.plugin_dir(), Some(Path::new("plugins.d")));
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn plugin_dir(&self) -> Option<&Path> {
        self.shared().options.plugin_dir.as_deref()
    }

    /// The directory for what outlives the process, if there is one. It is this engine's alone until that is shut down: another one that asks
    /// for it is refused.
    ///
    /// ```
    /// let engine = plugin_engine::Engine::builder().build()?;
    /// assert_eq!(engine.state_dir(), None, "so nothing is written");
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn state_dir(&self) -> Option<&Path> {
        self.shared().state_dir.as_deref().map(|dir| dir.path())
    }

    /// When the engine was built, by the wall clock.
    ///
    /// ```
    /// let engine = plugin_engine::Engine::builder().build()?;
    /// println!("up since {}", engine.started_at());
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn started_at(&self) -> WallTime {
        self.shared().started_at
    }
}
