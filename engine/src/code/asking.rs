//! PE073x: why a running engine could not be asked.

super::codes! {
    NO_ENGINE = "PE0731", "no engine runs with this state directory" {
        cause: "The directory is not there, or no engine listens in it: none was started with it, or it has ended. Every command to a running engine \
                goes over the socket admin.sock in the state directory that the engine was started with.",
        example: "no engine runs with the state directory ./state; start one with: plugin-engine run --plugins DIR --state ./state [PE0731]",
        remedy: "Start an engine with `--state DIR`, or name the directory of the one that runs with `--state` or PLUGIN_ENGINE_STATE. \
                 `history` and `why` also read the directory of an engine that has ended.",
    }
    SOCKET_UNUSABLE = "PE0732", "the engine's socket cannot be used" {
        cause: "The socket admin.sock is for the user that the engine runs as, and for root. Or what has that name is no socket, or one of \
                another user.",
        example: "state/admin.sock: belongs to user 1001, and this is user 1000; name the engine's state directory with --state [PE0732]",
        remedy: "Ask as the user that the engine runs as (`sudo -u USER plugin-engine status`), or name the right directory.",
    }
    ENGINE_SILENT = "PE0733", "the engine has not answered in time" {
        cause: "The process runs and takes no connections or gives no answer. After a command, it may also be that the command takes longer \
                than was waited for: then the engine goes on with it.",
        example: "the engine has not answered within 10s; `plugin-engine liveness` may say why; if it does not, the process hangs [PE0733]",
        remedy: "Wait longer for a command with `--wait`. Where nothing answers at all, see what the process does: it may be stopped, or its \
                 machine overloaded.",
    }
    CONNECTION_LOST = "PE0734", "the engine went away before it had answered" {
        cause: "The connection broke: the engine was stopped or has crashed meanwhile.",
        example: "the engine went away before it had answered (connection closed before message completed); see whether it still runs, and ask again [PE0734]",
        remedy: "Ask again. If the engine has crashed, its next start names the plugin that was being called.",
    }
    ANSWER_UNREADABLE = "PE0735", "the answer cannot be read" {
        cause: "What listens there is not an engine, or one of a version whose answers this program does not know, or the answer is too \
                large to be taken in.",
        example: "what listens there does not answer as an engine of this version does: cannot read its answer: missing field `id` [PE0735]",
        remedy: "Use the program that the engine was started with. Where an answer is too large, ask for less, as with `--limit`.",
    }
    HISTORY_UNREADABLE = "PE0736", "the history of a stopped engine cannot be read" {
        cause: "No engine runs with the state directory, and the file history.db in it is damaged, is locked by another program, or may not be read by \
                this user.",
        example: "no engine runs, and its history cannot be read: history state/history.db: file is not a database: it is damaged [PE0736]",
        remedy: "Ask as the user that the engine ran as. The next start of the engine sets a damaged file aside and begins a new one.",
    }
}
