//! What settings refer to goes to the plugin, anew at each create, and comes back in nothing.

use plugin_engine::{PluginState, Subscription};
use plugin_engine_tests::{Rig, lines_of, misconfigured};

/// The text of the file that is no secret to this test.
const SECRET: &str = "swordfish-\"a\"-file";
/// A variable that Cargo sets for a test, with a text that nobody else says.
const VARIABLE: &str = "CARGO_PKG_DESCRIPTION";

/// The settings of a plugin that refers to two secrets.
fn with_secrets(more: &str) -> String {
    format!(
        "[settings]\ntoken = \"a ${{{VARIABLE}}} b\"\nmore = [{{ key = \"file:secret\" }}]\n{more}\n"
    )
}

/// Everything that can be found out about a plugin, in one text.
fn everything_said(rig: &Rig, id: &str, events: &Subscription) -> String {
    let mut said = format!("{:?}\n{:?}\n", rig.snapshot(id), rig.engine);
    for entry in rig.history(id) {
        said += &format!("{entry}\n{entry:?}\n");
    }
    // What a thread says that is in no call is said in the name of the file.
    for line in lines_of(id).iter().chain(&lines_of("quotes-settings")) {
        said += &format!("{line:?}\n");
    }
    while let Some(event) = events.try_next() {
        said += &format!("{event:?}\n");
    }
    said
}

#[test]
fn a_secret_is_given_to_the_plugin_and_comes_back_in_nothing_that_it_says() {
    let variable = std::env::var(VARIABLE).unwrap();
    for (id, more, shows) in [
        ("quotes-error", "", "fails over Settings"),
        ("quotes-panic", "panic = true", "panics over Settings"),
        ("quotes-create", "fail_create = true", "no good: Settings"),
    ] {
        let rig = Rig::new();
        let events = rig.engine.subscribe("**");
        let _ = lines_of(id);
        std::fs::write(rig.dir().join("secret"), format!("{SECRET}\n")).unwrap();
        rig.drop_as("quotes-settings", id, &with_secrets(more));
        let outcomes = rig.load_any();
        let mut answers = format!("{outcomes:?}\n{}\n", outcomes[0]);
        for _ in 0..2 {
            if let Err(error) = rig.engine.update(id) {
                answers += &format!("{error}\n{error:?}\n");
            }
            match rig.engine.display(id) {
                Ok(view) => answers += view.as_text().unwrap(),
                Err(error) => answers += &format!("{error}\n{error:?}\n"),
            }
        }
        let said = answers + &everything_said(&rig, id, &events);
        assert!(said.contains(shows) && said.contains("[secret]"), "{said}");
        if id != "quotes-create" {
            let given = format!("{} bytes: Settings", variable.len() + 4);
            assert!(said.contains(&given), "{said}");
            for heard in [
                "quoting Settings",
                "a thread quotes",
                "plugin.quotes-",
                "a thread panics over",
            ] {
                assert!(said.contains(heard), "{heard}: {said}");
            }
        }
        for secret in [variable.as_str(), SECRET, "swordfish", "real plugin files"] {
            assert!(!said.contains(secret), "{secret} is in {said}");
        }
    }
}

#[test]
fn a_secret_that_does_not_fit_the_schema_is_not_quoted() {
    let rig = Rig::new();
    std::fs::write(rig.dir().join("secret"), "x".repeat(21)).unwrap();
    rig.drop_as("quotes-settings", "masked", &with_secrets(""));
    let said = misconfigured(&rig.load_any());
    assert_eq!(
        said,
        [
            "PE0310 masked.toml:4:17: `settings.more.0.key`: the value is longer than 20 characters; -"
        ]
    );
}

#[test]
fn a_secret_that_was_changed_is_picked_up_when_the_plugin_is_reset() {
    let rig = Rig::new();
    let write = |text: &str| std::fs::write(rig.dir().join("secret"), text).unwrap();
    write("first-secret");
    rig.drop_as(
        "quotes-settings",
        "rotates",
        "[settings]\ntoken = \"file:secret\"\n",
    );
    rig.load();
    let length = || {
        let view = rig.engine.display("rotates").unwrap();
        view.as_text()
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(length(), "12");
    write("second-secret!");
    rig.engine.reset("rotates").unwrap();
    assert_eq!(length(), "14");
    assert!(!rig.error("rotates").unwrap_or_default().contains("secret!"));
}

#[test]
fn a_reference_to_nothing_keeps_that_plugin_alone_from_being_created_until_it_is_there() {
    let rig = Rig::new();
    rig.drop_as(
        "quotes-settings",
        "refers",
        "[settings]\ntoken = \"file:secret\"\nmore = [{ key = \"${NO_SUCH_VARIABLE_7}\" }]\n",
    );
    rig.drop_in("noop");
    let said = misconfigured(&rig.load_any());
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].starts_with("PE0309 refers.toml:3:9: ")
            && said[0].contains("/secret cannot be read: No such file")
    );
    assert_eq!(
        said[1],
        "PE0309 refers.toml:4:17: the environment variable NO_SUCH_VARIABLE_7 is not set; -"
    );
    assert_eq!(rig.state("refers"), PluginState::Error);
    assert_eq!(rig.state("noop"), PluginState::Enabled);
    let again = rig.engine.reset("refers").unwrap_err();
    assert!(again.to_string().contains("[PE0309]"), "{again}");

    let rig = Rig::new();
    rig.drop_as(
        "quotes-settings",
        "mended",
        "[settings]\ntoken = \"file:secret\"\n",
    );
    let _ = rig.load_any();
    assert_eq!(rig.state("mended"), PluginState::Error);
    std::fs::write(rig.dir().join("secret"), "now-it-is-there").unwrap();
    rig.engine.reset("mended").unwrap();
    assert_eq!(
        (rig.state("mended"), rig.error("mended")),
        (PluginState::Enabled, None)
    );
}
