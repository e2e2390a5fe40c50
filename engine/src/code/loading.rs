//! PE02xx: what can fail once the file has passed all checks.

super::codes! {
    SEAL_FAILED = "PE0201", "no private copy could be made" {
        cause: "A file is copied to where nobody can change it before it is looked at. Memory or descriptors for that are used up, or the file cannot be read to its end.",
        example: "plugins.d/libclock.so: cannot be copied to memory: Too many open files (os error 24) [PE0201]",
        remedy: "Raise the limit that the message names (`ulimit -n`), or load fewer different files.",
    }
    MAP_FAILED = "PE0202", "the system's loader refuses the library" {
        cause: "A symbol that it needs is defined nowhere, or a library that its libraries need is missing or of another version.",
        example: "plugins.d/libclock.so: the system's loader refuses it: undefined symbol: ssl_init [PE0202]",
        remedy: "Install what is missing, or build the plugin on a system like this one. `ldd -r FILE` lists what it needs.",
    }
    CONTRACT_MISMATCH = "PE0203", "the plugin's contract with the engine differs" {
        cause: "The types that cross the boundary were compared field by field and differ in more than fields added at the end; or the file claims to be a plugin and exports no contract.",
        example: "plugins.d/libclock.so: its contract with the engine differs from that of plugin-api 0.1.0: PluginModule has the field refresh where update is expected; rebuild the plugin against that version (it was built against plugin-api 0.1.7) [PE0203]",
        remedy: "Build the plugin against an unchanged plugin-api of the engine's version.",
    }
    LOAD_TIMEOUT = "PE0204", "loading has not finished in time" {
        cause: "A constructor of the file, or of a library that it needs, hangs or takes longer than `load_timeout`. It goes on; until it returns nothing else can be loaded.",
        example: "plugins.d/libclock.so: loading has not finished within 10s; code of the file that runs at load has not returned [PE0204]",
        remedy: "Do long work in `create`, which has a deadline of its own and keeps nobody waiting. Restart the engine to get rid of a constructor that never returns.",
    }
    LOADER_BUSY = "PE0205", "another file still occupies the loader" {
        cause: "The system's loader does one file at a time, and an earlier one has not returned, see PE0204.",
        example: "plugins.d/libsystem.so: waits for plugins.d/libclock.so, whose code that runs at load has not returned [PE0205]",
        remedy: "Remove the file that the message names and restart the engine.",
    }
    ID_TAKEN = "PE0206", "another file has the id" {
        cause: "Two files claim one id. The one that is loaded keeps it, else the first by file name.",
        example: "plugins.d/libclock-copy.so: the id clock belongs to plugins.d/libclock.so [PE0206]",
        remedy: "Remove one of the two, or give one another id in a configuration beside it: `id = \"clock-2\"`.",
    }
    TOO_MANY_PLUGINS = "PE0207", "there is room for no more plugins" {
        cause: "An engine holds a bounded number of ids.",
        example: "plugins.d/libclock.so: there are 1048576 plugins already, which is the most that an engine holds [PE0207]",
        remedy: "Use a second engine, or fewer `[[plugin]]` entries.",
    }
    ANOTHER_PLUGIN = "PE0208", "the file is another plugin by now" {
        cause: "A plugin was to be loaded again from the file that it came from, and that file has been replaced by one whose manifest has another id.",
        example: "plugins.d/libclock.so: is the plugin counter by now, not clock [PE0208]",
        remedy: "Put the plugin's own file back, or load the directory again to get the other plugin.",
    }
    TOO_MANY_LIBRARIES = "PE0209", "as many different files are mapped as may be" {
        cause: "Code that was mapped stays so for the life of the process, used or not, unless `unmap` is `when-safe` and it is safe. So the number of different files is limited.",
        example: "plugins.d/libclock.so: 900 different plugin files are mapped already, which is the most that this engine may map; 888 mapped files that nothing uses any more would make room: restart the process, or let them be unmapped with unmap = \"when-safe\" [PE0209]",
        remedy: "Restart the process to get rid of files that are no longer used, or say `unmap = \"when-safe\"` of their plugins, or raise `libraries_max` under `[engine]`. Several plugins can come from one file.",
    }
    CREATE_FAILED = "PE0210", "the instance could not be created" {
        cause: "The file is good, but its `create` returned an error, panicked or passed its deadline. The history and the state Error have the details.",
        example: "clock: could not be created, from plugins.d/libclock.so: failed: no such time zone [PE0210]",
        remedy: "Do what the plugin's own message says, then `reset` the plugin or change its file.",
    }
    THREAD_KEYS = "PE0211", "the process is running out of keys for thread-local values" {
        cause: "A process has a fixed number of them, 1,024 with glibc. Most plugins take one, and the standard library ends the process when one is asked for and none is left.",
        example: "plugins.d/libclock.so: fewer than 64 keys for thread-local values are left to this process; it would end if a plugin asked for one and got none; 888 mapped files that nothing uses any more would make room: restart the process, or let them be unmapped with unmap = \"when-safe\" [PE0211]",
        remedy: "Load fewer different plugin files in one process; several plugins can come from one file. Restart the process to get rid of files that are no longer used, or say `unmap = \"when-safe\"` of their plugins.",
    }
}
