//! PE01xx: what is wrong with a file, found before any of its code runs.

super::codes! {
    FILE_UNREADABLE = "PE0101", "the file cannot be read" {
        cause: "The file is gone, is a link that leads nowhere, or the engine's user may not read it.",
        example: "plugins.d/libclock.so: cannot be read: Permission denied (os error 13) [PE0101]",
        remedy: "Make the file readable for the user that runs the engine, or remove the dangling link.",
    }
    FILE_NOT_REGULAR = "PE0102", "the entry is no regular file" {
        cause: "A directory, pipe, socket or device has the name of a plugin file. It is never opened for reading, so it can neither block the engine nor be disturbed by it.",
        example: "plugins.d/libclock.so: is a directory, not a regular file [PE0102]",
        remedy: "Remove the entry, or rename it so that it does not end like a library.",
    }
    FILE_LINK_OUT = "PE0103", "the link leads out of the plugin directory" {
        cause: "Only what lies in the plugin directory is loaded, so that its permissions say who can bring in code. A link to another place would get round that.",
        example: "plugins.d/libclock.so: is a link that leads out of the plugin directory, to /tmp/libclock.so [PE0103]",
        remedy: "Copy the file into the plugin directory. Links within it are followed.",
    }
    FILE_TOO_LARGE = "PE0104", "the file is larger than the engine reads" {
        cause: "A plugin file is read whole and kept in memory; the limit keeps a sparse or wrong file from using it up.",
        example: "plugins.d/libclock.so: has 1073741824 bytes; the limit is 536870912 [PE0104]",
        remedy: "Strip debug information from the file (`strip --strip-debug`), or remove it if it is no plugin.",
    }
    FILE_OWNER = "PE0105", "the file belongs to somebody else" {
        cause: "Whoever owns a file, or the directory it lies in, can change it at any time. The owner must be root, the user that runs the engine, or one of `trusted_owners`.",
        example: "plugins.d/libclock.so: belongs to user 1001, who is neither root nor the user of the engine (0) [PE0105]",
        remedy: "Change the owner (`chown root FILE`), or name the user's number in `trusted_owners` under `[verify]` of the engine's configuration.",
    }
    FILE_WRITABLE = "PE0106", "others may write to the file" {
        cause: "Any user of the machine could put code of theirs into the engine's process.",
        example: "plugins.d/libclock.so: can be written to by everybody (mode 0666) [PE0106]",
        remedy: "Take the permission away: `chmod o-w FILE`.",
    }
    DIRECTORY_WRITABLE = "PE0107", "others may write to a directory above the file" {
        cause: "Who may write to a directory can put another file in place of one that lies below it. Directories with the sticky bit, such as /tmp, do not count: in them only the owner of a file can replace it.",
        example: "plugins.d/libclock.so: lies below plugins.d, to which everybody may write (mode 0777) [PE0107]",
        remedy: "Take the permission away (`chmod o-w DIRECTORY`), or set the sticky bit (`chmod +t DIRECTORY`).",
    }
    FILE_NO_LIBRARY = "PE0110", "the file is no dynamic library" {
        cause: "The file is empty, or does not begin as a library of any known format does.",
        example: "plugins.d/libclock.so: is no dynamic library: it is empty [PE0110]",
        remedy: "Copy the file again if it should be a plugin; else remove it or name it otherwise.",
    }
    FILE_MALFORMED = "PE0111", "the library is broken" {
        cause: "The file begins as a library does, but its tables contradict themselves or point outside it.",
        example: "plugins.d/libclock.so: is a broken library: invalid program header offset [PE0111]",
        remedy: "Copy or build the file again. If the copy has the digest of the original, report the tool that made it.",
    }
    FILE_CUT_OFF = "PE0112", "a part of the file is missing" {
        cause: "A part that the library wants in memory lies behind the end of the file, as after half a copy. Mapped, it would end the process at the first use.",
        example: "plugins.d/libclock.so: is cut off: a part of it ends at byte 412000, the file has 196608 [PE0112]",
        remedy: "Copy the file again: under another name first, then renamed, so that nobody sees half of it.",
    }
    FILE_OTHER_MACHINE = "PE0113", "the library is for another machine" {
        cause: "Its format, processor, word size or byte order is not that of this machine.",
        example: "plugins.d/libclock.so: is an ELF library for aarch64, 64 bits; this engine runs ELF libraries for x86_64, 64 bits [PE0113]",
        remedy: "Build the plugin for this machine: `cargo build --release --target TARGET`.",
    }
    FILE_NOT_DYNAMIC = "PE0114", "the file is a program or an object, not a library" {
        cause: "It has the right format, but it is an executable program, a relocatable object or a memory dump.",
        example: "plugins.d/libclock.so: is a program, not a dynamic library [PE0114]",
        remedy: "Build the plugin with `crate-type = [\"cdylib\"]`, and drop in the file that ends like a library.",
    }
    FILE_SEARCH_PATH = "PE0115", "the library says where libraries are searched" {
        cause: "RPATH and RUNPATH make the system's loader take other libraries from directories that nobody has checked. $ORIGIN cannot work at all, since what is loaded is a private copy.",
        example: "plugins.d/libclock.so: has a RUNPATH: /home/build/lib; libraries found there are not checked [PE0115]",
        remedy: "Link without `-rpath` (`patchelf --remove-rpath FILE` removes it), or set `allow_rpath = true` under `[verify]` of the engine's configuration.",
    }
    FILE_NEEDS = "PE0116", "a library that it needs is not there" {
        cause: "The system's loader would search for the named library and not find it.",
        example: "plugins.d/libclock.so: needs libssl.so.1.1, which is not installed [PE0116]",
        remedy: "Install the package with that library, or build the plugin on a system like this one.",
    }
    NO_MANIFEST = "PE0120", "the library has no manifest" {
        cause: "It is an ordinary library and no plugin, or the plugin was not exported with `export_plugin!`. None of its code has run.",
        example: "plugins.d/libz.so: has no manifest: it is no plugin, or was not exported with export_plugin! [PE0120]",
        remedy: "Remove it if it is no plugin. Else add `export_plugin!(MyPlugin, id = \"my-plugin\")` and build it as a cdylib.",
    }
    BAD_MANIFEST = "PE0121", "the manifest cannot be read" {
        cause: "The manifest is damaged, too long, of a newer format, or was not written by `export_plugin!`.",
        example: "plugins.d/libclock.so: has a bad manifest: the key id is missing [PE0121]",
        remedy: "Build the plugin again with a plugin-api that this engine knows.",
    }
    API_VERSION = "PE0122", "the plugin was built against another plugin-api" {
        cause: "Versions of plugin-api fit each other as Cargo has it: 0.1.x with 0.1.y, 1.x with 1.y.",
        example: "plugins.d/libclock.so: was built against plugin-api 0.2.0, this engine has 0.1.0; rebuild the plugin against 0.1.0 [PE0122]",
        remedy: "Build the plugin against the engine's version of plugin-api, or take an engine of the plugin's.",
    }
    PANIC_STRATEGY = "PE0123", "a panic of the plugin would end the process" {
        cause: "The plugin was built with `panic = \"abort\"`, so a panic cannot be caught inside it.",
        example: "plugins.d/libclock.so: was built with panic = \"abort\": a panic in it would end this process; build it with panic = \"unwind\" [PE0123]",
        remedy: "Remove `panic = \"abort\"` from the profile that the plugin is built with.",
    }
    NOT_LOCKED = "PE0130", "the lock does not list the file" {
        cause: "Where there is a plugins.lock, only files that it lists are loaded.",
        example: "plugins.d/libclock.so: is not listed in plugins.d/plugins.lock [PE0130]",
        remedy: "If the file is meant to be there, write the lock anew: `plugin-engine lock --plugins DIR`.",
    }
    LOCK_MISMATCH = "PE0131", "the file is not the one that was locked" {
        cause: "The file's SHA-256 or version is not what the lock says: it was replaced or damaged after the lock was written.",
        example: "plugins.d/libclock.so: has the SHA-256 2c26…, plugins.d/plugins.lock says fcde… [PE0131]",
        remedy: "Find out who changed the file. If the change is meant, write the lock anew: `plugin-engine lock --plugins DIR`.",
    }
    BAD_LOCK = "PE0132", "the lock cannot be used" {
        cause: "The lock is required and absent, cannot be read, is damaged, or could be changed by others. As long as that is so, nothing is loaded: a lock that does not hold must not look like one that does.",
        example: "plugins.d/libclock.so: plugins.d/plugins.lock cannot be used: line 3: expected a value [PE0132]",
        remedy: "Write the lock anew (`plugin-engine lock --plugins DIR`) and see to it that only root or the engine's user can write to it.",
    }
    NO_SIGNATURE = "PE0140", "the file has no signature" {
        cause: "`require_signature` is set, and there is no signature beside the file, under its name with `.minisig` at the end.",
        example: "plugins.d/libclock.so: has no signature at plugins.d/libclock.so.minisig, and one is required [PE0140]",
        remedy: "Sign the file (`minisign -S -m FILE`) and put the signature beside it.",
    }
    BAD_SIGNATURE = "PE0141", "the signature does not fit" {
        cause: "The signature beside the file is damaged, was made with a key that is not trusted here, or belongs to other bytes.",
        example: "plugins.d/libclock.so: the signature plugins.d/libclock.so.minisig does not fit: it was made for other bytes, or with another key [PE0141]",
        remedy: "Sign the very file that is dropped in, and name the public key in `trusted_keys` under `[verify]`. If nobody has replaced the signature, the file was changed after it was signed.",
    }
}
