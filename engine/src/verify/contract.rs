//! Whether a plugin was built for an engine like this one, as its manifest says.

use super::error::VerifyError;
use crate::manifest::{Contract, Manifest};

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
    match (manifest.panic.as_str(), manifest.contract) {
        ("unwind", Contract::Rust) => Ok("its panics are caught inside it".to_owned()),
        ("unwind", Contract::C) => Ok("its exceptions are caught inside it".to_owned()),
        // Rust can always panic, so no file made by `export_plugin!` can say that.
        ("none", Contract::C) => Ok("nothing in it unwinds, it says".to_owned()),
        _ => Err(VerifyError::PanicStrategy {
            strategy: manifest.panic.clone(),
        }),
    }
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
    fn only_a_file_of_the_c_contract_can_be_without_anything_that_unwinds() {
        let check = |panic, contract| {
            let text = format!(
                "manifest=1\nid=a\nversion=1\napi=0.1.0\ncompiler=c\ntarget=t\npanic={panic}\n{contract}"
            );
            check_panic(&Manifest::parse(text.as_bytes()).unwrap()).is_ok()
        };
        for (panic, rust, c) in [
            ("unwind", true, true),
            ("none", false, true),
            ("abort", false, false),
        ] {
            assert_eq!(check(panic, ""), rust, "{panic}");
            assert_eq!(check(panic, "contract=c\n"), c, "{panic}");
        }
    }

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
