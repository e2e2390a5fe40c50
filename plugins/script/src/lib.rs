//! Runs a script that stands in its settings, and publishes what comes of it.
//!
//! It is a lesson in running what others write, within limits: a script that is wrong is refused at the start, with its place; one that does not
//! end is ended before the call's deadline, and one that wants more memory or depth than it may have fails. `updates` counts
//! the runs, and what a script gives to `memory` it finds there the next time.

use std::time::Instant;

use plugin_api::prelude::*;
use rhai::{AST, Dynamic, Engine, Scope};

/// What is run.
#[derive(serde::Deserialize, plugin_api::schemars::JsonSchema)]
#[schemars(crate = "plugin_api::schemars")]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The script, in Rhai. Its last expression is what it says. A script with `${…}` in it begins with `literal:`, or the engine takes
    /// that for a variable of the environment. There is no default.
    script: String,
}

struct Script {
    engine: Engine,
    script: AST,
    /// What the script keeps from one run to the next.
    scope: Scope<'static>,
    updates: i64,
    said: Option<String>,
}

impl Plugin for Script {
    fn create(cx: &CreateContext) -> Result<Self, PluginError> {
        let settings: Settings = cx.settings()?;
        let mut engine = Engine::new();
        engine
            .set_max_string_size(64 * 1024)
            .set_max_array_size(10_000)
            .set_max_map_size(10_000)
            .set_max_call_levels(32);
        engine.disable_symbol("eval");
        engine.on_print(|text| tracing::info!("{text}"));
        let script = engine
            .compile(&settings.script)
            .map_err(|error| PluginError::permanent(format!("settings.script: {error}")))?;
        let mut scope = Scope::new();
        scope.push("updates", 0_i64).push("memory", Dynamic::UNIT);
        Ok(Self {
            engine,
            script,
            scope,
            updates: 0,
            said: None,
        })
    }

    fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
        // A tenth of the time is kept back for ending.
        let until = Instant::now() + cx.time_left() * 9 / 10;
        self.engine.on_progress(move |_| {
            (Instant::now() >= until).then(|| Dynamic::from("it takes too long"))
        });
        self.updates += 1;
        self.scope.set_value("updates", self.updates);
        // What a script has declared is forgotten after its run; `memory` is not.
        let declared = self.scope.len();
        let said = self
            .engine
            .eval_ast_with_scope::<Dynamic>(&mut self.scope, &self.script);
        self.scope.rewind(declared);
        let said =
            said.map_err(|error| PluginError::recoverable(format!("the script: {error}")))?;
        let said = said.to_string();
        cx.publish("said", &said);
        self.said = Some(said);
        Ok(())
    }

    fn display(&mut self, _cx: &DisplayContext) -> Result<View, PluginError> {
        Ok(View::text(match &self.said {
            Some(said) => format!("{said}\n"),
            None => "nothing yet\n".to_owned(),
        }))
    }

    fn settings_schema() -> Option<String> {
        plugin_api::schema::<Settings>()
    }
}

export_plugin!(Script, id = "script", interval = "10s", timeout = "1s");
