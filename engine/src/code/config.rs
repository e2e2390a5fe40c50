//! PE03xx: what is wrong with a configuration.

super::codes! {
    CONFIG_UNREADABLE = "PE0301", "the configuration cannot be read" {
        cause: "The file is absent, not readable for the engine's user, no regular file, no UTF-8, or larger than 16 MiB.",
        example: "engine.toml: cannot be read: No such file or directory (os error 2) [PE0301]",
        remedy: "Check the path and the permissions.",
    }
    CONFIG_SYNTAX = "PE0302", "the configuration is no TOML" {
        cause: "A quote, bracket or equals sign is missing, or a key stands twice.",
        example: "engine.toml:3:12: invalid basic string, expected `\"` [PE0302]",
        remedy: "Correct the line; `plugin-engine config check FILE` shows it.",
    }
    CONFIG_UNKNOWN_KEY = "PE0303", "the configuration has an unknown key" {
        cause: "A key is misspelt or stands in the wrong table. It is refused because ignoring it would do something else than its author meant.",
        example: "libclock.toml:1:1: unknown key `intervall`; did you mean `interval`? [PE0303]",
        remedy: "Correct the key. The plugin's own keys belong into `[settings]`.",
    }
    CONFIG_WRONG_TYPE = "PE0304", "a value has the wrong type" {
        cause: "For example a bare number where a duration is wanted, of which nobody could say whether it means seconds.",
        example: "libclock.toml:1:12: `interval` is a duration in quotes, such as \"1s\", not an integer [PE0304]",
        remedy: "Write the value as the message says.",
    }
    CONFIG_OUT_OF_RANGE = "PE0305", "a value is out of its range" {
        cause: "The value has the right type and cannot be meant: a zero or negative interval, a timeout of years, an id with spaces.",
        example: "libclock.toml:1:12: `interval` is \"0s\", not from \"1ms\" to \"365days\" [PE0305]",
        remedy: "Choose a value in the range that the message names.",
    }
    CONFIG_DUPLICATE_ID = "PE0306", "two entries have one id" {
        cause: "An id names one plugin; with two entries nobody could say which of them holds.",
        example: "engine.toml:9:6: the id `clock` is given twice, first in line 2 [PE0306]",
        remedy: "Give one of the entries another id, or merge them.",
    }
    CONFIG_NAMELESS = "PE0307", "an entry names neither id nor file" {
        cause: "A `[[plugin]]` entry says of which plugin it speaks by its id, or by a file, or by both.",
        example: "engine.toml:4:1: a [[plugin]] needs an id, or a file, or both [PE0307]",
        remedy: "Add `id = \"…\"` or `file = \"lib….so\"` to the entry.",
    }
    CONFIG_NO_SUCH_PLUGIN = "PE0308", "an entry speaks of a plugin that is not there" {
        cause: "No file of the plugin directory has the id, or the file that the entry names is absent.",
        example: "engine.toml:2:6: no plugin has the id `clokc`; did you mean `clock`? [PE0308]",
        remedy: "Correct the id or the file name, drop the file in, or remove the entry.",
    }
    CONFIG_REFERENCE = "PE0309", "a reference to a secret leads nowhere" {
        cause: "A setting refers to an environment variable that is not set, or to a file that cannot be read.",
        example: "libfeed.toml:5:9: the environment variable FEED_TOKEN is not set [PE0309]",
        remedy: "Set the variable for the engine's process, or make the file readable for it; then `reset` the plugin. A text that is no reference is written `literal:…`.",
    }
    CONFIG_SETTINGS = "PE0310", "the settings do not fit the plugin's schema" {
        cause: "The plugin says by a JSON Schema which settings it takes. They are compared before an instance is created.",
        example: "libcounter.toml:4:9: `settings.start`: \"three\" is not of type \"integer\" [PE0310]",
        remedy: "Correct the setting as the message says.",
    }
    CONFIG_BAD_SCHEMA = "PE0311", "the plugin's schema of its settings is none" {
        cause: "What the plugin's `settings_schema` returns is no JSON Schema, is too long, or it panicked.",
        example: "plugins.d/libcounter.so: the schema of its settings is none: it is no JSON object [PE0311]",
        remedy: "This is a mistake in the plugin: return what `plugin_api::schema::<Settings>()` makes.",
    }
    CONFIG_RANGE = "PE0312", "a value given by code is out of its range" {
        cause: "The program that embeds the engine has given its builder a value that it does not take.",
        example: "workers must be from 1 to 256, not 0 [PE0312]",
        remedy: "Choose a value in the range that the message names.",
    }
    CONFIG_LOOSENED = "PE0313", "the file asks for less than when the engine was started" {
        cause: "A load reads the engine's configuration anew, and it no longer requires signatures, or no longer names the lock, as it did when the engine was started. A file that is just being written looks the same, so nothing is loaded by it.",
        example: "engine.toml: no longer has `require_signature = true`, which held when the engine was started; start it anew if that is meant [PE0313]",
        remedy: "Restore the line; or, if that is meant, restart the engine.",
    }
}
