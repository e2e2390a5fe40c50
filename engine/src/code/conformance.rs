//! PE081x to PE083x: what `plugin-engine validate` finds in a plugin file.

super::codes! {
    VALIDATE_NOT_RUN = "PE0811", "the checks could not be made" {
        cause: "The file, or one that is to be loaded with it, cannot be read or copied to a temporary directory; or no process could be started.",
        example: "cannot read libclock.so or copy it to a temporary directory: No such file or directory (os error 2) [PE0811]",
        remedy: "Name a file that is there, and make room in the temporary directory (`TMPDIR`).",
    }
    VALIDATE_CRASHED = "PE0812", "the plugin ends the process that calls it" {
        cause: "A signal or an exit ended the process in which the check was made. The engine of a host would end in the same way, with all other plugins.",
        example: "updates failed the process ended by SIGSEGV [PE0812]",
        remedy: "Look at what the plugin does there: unsafe code, an abort, a panic during a panic, a recursion without end, `exit`. A debugger on `plugin-engine run` over the same file stops at the place.",
    }
    VALIDATE_HUNG = "PE0813", "a check came to no end" {
        cause: "Code of the plugin that the engine cannot leave behind did not return: in a create, in the code that runs when the file is mapped or unmapped, or while it holds something that everybody needs.",
        example: "unload failed nothing has come of it for 35s, and the process was ended [PE0813]",
        remedy: "Wait for nothing in constructors, destructors and create; give what has to wait a limit.",
    }
    VALIDATE_CREATE = "PE0814", "the plugin is not created without settings" {
        cause: "Its create returned an error or did not return, and no settings were given. It may need some.",
        example: "create failed failed: missing field `greeting` [PE0814]",
        remedy: "If it needs settings, give them: `--settings 'KEY = VALUE'` or `--settings FILE`. Else do what the message says.",
    }
    VALIDATE_NEEDS_SETTINGS = "PE0815", "the plugin needs settings" {
        cause: "The schema of its settings asks for some that were not given, so it was not created, and little could be looked at.",
        example: "create skipped libfeed.toml: `settings`: \"source\" is a required property [PE0815]",
        remedy: "Give the settings: `--settings 'KEY = VALUE'`, or `--settings FILE` with the lines or with a [settings] table.",
    }
    VALIDATE_NEEDS_PLUGINS = "PE0816", "the plugin needs another one" {
        cause: "Its manifest requires plugins that are not there, so it was not created.",
        example: "create skipped requires noop >= 0.1, < 1, which is not there [PE0816]",
        remedy: "Name the files of those plugins: `--with FILE`, once for each.",
    }
    VALIDATE_LIMITS = "PE0817", "interval and timeout do not fit each other" {
        cause: "The times in the manifest hold wherever no configuration says otherwise. An update that may take many intervals is noticed late when it hangs; an interval of a few milliseconds costs a processor.",
        example: "limits warning interval 1s, timeout 30s: an update that hangs is noticed after more than 10 intervals [PE0817]",
        remedy: "Choose a timeout that is a few times what an update takes, and an interval that the work is worth.",
    }
    VALIDATE_SLOW_START = "PE0818", "create or destroy takes long" {
        cause: "Starts, reloads and shutdowns of a host wait for these calls, up to their deadlines.",
        example: "create warning created without settings in 2.0s [PE0818]",
        remedy: "Leave what takes long to the first update, or to a thread that ends with the instance.",
    }
    VALIDATE_DESTROY = "PE0819", "an instance is not destroyed well" {
        cause: "Its destroy panicked or passed its deadline. What it held until then is not given back.",
        example: "destroy failed panic: no such lock, at src/lib.rs:20:9 [PE0819]",
        remedy: "Let destroy only let go of things, and have each wait in it end.",
    }
    VALIDATE_SETTINGS = "PE0820", "wrong settings are not refused as they should be" {
        cause: "People write settings by hand. A create that panics over them tells where in the source and not what is wrong.",
        example: "settings failed with `limit` as high as may be: panic: capacity overflow, at src/lib.rs:20:9 [PE0820]",
        remedy: "Return an error that names the setting and what it takes; describe ranges in the schema.",
    }
    VALIDATE_UPDATES = "PE0821", "updates fail" {
        cause: "Updates returned errors, with the settings that were given and on this machine.",
        example: "updates warning 333 of 1,000 updates failed, first: failed: update 3 fails as asked [PE0821]",
        remedy: "If what the plugin asks for is not there, give settings with which it is (`--settings`). Else do what the message says.",
    }
    VALIDATE_TIMEOUT = "PE0822", "an update passes its deadline" {
        cause: "An update did not return in time. The engine leaves it behind, and calls the plugin again only when it has returned.",
        example: "updates failed update 1 did not return within 500ms, its timeout [PE0822]",
        remedy: "Do the work in portions: look at `time_left` and `is_cancelled` in between, and return an error with `retry_after` to go on soon. Or say a longer timeout in the manifest; `--limit` waits longer here.",
    }
    VALIDATE_DURATION = "PE0823", "updates take long for their times" {
        cause: "The longest update took more than half of the timeout, or updates take longer than the interval on average: on a slower machine they pass their deadline.",
        example: "duration warning mean 310.0ms, longest 402.1ms, more than half of the timeout of 500ms [PE0823]",
        remedy: "Say a longer timeout or interval in the manifest, or do less in one update.",
    }
    VALIDATE_PANICS = "PE0824", "the plugin panics" {
        cause: "An update, or a thread that the plugin started, panicked. After each panic in a call the instance is made anew; after a few of them the plugin is unhealthy.",
        example: "panics failed 5 of 5 updates panicked: panic: index out of bounds, at src/lib.rs:20:9 [PE0824]",
        remedy: "Return an error in place of the panic; look at what a thread of yours returned when it is joined.",
    }
    VALIDATE_OUTPUT = "PE0825", "the plugin says too much, or past the engine" {
        cause: "More events in one update than a subscriber keeps (1,024) are lost to it; thousands of lines of log hide those of others; long texts are cut; what is printed reaches no log.",
        example: "output failed at most 1,000,000 events of 7 bytes and 0 lines of log in one update: a flood [PE0825]",
        remedy: "Publish what has changed, log in `tracing::debug!` what only you need, and print nothing.",
    }
    VALIDATE_PROGRESS = "PE0826", "a long update records no progress" {
        cause: "An update that takes longer than a second says in no way whether it is getting on or hangs.",
        example: "progress warning an update took 2.1s and recorded none [PE0826]",
        remedy: "Call `record_progress` between two portions of the work.",
    }
    VALIDATE_CANCELLATION = "PE0827", "an update goes on that nobody waits for" {
        cause: "An update was given a deadline of a millisecond, and returned more than a second after it, or not at all. It keeps its thread for so long, and whoever switches the plugin off or reloads it waits.",
        example: "cancellation failed an update that had passed a deadline of 1.0ms returned 3.0s later [PE0827]",
        remedy: "Look at `is_cancelled` at least every few hundred milliseconds, and give every wait for something outside a limit of `time_left`.",
    }
    VALIDATE_DISPLAY = "PE0828", "the display fails" {
        cause: "The display panicked, failed, passed its deadline, or what it shows is not of the kind that it says.",
        example: "display failed panic: no update yet, at src/lib.rs:20:9 [PE0828]",
        remedy: "Keep in an update what is to be shown, and let the display only show it; it may come before the first update.",
    }
    VALIDATE_THREADS = "PE0829", "threads live on after the destroy" {
        cause: "A thread that an instance started runs code of the file when nobody uses it any more. The file can never be unmapped, and each reload adds a thread.",
        example: "threads failed 1 thread lives on after the destroy: poller [PE0829]",
        remedy: "Tell the thread to end in destroy, and join it there.",
    }
    VALIDATE_DESCRIPTORS = "PE0830", "descriptors are left open after the destroy" {
        cause: "After many instances more is open than before. A process may have a thousand or so open, then nothing works in it.",
        example: "descriptors failed 50 more are open after 50 instances: socket [PE0830]",
        remedy: "Close in destroy what was opened; look for `mem::forget`, `into_raw_fd`, and threads or statics that hold files.",
    }
    VALIDATE_MEMORY = "PE0831", "memory is left after the destroy" {
        cause: "The process has grown by more than a mebibyte over each of two rounds of fifty instances that were created and destroyed.",
        example: "memory failed 12,300 KiB more after 100 instances [PE0831]",
        remedy: "Look for `mem::forget`, `Box::leak`, cycles of `Arc`, and statics that only grow.",
    }
    VALIDATE_THREAD_KEYS = "PE0832", "many keys for thread-local values are taken" {
        cause: "The C library has 1,024 keys for all of a process. A file that takes many leaves few for others, and the engine refuses files when they run low.",
        example: "thread keys warning 40 of the 1,024 keys of a process are taken [PE0832]",
        remedy: "Use `thread_local!` in place of keys of your own, or one key for all values.",
    }
    VALIDATE_UNLOAD = "PE0833", "the file stays mapped after its unload" {
        cause: "Something may still run its code, or it says itself that it must stay. By default every file stays mapped; with `unmap = \"when-safe\"` this one does, too, and each reload adds to the memory of the host.",
        example: "unload warning stays mapped after its unload: it says itself that it must stay mapped (NODELETE) [PE0833]",
        remedy: "Do what the reason says: end threads in destroy, link without `-z nodelete`, do without libraries that nothing else needs. Where that is not possible, replace the file seldom.",
    }
    VALIDATE_STOP_FIRST = "PE0834", "another build takes over only where the one before stops first" {
        cause: "While one instance is there a second one cannot be created, as of a plugin that owns a port or a lock.",
        example: "reload warning another build takes over only with reload = \"stop-first\": its create did not complete: failed: the address is in use [PE0834]",
        remedy: "Tell operators to configure `reload = \"stop-first\"`, or do not take hold of it before the first update.",
    }
    VALIDATE_RELOAD = "PE0835", "another build does not take over" {
        cause: "The same file with other bytes was loaded beside the running instance, created, given its state if it hands one over, and updated. One of these did not complete.",
        example: "reload failed its restore_state did not complete: failed: the state is not of version 1 [PE0835]",
        remedy: "Do what the message says. What `save_state` returns has to be what `restore_state` takes.",
    }
    VALIDATE_SETTINGS_UNREADABLE = "PE0836", "the settings for a validation cannot be read" {
        cause: "What `--settings` names is neither a file with TOML in it nor TOML itself.",
        example: "the settings \"x.toml\" are no TOML, and no file of that name is there: key with no value, expected `=` [PE0836]",
        remedy: "Give lines of TOML (`--settings 'path = \"/srv\"'`), or a file with them or with a [settings] table.",
    }
}
