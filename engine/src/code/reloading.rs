//! 053x: reloads.

super::codes! {
    DOWNGRADE = "PE0531", "the replacement has a lower version" {
        cause: "A file of a lower version was put in the place of the one that is loaded. That is mostly a mistake, so the higher version goes on.",
        example: "counter: reload refused, generation 2 goes on: plugins.d/libcounter.so: is version 1.0.0, lower than 1.1.0; allow_downgrade = true allows that [PE0531]",
        remedy: "Put back the higher version; or write allow_downgrade = true in the configuration of the plugin; or remove the file, wait until the plugin is unloaded, and drop in the other one.",
    }
    REPLACEMENT_FAILED = "PE0532", "a call of the replacement did not complete" {
        cause: "Before a replacement takes over, it is created, takes over the state where the author has one, and completes one update. One of these calls, or saving the state, failed, panicked or passed its deadline. The instance before goes on; the replacement was destroyed.",
        example: "counter: reload refused, generation 2 goes on: its create did not complete: failed: no such host [PE0532]",
        remedy: "The message is the plugin's own: correct the plugin or its configuration and put the file there again. trial_update = false leaves out the update; trial_timeout and create_timeout give more time.",
    }
    OVERTAKEN = "PE0533", "the plugin was changed otherwise during the reload" {
        cause: "While the replacement was being tried, somebody unloaded the plugin or loaded it otherwise. What that led to holds.",
        example: "counter: reload refused, generation 2 goes on: the plugin was unloaded or loaded otherwise while its replacement was being tried [PE0533]",
        remedy: "Reload it again, if that is still wanted.",
    }
    ROLLED_BACK_BEFORE = "PE0534", "these bytes were rolled back" {
        cause: "The same bytes took over before, turned out badly within the probation of the plugin, and were rolled back. They are not tried again by themselves.",
        example: "counter: reload refused, generation 4 goes on: plugins.d/libcounter.so: these bytes took over before and were rolled back; put another file there, or reload the plugin by its id [PE0534]",
        remedy: "Put a corrected file there. A reload by the id of the plugin tries these bytes again.",
    }
    REPLACEMENTS_STUCK = "PE0535", "calls of earlier replacements have not returned" {
        cause: "Replacements of this plugin were tried, and their calls have not returned since. Each keeps a thread, so no other is tried beside them.",
        example: "counter: reload refused, generation 2 goes on: 3 calls of earlier replacements have not returned [PE0535]",
        remedy: "Find out what the replacements wait for; Engine::stuck_calls names their calls. When one has returned, reload again.",
    }
    NOT_PUT_BACK = "PE0536", "what was stopped for a reload could not be created anew" {
        cause: "With reload = \"stop-first\" the instance before is destroyed first. The replacement failed, and then creating the instance before anew failed, too.",
        example: "listener: reload refused: its create did not complete: failed: address in use; and what was active before could not be created anew: failed: address in use [PE0536]",
        remedy: "Remove what keeps both from starting, then reset the plugin or put a good file there.",
    }
}
