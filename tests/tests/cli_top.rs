//! `top` on a terminal: what it shows, and that the terminal is given back however it ends.

use plugin_engine_tests::{Answer, Ended, OnTerminal, StandIn, command, ended, golden};
use rustix::process::Signal;

const ALTERNATE_SCREEN: &str = "\u{1b}[?1049h";
const OWN_SCREEN: &str = "\u{1b}[?1049l";

fn engine() -> StandIn {
    StandIn::new(
        |request| match request.split(' ').nth(1).unwrap_or_default() {
            "/engine" => Answer::json(golden("engine_info")),
            "/plugins" => Answer::json(golden("plugins")),
            "/plugins/hangs/display" => Answer::new("200 OK", "text/plain", "shown of itself"),
            path if path.contains("follow=true") => Answer::stream("", true),
            path if path.starts_with("/history?") => Answer::json(golden("history")),
            path => Answer::refusal("404 Not Found", "PE0401", path),
        },
    )
}

fn top(stand_in: &StandIn) -> OnTerminal {
    let mut command = command();
    command.arg("top").arg("--state").arg(stand_in.dir());
    OnTerminal::start(&mut command)
}

#[test]
fn plugins_are_shown_one_is_looked_at_in_detail_and_q_gives_the_terminal_back() {
    let stand_in = engine();
    let mut top = top(&stand_in);
    top.await_shown("clock");
    assert!(top.has_written(ALTERNATE_SCREEN) && !top.is_as_before());
    // Down, and more of that one.
    top.press("\u{1b}[B\r");
    top.await_shown("shown of itself");
    assert!(
        top.screen()
            .contains("\n  last progress  2026-01-31T02:59:53.123Z (")
    );
    assert!(
        stand_in
            .asked()
            .contains(&"GET /history?id=hangs&order=newest&limit=50".to_owned())
    );
    top.press("q");
    assert_eq!(top.end(), Some(0));
    top.await_written(OWN_SCREEN);
    assert!(top.is_as_before());
}

#[test]
fn a_signal_ends_it_and_gives_the_terminal_back() {
    for (signal, status) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let stand_in = engine();
        let mut top = top(&stand_in);
        top.await_shown("clock");
        top.signal(signal);
        assert_eq!(top.end(), Some(status));
        top.await_written(OWN_SCREEN);
        assert!(top.is_as_before());
    }
}

#[test]
fn an_engine_that_goes_away_is_said_above_what_was_known() {
    let stand_in = engine();
    let mut top = top(&stand_in);
    top.await_shown("clock");
    let _dir = stand_in.kill();
    top.await_shown("no engine runs with the state directory");
    top.press("q");
    assert_eq!(top.end(), Some(0));
}

#[test]
fn without_a_terminal_or_an_engine_it_does_not_begin() {
    let stand_in = engine();
    let mut piped = command();
    piped.arg("top").arg("--state").arg(stand_in.dir());
    let Ended { status, err, .. } = ended(&mut piped);
    assert_eq!(status, 1);
    assert!(
        err.starts_with("plugin-engine: top needs a terminal"),
        "{err}"
    );

    let dir = engine().kill();
    let mut command = command();
    command.arg("top").arg("--state").arg(dir.path());
    let mut top = OnTerminal::start(&mut command);
    assert_eq!(top.end(), Some(3));
    assert!(!top.has_written(ALTERNATE_SCREEN) && top.is_as_before());
}
