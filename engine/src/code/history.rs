//! 072x: history that outlives the process.

super::codes! {
    HISTORY_NOT_WRITTEN = "PE0721", "the history is not written to disk" {
        cause: "The disk is full, the file or its directory can no longer be written to, another program holds the file locked, or the file cannot be read. The engine goes on: history is kept in memory, good updates that have to leave it are counted in sums, other entries in gaps.",
        example: "history is kept in memory only, until it can be written problem=history state/history.db: database or disk is full: no room is left on the disk or within its limit [PE0721]",
        remedy: "Make room, or end what holds the file. It is tried again each second; what is held is then written, and the log says so.",
    }
    HISTORY_SET_ASIDE = "PE0722", "the history on disk is damaged" {
        cause: "The file is no longer what was written: a bad disk, a crash of the system in the middle of a write, or another program. It was renamed so that it can be looked at, and a new one was begun.",
        example: "set aside as state/history.db.corrupt-20260101T000000Z, and a new history begun error=history state/history.db: database disk image is malformed: the file is damaged; set it aside to begin a new one [PE0722]",
        remedy: "`sqlite3 FILE .recover` gets out of the old file what can be had. Delete it when it is not needed.",
    }
    HISTORY_MARK = "PE0723", "the mark of the numbers cannot be read" {
        cause: "The file `sequence` in the state directory says which numbers of transitions may have been used. It is damaged, so more numbers are skipped than an engine uses in its life, in order to use none twice.",
        example: "the mark of the numbers beside it cannot be read; numbers are skipped file=state/history.db [PE0723]",
        remedy: "Nothing has to be done.",
    }
}
