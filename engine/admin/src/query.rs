//! What stands behind the question mark of an address, as keys and values. Never what they mean.

use plugin_engine::{bounded, escape_control};

use crate::answer::Refusal;

/// The longest query, in bytes.
const LEN_MAX: usize = 8 * 1_024;

/// Keys and values, in the order in which they stand.
pub(crate) fn pairs(query: Option<&str>) -> Result<Vec<(String, String)>, Refusal> {
    let query = query.unwrap_or_default();
    if query.len() > LEN_MAX {
        return Err(Refusal::bad_query(format!(
            "the query is longer than {LEN_MAX} bytes"
        )));
    }
    let pairs = form_urlencoded::parse(query.as_bytes());
    Ok(pairs
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect())
}

/// Takes a flag out of the pairs.
pub(crate) fn take_flag(
    pairs: &mut Vec<(String, String)>,
    key: &str,
    default: bool,
) -> Result<bool, Refusal> {
    let mut flag = default;
    for (_, value) in pairs.extract_if(.., |(name, _)| name == key) {
        flag = match &*value {
            "true" | "" => true,
            "false" => false,
            other => {
                return Err(Refusal::bad_query(format!(
                    "{key} is \"{}\"; write true or false",
                    shown(other)
                )));
            }
        };
    }
    Ok(flag)
}

/// Refuses what is left of the pairs.
pub(crate) fn refuse_rest(pairs: &[(String, String)], known: &str) -> Result<(), Refusal> {
    match pairs.first() {
        None => Ok(()),
        Some((key, _)) => Err(Refusal::bad_query(format!(
            "there is no \"{}\" to be asked for here; {known}",
            shown(key)
        ))),
    }
}

/// What somebody wrote, so that it can be said to them.
pub(crate) fn shown(text: &str) -> String {
    escape_control(bounded(text, 80)).to_string()
}
