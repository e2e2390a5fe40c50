//! 063x: limits of what a plugin may use.

super::codes! {
    CPU_LIMIT = "PE0631", "a plugin takes more CPU time than its limit allows" {
        cause: "Within the window over which it is judged, the calls of the plugin took a larger share of one processor than `limits` in its configuration allows. It goes on being called; what follows is a matter of its health.",
        example: "report: its calls took 43 % of one processor in the last 1m, and the limit is 20 % [PE0631]",
        remedy: "Find out what the plugin computes, call it less often (`interval`), or raise `limits.cpu_percent`. The limit is kept again once the plugin has stayed a fifth below it for a window.",
    }
    UPDATE_MEAN_LIMIT = "PE0632", "updates of a plugin take longer than its limit allows" {
        cause: "Within the window over which it is judged, the updates of the plugin took longer on average than `limits` in its configuration allows, computing or waiting. It goes on being called; what follows is a matter of its health.",
        example: "report: its updates took 310ms on average in the last 1m, and the limit is 50ms [PE0632]",
        remedy: "Find out what the plugin waits for or computes, or raise `limits.update_mean`. The limit is kept again once the plugin has stayed a fifth below it for a window.",
    }
}
