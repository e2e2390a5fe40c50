//! The manifest: what a plugin file says of itself, readable without running any of its code.
//!
//! It stands in a section of its own, in the format that ELF has for notes, whatever the format of the file: three words (length of
//! the name, length of the description, type), the name padded to four bytes, the description. The description is text, a
//! `key=value` per line, the first of which gives the version of the format.

/// The section that holds the note in an ELF file, where the segment of notes covers it.
pub const SECTION: &str = ".note.plugin_engine";
/// The segment and section that hold it in a Mach-O file.
pub const SECTION_MACH_O: (&str, &str) = ("__DATA", "__plugin_engine");
/// The section that holds it in a PE file, whose names have eight characters.
pub const SECTION_PE: &str = ".plugeng";
/// The name of the note, with the zero byte that the format wants.
pub const NOTE_NAME: [u8; 16] = *b"plugin-manifest\0";
/// The type of the note, which is also the version of its format.
pub const NOTE_TYPE: u32 = 1;
/// The longest description that an engine reads.
pub const DESCRIPTION_LEN_MAX: usize = 4_096;

/// The compiler that built this crate, which is the one that builds the plugin.
const COMPILER: &str = env!("PLUGIN_API_RUSTC");
/// The target that this crate is built for.
const TARGET: &str = env!("PLUGIN_API_TARGET");

/// The note as it lies in the file.
#[derive(Debug)]
#[repr(C, align(4))]
pub struct Note<const N: usize> {
    name_len: u32,
    description_len: u32,
    kind: u32,
    name: [u8; 16],
    description: [u8; N],
}

/// The manifest while it is being put together, at compile time.
///
/// ```
/// use plugin_api::manifest::{Manifest, Note};
///
/// // What `export_plugin!(…, id = "counter", interval = "1s")` makes of it.
/// const MANIFEST: Manifest = Manifest::new("1.2.3", cfg!(panic = "unwind"))
///     .id("counter")
///     .interval("1s")
///     .timeout("500ms")
///     .requires("clock >= 1.2");
/// static NOTE: Note<{ MANIFEST.description_len() }> = MANIFEST.note();
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Manifest {
    id: &'static str,
    version: &'static str,
    interval: &'static str,
    timeout: &'static str,
    requires: &'static str,
    panic: &'static str,
}

impl Manifest {
    /// Starts a manifest. `version` is the author's package version, `unwinds` whether a panic unwinds.
    #[must_use]
    pub const fn new(version: &'static str, unwinds: bool) -> Self {
        Self {
            id: "",
            version,
            interval: "",
            timeout: "",
            requires: "",
            panic: if unwinds { "unwind" } else { "abort" },
        }
    }

    /// Sets the id. Must be `[a-z0-9][a-z0-9_-]{0,63}`; anything else stops the compilation.
    #[must_use]
    pub const fn id(mut self, id: &'static str) -> Self {
        let bytes = id.as_bytes();
        assert!(
            !bytes.is_empty() && bytes.len() <= 64,
            "a plugin's id has 1 to 64 characters"
        );
        let mut at = 0;
        while at < bytes.len() {
            let fits = matches!(bytes[at], b'a'..=b'z' | b'0'..=b'9')
                || (at > 0 && matches!(bytes[at], b'_' | b'-'));
            assert!(
                fits,
                "a plugin's id is made of a-z, 0-9, _ and -, and begins with a letter or digit"
            );
            at += 1;
        }
        self.id = id;
        self
    }

    /// Sets the interval between updates: a number and a unit (`ms`, `s`, `m`, `h`), as in `"1s"`.
    #[must_use]
    pub const fn interval(mut self, interval: &'static str) -> Self {
        check_duration(interval);
        self.interval = interval;
        self
    }

    /// Sets how long one update may take, in the form of the interval.
    #[must_use]
    pub const fn timeout(mut self, timeout: &'static str) -> Self {
        check_duration(timeout);
        self.timeout = timeout;
        self
    }

    /// Sets what has to be there for the plugin to run: ids of plugins, each with a version requirement where one is meant, with commas
    /// between them, as in `"clock >= 1.2, feed"`. Anything else stops the compilation.
    #[must_use]
    pub const fn requires(mut self, requires: &'static str) -> Self {
        crate::requires::check(requires);
        self.requires = requires;
        self
    }

    const fn parts(&self) -> [&'static str; 24] {
        assert!(
            !self.id.is_empty(),
            "export_plugin! wants an id: export_plugin!(MyPlugin, id = \"my-plugin\")"
        );
        assert!(
            !crate::requires::names(self.requires, self.id),
            "a plugin cannot require itself"
        );
        let mut parts = [""; 24];
        let pairs = [
            ("manifest=", "1"),
            ("id=", self.id),
            ("version=", self.version),
            ("api=", crate::API_VERSION),
            ("compiler=", COMPILER),
            ("target=", TARGET),
            ("panic=", self.panic),
            ("interval=", self.interval),
            ("timeout=", self.timeout),
            ("requires=", self.requires),
        ];
        let mut from = 0;
        let mut to = 0;
        while from < pairs.len() {
            // An interval that was not given is left to the engine's default, not written as empty.
            if !pairs[from].1.is_empty() {
                parts[to] = pairs[from].0;
                parts[to + 1] = pairs[from].1;
                to += 2;
            }
            from += 1;
        }
        parts
    }

    /// The length of the description, for the type of the note.
    #[must_use]
    pub const fn description_len(&self) -> usize {
        let parts = self.parts();
        let mut len = 0;
        let mut at = 0;
        while at < parts.len() && !parts[at].is_empty() {
            len += parts[at].len();
            if at % 2 == 1 {
                len += 1;
            }
            at += 1;
        }
        assert!(
            len <= DESCRIPTION_LEN_MAX,
            "the manifest is longer than an engine reads"
        );
        len
    }

    /// The note. `N` is [`Manifest::description_len`].
    #[must_use]
    pub const fn note<const N: usize>(&self) -> Note<N> {
        let parts = self.parts();
        let mut description = [0; N];
        let mut to = 0;
        let mut at = 0;
        while at < parts.len() && !parts[at].is_empty() {
            let bytes = parts[at].as_bytes();
            let mut from = 0;
            while from < bytes.len() {
                description[to] = bytes[from];
                to += 1;
                from += 1;
            }
            if at % 2 == 1 {
                description[to] = b'\n';
                to += 1;
            }
            at += 1;
        }
        Note {
            name_len: NOTE_NAME.len() as u32,
            description_len: N as u32,
            kind: NOTE_TYPE,
            name: NOTE_NAME,
            description,
        }
    }
}

/// Stops the compilation unless `text` is a number above zero with a unit.
const fn check_duration(text: &str) {
    let bytes = text.as_bytes();
    let mut digits = 0;
    let mut above_zero = false;
    while digits < bytes.len() && bytes[digits].is_ascii_digit() {
        above_zero = above_zero || bytes[digits] != b'0';
        digits += 1;
    }
    let unit_fits = match bytes.len() - digits {
        1 => matches!(bytes[digits], b's' | b'm' | b'h'),
        2 => bytes[digits] == b'm' && bytes[digits + 1] == b's',
        _ => false,
    };
    assert!(
        digits > 0 && digits <= 9 && above_zero && unit_fits,
        "a duration is a whole number above zero with a unit: \"500ms\", \"1s\", \"5m\", \"2h\""
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: Manifest = Manifest::new("1.2.3", true)
        .id("counter")
        .interval("1s")
        .timeout("500ms")
        .requires("clock >= 1.2, feed");
    static NOTE: Note<{ MANIFEST.description_len() }> = MANIFEST.note();

    #[test]
    fn note_holds_one_line_per_key() {
        let text = std::str::from_utf8(&NOTE.description).unwrap();
        assert!(
            text.starts_with("manifest=1\nid=counter\nversion=1.2.3\n"),
            "{text}"
        );
        assert!(
            text.ends_with(
                "panic=unwind\ninterval=1s\ntimeout=500ms\nrequires=clock >= 1.2, feed\n"
            ),
            "{text}"
        );
        assert_eq!(text.lines().count(), 10);
        assert_eq!(NOTE.description_len as usize, text.len());
        assert_eq!(NOTE.name_len, 16);
        assert_eq!(NOTE.kind, NOTE_TYPE);
        assert_eq!(NOTE.name, NOTE_NAME);
    }

    #[test]
    fn what_is_not_given_is_not_written() {
        const BARE: Manifest = Manifest::new("1.2.3", false).id("bare");
        static NOTE: Note<{ BARE.description_len() }> = BARE.note();
        let text = std::str::from_utf8(&NOTE.description).unwrap();
        assert!(
            ["interval", "timeout", "requires"]
                .iter()
                .all(|key| !text.contains(key)),
            "{text}"
        );
        assert!(text.contains("panic=abort"));
    }
}
