//! 062x: crashes of the engine, and the directory in which they are kept.

super::codes! {
    QUARANTINED = "PE0621", "the plugin has crashed the engine as often as it may" {
        cause: "The process ended by a fatal signal or by an exit on a thread that was calling this plugin, as often as `after_crashes` says (2, if nobody says anything). It is neither mapped nor created, so that the others can run.",
        example: "plugins.d/libclock.so: clock: quarantined: crashed the engine twice, the last time at 2026-01-01T00:00:00Z in its update (SIGSEGV); another file is loaded, and `reset` tries this one again [PE0621]",
        remedy: "Put a mended file in its place: the count is of the bytes that crashed. `reset` forgets the count and tries the same file again.",
    }
    CRASHED = "PE0622", "a call of the plugin has crashed the engine" {
        cause: "When the process before ended, a fatal signal or an exit came about on the very thread that was calling this plugin. It is counted, and entered into the plugin's history at the next start. A process that is killed from outside counts for nobody.",
        example: "clock: crashed the engine in its update: SIGSEGV at 2026-01-01T00:00:00Z on the thread plugin-worker (4711), which was calling it since 2026-01-01T00:00:00Z; once so far [PE0622]",
        remedy: "Look at what the plugin does in that call: unsafe code, an abort, a recursion without end, `exit`, or more memory than there is.",
    }
    STATE_DIR_IN_USE = "PE0623", "another engine has the state directory" {
        cause: "Two engines that write into one directory would take each other's crashes for their own. The directory is locked for as long as an engine runs; the lock goes with its process.",
        example: "another engine (process 4711) has the state directory state; stop that one, or name another directory [PE0623]",
        remedy: "Stop the other engine, or give this one a directory of its own.",
    }
    STATE_DIR_UNUSABLE = "PE0624", "the state directory cannot be used" {
        cause: "It cannot be made, read or written, is no directory, or everybody may write into it. Without it the engine could not say after a crash who crashed it, so it does not start.",
        example: "cannot begin state/calls: No space left on device (os error 28) [PE0624]",
        remedy: "Make room, or name a directory (`--state`, `PLUGIN_ENGINE_STATE`) that belongs to the user of the engine and that not everybody may write into.",
    }
    STATE_FILE_SET_ASIDE = "PE0625", "a file in the state directory is not believed" {
        cause: "It is damaged, was cut, was written by a later version or on another kind of machine, or is something else. The engine starts without what it says, and the file is renamed so that it can be looked at.",
        example: "state/crashes.json: not believed, and set aside as state/crashes.json.set-aside: it has the format 2, and this version knows 1 [PE0625]",
        remedy: "Nothing has to be done. After going back from a later version, put the file back when that version runs again.",
    }
}
