//! 051x: what keeps changes from being noticed.

super::codes! {
    DIRECTORY_GONE = "PE0511", "the plugin directory is gone while it is watched" {
        cause: "It was moved away, removed, unmounted, or can no longer be read. What is loaded goes on as it is, and nothing changes until a directory is back under the path; one that is empty is taken for what an unmounted file system leaves behind.",
        example: "plugins.d: the plugin directory is gone; what is loaded goes on, and nothing changes until it is back: No such file or directory (os error 2) [PE0511]",
        remedy: "Put it back or mount it again. To unload plugins, remove their files from the directory, or use `unload`.",
    }
    NOT_NOTIFIED = "PE0512", "the system does not report changes of files" {
        cause: "The limit of the system for watches is reached, or the file system cannot report changes. The directory is still looked at every few seconds (`watch_rescan`), so changes count a little later.",
        example: "plugins.d: the system does not report changes here; it is looked at every 5s instead: OS file watch limit reached [PE0512]",
        remedy: "Nothing has to be done. To be quicker, raise `fs.inotify.max_user_watches` or `fs.inotify.max_user_instances` and restart, or make `watch_rescan` shorter.",
    }
}
