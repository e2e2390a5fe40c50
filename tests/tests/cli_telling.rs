//! The commands that tell a running engine to do something to a plugin.

use plugin_engine_tests::{Answer, Ended, StandIn, command, ended, golden, objects};

const COMMANDS: [&str; 8] = [
    "enable", "disable", "load", "reload", "reset", "unload", "update", "forget",
];

fn tell(stand_in: &StandIn, args: &[&str]) -> Ended {
    let mut command = command();
    command.args(args).arg("--state").arg(stand_in.dir());
    ended(&mut command)
}

fn done(request: &str) -> Answer {
    if request.starts_with("POST ") {
        Answer::json(golden("command_done"))
    } else {
        Answer::json(golden("snapshot"))
    }
}

#[test]
fn every_command_is_a_post_to_its_plugin() {
    let stand_in = StandIn::new(done);
    for name in COMMANDS {
        let Ended { status, out, err } = tell(&stand_in, &[name, "clock", "--wait", "5s"]);
        assert_eq!((status, &*err), (0, ""), "{name}");
        assert_eq!(
            out, "clock: reload done, is Enabled; generation 2\n",
            "{name}"
        );
    }
    let expected = COMMANDS.map(|name| format!("POST /plugins/clock/{name}"));
    assert_eq!(stand_in.asked(), expected);
}

#[test]
fn without_a_time_to_wait_the_times_of_the_plugin_are_asked_for() {
    let stand_in = StandIn::new(done);
    let Ended { status, out, .. } = tell(&stand_in, &["reload", "clock", "--json"]);
    assert_eq!(status, 0);
    assert_eq!(objects(&out)[0]["snapshot"]["generation"], 1);
    assert_eq!(
        stand_in.asked(),
        ["GET /plugins/clock", "POST /plugins/clock/reload"]
    );
}

#[test]
fn a_refusal_says_why_and_what_is_possible() {
    for (answer, expected) in [
        ("409 Conflict", 1),
        ("404 Not Found", 1),
        ("400 Bad Request", 2),
    ] {
        let stand_in = StandIn::new(move |_| {
            Answer::refusal(
                answer,
                "PE0402",
                "clock: cannot update while Disabled; possible now: enable",
            )
        });
        let Ended { status, out, err } = tell(&stand_in, &["update", "clock"]);
        assert_eq!((status, &*out), (expected, ""));
        assert_eq!(
            err,
            "plugin-engine: clock: cannot update while Disabled; possible now: enable [PE0402]\n"
        );
    }
}

#[test]
fn a_command_that_takes_longer_than_one_waits_is_said_to_go_on() {
    let stand_in = StandIn::new(|_| Answer::Silence);
    let Ended { status, err, .. } = tell(&stand_in, &["update", "clock", "--wait", "50ms"]);
    assert_eq!(status, 3);
    assert_eq!(
        err,
        "plugin-engine: the engine has not answered within 50ms; it may still carry out the command: \
         `history` and `why` of the plugin will tell [PE0733]\n"
    );
}

#[test]
fn an_engine_that_goes_away_meanwhile_is_told_from_one_that_says_no() {
    let stand_in = StandIn::new(|_| Answer::Bytes(Vec::new()));
    let Ended { status, err, .. } = tell(&stand_in, &["update", "clock", "--wait", "5s"]);
    assert_eq!(status, 3);
    assert!(err.ends_with("[PE0734]\n"), "{err}");
}
