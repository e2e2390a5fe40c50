//! What becomes of a plugin's state at a reload.

use plugin_api::prelude::*;
use plugin_test_host::{SavedState, TestHost};

struct Counts<const VERSION: u32> {
    count: u64,
}

impl<const VERSION: u32> Plugin for Counts<VERSION> {
    const STATE_VERSION: u32 = VERSION;

    fn create(_: &CreateContext) -> Result<Self, PluginError> {
        Ok(Self { count: 0 })
    }

    fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
        self.count += 1;
        cx.record_progress();
        cx.publish("count", self.count.to_string());
        if VERSION == 9 {
            return Err(PluginError::recoverable("version 9 does not work"));
        }
        Ok(())
    }

    fn save_state(&mut self, _: &SaveContext) -> Result<Vec<u8>, PluginError> {
        Ok(self.count.to_le_bytes().to_vec())
    }

    fn restore_state(
        &mut self,
        _: &RestoreContext,
        version: u32,
        state: &[u8],
    ) -> Result<(), PluginError> {
        if version > VERSION {
            return Err(PluginError::permanent(format!(
                "state of version {version}"
            )));
        }
        self.count = u64::from_le_bytes(state.try_into()?);
        Ok(())
    }
}

fn counts() -> plugin_test_host::TestPlugin<Counts<1>> {
    let mut plugin = TestHost::new().create::<Counts<1>>().unwrap();
    plugin.update().unwrap();
    plugin.update().unwrap();
    plugin
}

#[test]
fn a_reload_hands_the_state_over_and_makes_known_what_the_trial_published() {
    let plugin = counts().reload_as::<Counts<2>>(&TestHost::new()).unwrap();
    assert_eq!(plugin.published()[0].payload, "3");
    // The progress of a trial is not the plugin's.
    assert_eq!((plugin.published().len(), plugin.progress()), (1, 0));
}

#[test]
fn without_a_version_on_both_sides_nothing_is_handed_over() {
    let plugin = counts().reload_as::<Counts<0>>(&TestHost::new()).unwrap();
    assert_eq!(plugin.published()[0].payload, "1");
}

#[test]
fn a_refused_reload_leaves_the_very_instance_that_was_there() {
    let refused = counts()
        .reload_as::<Counts<9>>(&TestHost::new())
        .unwrap_err();
    assert_eq!(refused.error.message(), "version 9 does not work");
    let mut plugin = refused.plugin;
    plugin.update().unwrap();
    let events = plugin.published();
    assert_eq!((events.len(), &*events[2].payload), (3, "3"));
    assert_eq!(plugin.created(), 1);
}

#[test]
fn a_state_of_any_age_and_content_can_be_put_to_a_plugin() {
    let mut plugin = counts();
    let saved = plugin.save_state().unwrap();
    assert_eq!((saved.version, saved.bytes.len()), (1, 8));
    let newer = SavedState {
        version: 7,
        ..saved
    };
    assert_eq!(
        plugin.restore_state(&newer).unwrap_err().message(),
        "state of version 7"
    );
    let broken = SavedState {
        version: 1,
        bytes: vec![1],
    };
    assert!(plugin.restore_state(&broken).unwrap_err().is_recoverable());
}
