//! Whether the text of `requires` is good, told while the plugin is compiled. What the words mean is the engine's.

/// The most requirements of one manifest.
const REQUIREMENTS_MAX: usize = 64;

/// Stops the compilation unless `text` is a list of requirements: `clock`, `clock >= 1.2`, `clock >= 1.2, < 2, feed`.
pub(crate) const fn check(text: &str) {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut count = 0;
    let mut any = false;
    loop {
        at = skip_spaces(bytes, at);
        if count > 0 && at < bytes.len() && is_sign(bytes[at]) {
            assert!(!any, "a requirement of any version says no more of it");
            at = comparator(bytes, at);
        } else {
            count += 1;
            let end = id(bytes, at);
            at = skip_spaces(bytes, end);
            any = at < bytes.len() && matches!(bytes[at], b'*' | b'x' | b'X');
            if at < bytes.len() && bytes[at] != b',' {
                at = comparator(bytes, at);
            }
        }
        at = skip_spaces(bytes, at);
        if at == bytes.len() {
            break;
        }
        assert!(
            bytes[at] == b',',
            "one requirement is an id and, where one is meant, a version: \"clock\", \"clock >= 1.2\"; the next comes after a comma"
        );
        at += 1;
    }
    assert!(
        count <= REQUIREMENTS_MAX,
        "a plugin has at most 64 requirements"
    );
}

/// Whether a text that is good names this id among what is required.
pub(crate) const fn names(text: &str, id: &str) -> bool {
    let (bytes, id) = (text.as_bytes(), id.as_bytes());
    let mut at = 0;
    while at < bytes.len() {
        at = skip_spaces(bytes, at);
        let mut same = 0;
        while same < id.len() && at + same < bytes.len() && bytes[at + same] == id[same] {
            same += 1;
        }
        let ends = at + same == bytes.len() || !is_of_id(bytes[at + same]);
        if same == id.len() && ends {
            return true;
        }
        while at < bytes.len() && bytes[at] != b',' {
            at += 1;
        }
        at += 1;
    }
    false
}

const fn skip_spaces(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && bytes[at] == b' ' {
        at += 1;
    }
    at
}

const fn is_sign(byte: u8) -> bool {
    matches!(byte, b'<' | b'>' | b'=' | b'~' | b'^')
}

const fn is_of_id(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-')
}

/// Where the id ends that begins here.
const fn id(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while at < bytes.len() && is_of_id(bytes[at]) {
        at += 1;
    }
    assert!(
        at > from && at - from <= 64 && !matches!(bytes[from], b'_' | b'-'),
        "a requirement begins with the id of a plugin: 1 to 64 characters of a-z, 0-9, _ and -, beginning with a letter or digit"
    );
    at
}

/// Where the comparator ends that begins here: a sign, if there is one, and a version of up to three numbers.
const fn comparator(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    let signed = at < bytes.len() && matches!(bytes[at], b'<' | b'>' | b'=' | b'~' | b'^');
    if signed {
        at += 1;
        if at < bytes.len() && matches!(bytes[from], b'<' | b'>') && bytes[at] == b'=' {
            at += 1;
        }
        at = skip_spaces(bytes, at);
    }
    let mut part = 0;
    let mut wildcard = false;
    loop {
        let begin = at;
        while at < bytes.len() && bytes[at].is_ascii_digit() && !wildcard {
            at += 1;
        }
        let may_be_any = part > 0 || !signed;
        if at == begin && at < bytes.len() && may_be_any && matches!(bytes[at], b'*' | b'x' | b'X')
        {
            wildcard = true;
            at += 1;
        }
        let leading_zero = at - begin > 1 && bytes[begin] == b'0';
        assert!(
            at > begin && at - begin <= 19 && !leading_zero,
            "a version in a requirement is of up to three numbers: \"clock >= 1.2\", \"clock ^0.3.1\""
        );
        part += 1;
        if part == 3 || at == bytes.len() || bytes[at] != b'.' {
            break;
        }
        at += 1;
    }
    if part == 3 && !wildcard && at < bytes.len() && bytes[at] == b'-' {
        at = identifiers(bytes, at + 1, false);
    }
    if part == 3 && !wildcard && at < bytes.len() && bytes[at] == b'+' {
        at = identifiers(bytes, at + 1, true);
    }
    at
}

/// Where the dotted identifiers end that begin here: those of a version before its release, or of a build.
const fn identifiers(bytes: &[u8], from: usize, of_build: bool) -> usize {
    let mut at = from;
    loop {
        let begin = at;
        let mut is_number = true;
        while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'-') {
            is_number = is_number && bytes[at].is_ascii_digit();
            at += 1;
        }
        let leading_zero = is_number && at - begin > 1 && bytes[begin] == b'0';
        assert!(
            at > begin && (of_build || !leading_zero),
            "what follows the - or + of a version in a requirement is letters and digits with dots between them"
        );
        if at == bytes.len() || bytes[at] != b'.' {
            return at;
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_requirements_are_taken() {
        for text in [
            "clock",
            "clock, feed",
            "clock >= 1.2, feed",
            "clock >= 1.2, < 2, feed ^0.3.1",
            " clock>=1.2 ,feed",
            "a *, b 1.x, c",
            "0-a_b =1.2.3-beta.1+build",
        ] {
            check(text);
        }
    }

    #[test]
    fn bad_ones_are_refused() {
        let many = vec!["a"; 65].join(",");
        for text in [
            "",
            " ",
            "Clock",
            "-a",
            ">= 1.2",
            "clock,",
            "clock,,feed",
            "clock >=",
            "clock => 1",
            "clock >= 1.2.3.4",
            "clock 01",
            "clock 1.2.3-",
            "clock feed",
            "clock >= *",
            "clock 1.*.2",
            "clock *, < 2",
            "clock, *",
            "clock 1.2.3-beta..1",
            "clock 1.2.3-01",
            "clock\n",
            &"a".repeat(65),
            &many,
        ] {
            assert!(
                std::panic::catch_unwind(|| check(text)).is_err(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn an_id_is_found_among_what_is_required() {
        let text = "clock >= 1.2, < 2, feed, clock-2";
        for (id, is_there) in [
            ("clock", true),
            ("feed", true),
            ("clock-2", true),
            ("cloc", false),
            ("2", false),
        ] {
            assert_eq!(names(text, id), is_there, "{id}");
        }
    }
}
