//! PE061x: tasks that cannot be supervised.

super::codes! {
    TASK_NAME = "PE0611", "a task cannot have this name" {
        cause: "The name of a task stands in logs and in the list of what is alive: it has 1 to 64 bytes and no control characters. Names that begin with `plugin-` or `plugin.` are those of the engine's own tasks and of plugins.",
        example: "a task cannot be named \"plugin-feeder\": names that begin with \"plugin-\" or \"plugin.\" are those of the engine and of plugins [PE0611]",
        remedy: "Choose another name for the task.",
    }
    TASK_NAME_TAKEN = "PE0612", "a task of this name runs already" {
        cause: "Tasks are known by their names, so no two of one engine have the same while both run.",
        example: "feeder: a task of this name runs already [PE0612]",
        remedy: "Cancel and join the task that has the name, or give the other one a name of its own.",
    }
    TOO_MANY_TASKS = "PE0613", "there are as many tasks as may be" {
        cause: "An engine supervises a bounded number of tasks of the embedder at the same time, and of its own.",
        example: "feeder-257: 256 tasks of this kind run already, which is the most there may be [PE0613]",
        remedy: "Let one task do the work of several, or end those that are no longer needed.",
    }
    NO_RUNTIME = "PE0614", "there is no tokio runtime to run a future on" {
        cause: "A supervised future is polled by the tokio runtime from within which `supervise_async` is called.",
        example: "feeder: a future is supervised on the tokio runtime from within which it is started, and there is none here [PE0614]",
        remedy: "Call it from within a runtime (`Runtime::enter`, `#[tokio::main]`), or use `supervise` with a task that blocks.",
    }
}
