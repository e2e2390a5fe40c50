//! The known word that was probably meant. Knows nothing of what words stand for.

/// The longest word that is compared; what is longer is no slip of the finger.
const LEN_MAX: usize = 64;

/// The word of `known` that differs least from `word`, if it differs by little: by one character in three, at most, where two
/// that are swapped count as one.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(LEN_MAX + 1).collect();
    if word.len() > LEN_MAX {
        return None;
    }
    known
        .into_iter()
        .filter_map(|known| {
            let letters: Vec<char> = known.chars().take(LEN_MAX + 1).collect();
            let shorter = word.len().min(letters.len());
            let limit = (shorter.max(3) / 3).min(shorter.saturating_sub(1));
            if word.len().abs_diff(letters.len()) > limit {
                return None;
            }
            let distance = distance(&word, &letters);
            (distance <= limit).then_some((distance, known))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// How many characters have to be added, left out, replaced, or swapped with their neighbour.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(before_last[j - 1] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_found_and_nonsense_is_not() {
        let known = ["id", "file", "enabled", "interval", "timeout", "jitter"];
        for (word, meant) in [
            ("intervall", Some("interval")),
            ("itnerval", Some("interval")),
            ("Timeout", Some("timeout")),
            ("fiel", Some("file")),
            ("enable", Some("enabled")),
            ("di", Some("id")),
            ("x", None),
            ("", None),
            ("color", None),
            ("settings", None),
            ("timer", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(1 << 20), known), None);
    }
}
