use plugin_test_host::TestHost;
use serde_json::json;

use super::PluginName;

#[test]
fn only_the_last_updates_are_shown() {
    let host = TestHost::new().settings(json!({ "shown": 2 }));
    let mut plugin = host.create::<PluginName>().unwrap();
    for _ in 0..3 {
        plugin.update().unwrap();
    }
    let view = plugin.display().unwrap();
    assert_eq!(view.as_text().unwrap().lines().count(), 2);
}

#[test]
fn to_show_nothing_is_refused() {
    let host = TestHost::new().settings(json!({ "shown": 0 }));
    let refused = host.create::<PluginName>().unwrap_err();
    assert!(refused.to_string().contains("settings.shown"), "{refused}");
}
