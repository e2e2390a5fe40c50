use plugin_test_host::{SavedState, TestHost};
use serde_json::json;

use super::PluginName;

#[test]
fn after_a_reload_the_count_goes_on() {
    let host = TestHost::new().settings(json!({ "start": 5 }));
    let mut plugin = host.create::<PluginName>().unwrap();
    plugin.update().unwrap();
    // A reload makes an update of its own before the new instance takes over.
    let plugin = plugin.reload_as::<PluginName>(&host).unwrap();
    assert_eq!(plugin.published()[0].payload, "7");
}

#[test]
fn a_state_that_is_not_known_is_refused() {
    let mut plugin = TestHost::new().create::<PluginName>().unwrap();
    let state = SavedState {
        version: 2,
        bytes: Vec::new(),
    };
    let refused = plugin.restore_state(&state).unwrap_err();
    assert_eq!(refused.message(), "a state of another version");
}
