use plugin_api::Async;
use plugin_test_host::{TestHost, Then, When};
use serde_json::json;

use super::PluginName;

#[test]
fn an_update_waits_for_the_next_measurement() {
    let host = TestHost::new().settings(json!({ "milliseconds": 1 }));
    let mut plugin = host.create::<Async<PluginName>>().unwrap();
    plugin.update().unwrap();
    assert_eq!(plugin.published()[0].name, "measured");
}

#[test]
fn an_update_whose_deadline_passes_is_given_up() {
    let host = TestHost::new().settings(json!({ "milliseconds": 3_600_000 }));
    let mut plugin = host.create::<Async<PluginName>>().unwrap();
    // It asks whether it was cancelled each time before it waits on.
    plugin.in_next_call(When::Question(2), Then::PassDeadline);
    assert!(plugin.update().unwrap_err().is_timeout());
    plugin.destroy().unwrap();
}
