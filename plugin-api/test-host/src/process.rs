//! What is done once in a process that tests plugins: the panic hook of `plugin-api`, for panics in calls of plugins alone, and its log.

use std::sync::{Arc, Once};

use plugin_api::abi::PluginModuleRef;

use crate::clock::Clock;
use crate::context::Context;
use crate::instance;

/// Has `plugin-api` install what it installs in a plugin file. Every other panic of the test goes to the hook that was there before, so
/// that a failed assertion is printed as ever.
pub(crate) fn prepare(module: PluginModuleRef) {
    static PREPARED: Once = Once::new();
    PREPARED.call_once(|| {
        let before = std::panic::take_hook();
        let context = Context::new("", String::from("{}"), Clock::system(), false);
        instance::init(module, &Arc::new(context));
        let in_calls = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if plugin_api::__private::is_in_call() {
                in_calls(info);
            } else {
                before(info);
            }
        }));
    });
}
