//! The plugin as WebAssembly, with what its hosts have against one that does not return: epochs in wasmtime, a timer thread in extism.

use std::time::Duration;

use wasmtime::{Config, Engine, Instance, Module, Store, TypedFunc};

use crate::peers::Records;

/// What `noop` does.
const NOOP: &str = r#"(module
    (global $updates (mut i64) (i64.const 0))
    (func (export "update") (result i32)
        (global.set $updates (i64.add (global.get $updates) (i64.const 1)))
        (i32.const 0)))"#;
const EPOCH: Duration = Duration::from_millis(1);
/// A second.
const DEADLINE_EPOCHS: u64 = 1_000;

/// Instances in stores of their own, each with records.
pub(crate) struct Wasmtime {
    plugins: Vec<(Store<()>, TypedFunc<(), i32>, Records)>,
}

impl Wasmtime {
    pub(crate) fn new(count: usize) -> Self {
        let (engine, module) = compile();
        let epochs = engine.weak();
        std::thread::spawn(move || {
            while let Some(engine) = epochs.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(EPOCH);
            }
        });
        let plugins = (0..count).map(|_| {
            let (store, update) = instantiate(&engine, &module);
            (store, update, Records::default())
        });
        let mut all = Self {
            plugins: plugins.collect(),
        };
        // Rings of records have grown before anything is measured.
        all.cycles(600);
        all
    }

    /// Updates each of them so many times.
    pub(crate) fn cycles(&mut self, count: usize) {
        for _ in 0..count {
            for (store, update, records) in &mut self.plugins {
                records.around(|| {
                    store.set_epoch_deadline(DEADLINE_EPOCHS);
                    u8::from(update.call(store, ()).expect("it is in time") != 0)
                });
            }
        }
    }
}

fn compile() -> (Engine, Module) {
    let mut config = Config::new();
    config.epoch_interruption(true);
    let engine = Engine::new(&config).expect("the processor is supported");
    let module = Module::new(&engine, NOOP).expect("it is a module");
    (engine, module)
}

fn instantiate(engine: &Engine, module: &Module) -> (Store<()>, TypedFunc<(), i32>) {
    let mut store = Store::new(engine, ());
    store.set_epoch_deadline(DEADLINE_EPOCHS);
    let instance = Instance::new(&mut store, module, &[]).expect("it imports nothing");
    let update = instance.get_typed_func(&mut store, "update");
    let update = update.expect("it exports the function");
    (store, update)
}

/// From the text of a module to its first call.
pub(crate) fn load_with_wasmtime() {
    let (engine, module) = compile();
    let (mut store, update) = instantiate(&engine, &module);
    update.call(&mut store, ()).expect("it is in time");
}

/// One plugin of extism.
pub(crate) struct Extism {
    plugin: extism::Plugin,
    records: Records,
}

impl Extism {
    pub(crate) fn new() -> Self {
        let manifest = extism::Manifest::new([extism::Wasm::data(NOOP)]);
        let manifest = manifest.with_timeout(Duration::from_secs(1));
        let plugin = extism::Plugin::new(manifest, [], false).expect("it is a module");
        let mut extism = Self {
            plugin,
            records: Records::default(),
        };
        extism.updates(1);
        extism
    }

    pub(crate) fn updates(&mut self, count: usize) {
        for _ in 0..count {
            self.records.around(|| {
                let called = self.plugin.call::<(), ()>("update", ());
                called.expect("it is in time");
                0
            });
        }
    }
}
