use plugin_test_host::TestHost;
use serde_json::json;

use super::PluginName;

#[test]
fn each_update_is_counted_and_greeted() {
    let host = TestHost::new().settings(json!({ "greeting": "good morning" }));
    let mut plugin = host.create::<PluginName>().unwrap();
    plugin.update().unwrap();
    plugin.update().unwrap();
    assert_eq!(plugin.published()[1].payload, "2");
    assert_eq!(plugin.log()[0].message, "good morning updates=1");
}

#[test]
fn settings_that_are_not_known_are_refused() {
    let host = TestHost::new().settings(json!({ "greetings": "hello" }));
    let refused = host.create::<PluginName>().unwrap_err();
    assert!(refused.to_string().contains("greetings"), "{refused}");
}
