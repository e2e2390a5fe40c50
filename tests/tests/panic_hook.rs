//! The panic hook of the program stays the program's. Alone in its process, because a process has one.

use std::sync::Mutex;
use std::time::Duration;

use plugin_engine::TaskState;
use plugin_engine_tests::{Rig, lines_with, wait_for};

static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn hear(who: &str) {
    let who = who.to_owned();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let said = info.payload_as_str().unwrap_or_default();
        HEARD.lock().unwrap().push(format!("{who}: {said}"));
        before(info);
    }));
}

fn heard() -> Vec<String> {
    std::mem::take(&mut HEARD.lock().unwrap())
}

fn panic_in_a_task(rig: &Rig, name: &'static str) {
    let task = rig.engine.supervise(name, move |_| panic!("{name} panics"));
    let task = task.unwrap();
    wait_for("the panic", || {
        matches!(task.state(), TaskState::Waiting { .. })
    });
    wait_for("the line of log", || lines_with(name).len() == 1);
    task.cancel();
    assert!(task.join_within(Duration::from_secs(60)));
}

#[test]
fn the_hook_of_the_program_hears_every_panic_whether_it_was_there_before_the_engine_or_came_later()
{
    assert!(lines_with("before").is_empty());
    std::panic::set_hook(Box::new(|_| ()));
    hear("first");
    let rig = Rig::new();
    panic_in_a_task(&rig, "one");
    assert_eq!(heard(), ["first: one panics"]);
    let line = lines_with("one").remove(0);
    assert_eq!(line.fields["task"], "one");
    assert!(line.message.contains("one panics") && line.message.contains("panic_hook.rs:"));
    let module = std::env::current_exe().unwrap();
    let module = module.file_name().unwrap().to_str().unwrap();
    assert!(line.fields["stack"].contains(module), "{line:?}");

    // A thread that nobody supervises is none of the engine's business, and neither is another engine's start.
    let _another = Rig::new();
    let other = std::thread::spawn(|| panic!("nobody supervises this"));
    other.join().unwrap_err();
    assert_eq!(heard(), ["first: nobody supervises this"]);

    // One that comes later and hands on is in front of the engine's.
    hear("second");
    panic_in_a_task(&rig, "two");
    assert_eq!(heard(), ["second: two panics", "first: two panics"]);
    assert!(lines_with("two").remove(0).fields["stack"].contains(module));

    // One that comes later and does not leaves the engine without the stack, and without the message of another panic.
    std::panic::set_hook(Box::new(|_| ()));
    panic_in_a_task(&rig, "three");
    assert_eq!(heard(), Vec::<String>::new());
    let line = lines_with("three").remove(0);
    assert!(line.message.contains("three panics"), "{line:?}");
    assert_eq!(line.fields["stack"], "unknown");
}
