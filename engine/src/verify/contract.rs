//! Whether a plugin was built for an engine like this one, as its manifest says.

use super::error::VerifyError;
use crate::manifest::Manifest;

/// Whether the version of plugin-api that it was built against fits this engine's.
pub(super) fn check_version(manifest: &Manifest) -> Result<String, VerifyError> {
    let (found, own) = (&manifest.api_version, plugin_api::API_VERSION);
    if compatible(found, own) {
        return Ok(format!("plugin-api {found}, this engine has {own}"));
    }
    Err(VerifyError::ApiVersion {
        found: found.clone(),
        expected: own,
    })
}

/// Whether its panics can be caught.
pub(super) fn check_panic(manifest: &Manifest) -> Result<String, VerifyError> {
    if manifest.panic == "unwind" {
        return Ok("its panics are caught inside it".to_owned());
    }
    Err(VerifyError::PanicStrategy {
        strategy: manifest.panic.clone(),
    })
}

/// Whether two versions have the same leftmost number that is not zero, as Cargo compares versions.
fn compatible(one: &str, other: &str) -> bool {
    fn significant(version: &str) -> Option<Vec<u64>> {
        let mut numbers = Vec::new();
        for number in version.split(['-', '+']).next()?.split('.') {
            numbers.push(number.parse().ok()?);
            if numbers.last() != Some(&0) {
                break;
            }
        }
        Some(numbers)
    }
    match (significant(one), significant(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_cargo_does() {
        for (one, other) in [("0.1.0", "0.1.9"), ("1.2.3", "1.9.0"), ("0.0.3", "0.0.3")] {
            assert!(compatible(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("0.1.0", "0.2.0"),
            ("1.0.0", "2.0.0"),
            ("0.0.3", "0.0.4"),
            ("x", "x"),
        ] {
            assert!(!compatible(one, other), "{one} {other}");
        }
    }
}
