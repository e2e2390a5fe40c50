//! PE080x: why the project of a new plugin was not written.

super::codes! {
    PROJECT_NAME = "PE0801", "the name cannot be that of a plugin" {
        cause: "The name of a project is that of its crate and the id of its plugin, so it has to be good for both: at most 64 letters from a to z, digits, - and _, \
                beginning with a letter. It cannot be a word of the language, or the name of a crate that the project depends on.",
        example: "\"Weather\" cannot be the name of a plugin: a name begins with a letter from a to z, and goes on with those, digits, - and _; did you mean \"weather\"? [PE0801]",
        remedy: "Choose another name. The place of the project is said by `--in DIR`, not by its name.",
    }
    PROJECT_EXISTS = "PE0802", "there is something where the project is to be" {
        cause: "A project is written into a new directory of its name, so that nothing is overwritten. Something of that name is there.",
        example: "weather is there already; choose another name [PE0802]",
        remedy: "Choose another name or another place (`--in DIR`), or remove what is there.",
    }
    PROJECT_UNWRITABLE = "PE0803", "the project cannot be written" {
        cause: "The directory that the project is to lie in is not there, may not be written to, or is full. What had been written by then was removed.",
        example: "elsewhere/weather cannot be written: No such file or directory (os error 2) [PE0803]",
        remedy: "Make the directory, or name another one with `--in DIR`.",
    }
    NO_PLUGIN_API = "PE0804", "there is no plugin-api in that directory" {
        cause: "`--api-path` names a directory that is neither the crate plugin-api nor one that has it below as `plugin-api`.",
        example: "/src/engine holds no plugin-api: no Cargo.toml of that name is there; name the directory of its crate, or the one that it lies in [PE0804]",
        remedy: "Name a checkout of the repository of plugin-engine.",
    }
}
