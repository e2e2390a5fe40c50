//! Keeps the time of day: the smallest plugin with a dependency of its own.
//!
//! It is a lesson in where work belongs. An update does the work and keeps the result; a display only shows what was kept,
//! so that it is quick, and so that the person who looks sees when the plugin last ran.

use jiff::Timestamp;
use plugin_api::prelude::*;

struct Clock {
    latest: Option<Timestamp>,
    updates: u64,
}

impl Plugin for Clock {
    fn create(_cx: &CreateContext) -> Result<Self, PluginError> {
        Ok(Self {
            latest: None,
            updates: 0,
        })
    }

    fn update(&mut self, _cx: &UpdateContext) -> Result<(), PluginError> {
        self.latest = Some(Timestamp::now());
        self.updates += 1;
        Ok(())
    }

    fn display(&mut self, _cx: &DisplayContext) -> Result<View, PluginError> {
        let Some(latest) = self.latest else {
            return Ok(View::text("no update yet"));
        };
        let time = latest.strftime("%Y-%m-%d %H:%M:%S UTC");
        let plural = if self.updates == 1 { "" } else { "s" };
        Ok(View::text(format!(
            "{time}, {} update{plural}",
            self.updates
        )))
    }
}

export_plugin!(Clock, id = "clock", interval = "1s", timeout = "500ms");
