//! PE04xx: why a command was refused or failed.

super::codes! {
    UNKNOWN_PLUGIN = "PE0401", "no plugin has the id" {
        cause: "No file and no configuration with this id has been seen since the engine started.",
        example: "no plugin \"clokc\" is known; known are: clock, system [PE0401]",
        remedy: "Correct the id, or drop the plugin's file in.",
    }
    COMMAND_DENIED = "PE0402", "the state does not admit the command" {
        cause: "Each state admits some commands; the message names the state and what is possible in it.",
        example: "clock: cannot update while Disabled; possible now: enable, unload, reset [PE0402]",
        remedy: "Give one of the commands that the message names first.",
    }
    CALL_REFUSED = "PE0403", "the plugin cannot be called now" {
        cause: "An earlier call has not returned, or no thread is free for another call.",
        example: "clock: an abandoned call has not returned [PE0403]",
        remedy: "Wait until the earlier call returns; `reset` begins with a new instance beside it.",
    }
    CALL_FAILED = "PE0404", "the call was made and failed" {
        cause: "The plugin returned an error, panicked, or passed its deadline.",
        example: "clock: timeout: has not returned within 500ms [PE0404]",
        remedy: "The message is the plugin's own, or names the deadline. A recoverable failure is tried again by itself.",
    }
    SHUT_DOWN = "PE0405", "the engine has been shut down" {
        cause: "The command came after the shutdown had begun.",
        example: "the engine has been shut down [PE0405]",
        remedy: "Start a new engine; one that was shut down stays so.",
    }
    NO_THREAD = "PE0406", "a thread could not be started" {
        cause: "The limit of threads or of memory that the system sets for the process is reached.",
        example: "cannot start the thread plugin-watchdog [PE0406]",
        remedy: "Raise the limit (`ulimit -u`, or the limit of tasks of the service).",
    }
    FROM_WITHIN_CALL = "PE0407", "a plugin's call gave a command that waits for that call" {
        cause: "The command would have to wait for the end of the call that it comes from.",
        example: "clock: this command waits for the plugin's call to end, and comes from within that call [PE0407]",
        remedy: "Give the command from another thread, or after the call.",
    }
    DIRECTORY_UNREADABLE = "PE0408", "the plugin directory cannot be read" {
        cause: "The directory is absent, is none, or the engine's user may not read it.",
        example: "cannot read the plugin directory plugins.d: No such file or directory (os error 2) [PE0408]",
        remedy: "Create the directory, or name another with `--plugins`.",
    }
}
