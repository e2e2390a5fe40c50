//! Compares two descriptions of the contract, and says in an author's words how they differ.
//!
//! Whether they fit is abi_stable's verdict. Its report is tens of kilobytes long and speaks of its own inner types, so what
//! differs is looked for anew, field by field, in those of the contract.

use std::collections::HashSet;

use abi_stable::abi_stability::abi_checking::{
    CheckingGlobals, check_layout_compatibility_with_globals,
};
use abi_stable::type_layout::{TLData, TLField, TLFunction, TypeLayout};
use plugin_engine_core::{bounded, escape_control};

/// How deep types are looked into. The contract's own are not half as deep.
const DEPTH_MAX: usize = 32;

/// Compares two descriptions of the contract, structurally. One is compatible with the other if it only has more at its end.
pub(crate) fn compare(
    expected: &'static TypeLayout,
    found: &'static TypeLayout,
) -> Result<(), String> {
    // Fresh globals: the shared ones keep addresses inside every library that was ever compared.
    let fits = |interface, implementation| {
        let globals = CheckingGlobals::new();
        check_layout_compatibility_with_globals(interface, implementation, &globals).is_ok()
    };
    // One way round for a plugin that is newer than this engine, the other for an older one.
    if fits(expected, found) || fits(found, expected) {
        return Ok(());
    }
    let what = Search::default().types(expected, found, "the contract");
    Err(format!(
        "its contract with the engine differs from that of plugin-api {}: {}; rebuild the plugin against that version",
        plugin_api::API_VERSION,
        what.as_deref()
            .unwrap_or("it has more at one end and less at another")
    ))
}

/// The search for the first difference that an author can be told.
#[derive(Default)]
struct Search {
    /// Pairs that are being looked at or were, by address: types of the contract name each other.
    seen: HashSet<(usize, usize)>,
    depth: usize,
}

impl Search {
    /// What differs between two types that stand at `place`.
    fn types(
        &mut self,
        expected: &'static TypeLayout,
        found: &'static TypeLayout,
        place: &str,
    ) -> Option<String> {
        let pair = (
            std::ptr::from_ref(expected).addr(),
            std::ptr::from_ref(found).addr(),
        );
        if self.depth == DEPTH_MAX || !self.seen.insert(pair) {
            return None;
        }
        if expected.name() != found.name() {
            return Some(another_type(place, expected, found));
        }
        self.depth += 1;
        let inside = self
            .fields(expected, found, place)
            .or_else(|| self.parts(expected, found, place));
        self.depth -= 1;
        let same_size =
            (expected.size(), expected.alignment()) == (found.size(), found.alignment());
        inside.or_else(|| (!same_size).then(|| another_type(place, expected, found)))
    }

    /// What differs between the fields of two types of one name.
    fn fields(
        &mut self,
        expected: &'static TypeLayout,
        found: &'static TypeLayout,
        place: &str,
    ) -> Option<String> {
        let owner = short(expected.name());
        let is_named = owner.starts_with(|c: char| c.is_alphabetic());
        let prefix_len = match expected.data() {
            TLData::PrefixType(prefix) => usize::from(prefix.first_suffix_field),
            _ => usize::MAX,
        };
        let list = |layout: &TypeLayout| -> Vec<TLField> {
            layout
                .get_fields()
                .map(|fields| fields.to_vec())
                .unwrap_or_default()
        };
        let (expected, found) = (list(expected), list(found));
        let has = |fields: &[TLField], name: &str| fields.iter().any(|field| field.name() == name);
        for at in 0..expected.len().max(found.len()) {
            let (here, there) = match (expected.get(at), found.get(at)) {
                (Some(here), Some(there)) => (here, there),
                // What only one of the two has behind the prefix is no difference.
                _ if at >= prefix_len => return None,
                (Some(here), None) => {
                    return Some(format!("{owner} has no field {}", short(here.name())));
                }
                (None, there) => {
                    let name = short(there?.name());
                    return Some(format!("{owner} has the unknown field {name} at its end"));
                }
            };
            let (name, other) = (short(here.name()), short(there.name()));
            if here.name() != there.name() {
                return Some(
                    match (has(&found, here.name()), has(&expected, there.name())) {
                        (true, false) => {
                            format!("{owner} has the unknown field {other} before {name}")
                        }
                        (false, true) => format!("{owner} has no field {name}"),
                        _ => format!("{owner} has the field {other} where {name} is expected"),
                    },
                );
            }
            let place = if is_named && name.starts_with(|c: char| c.is_alphabetic()) {
                format!("{owner}.{name}")
            } else {
                place.to_owned()
            };
            let differs = self.field(here, there, &place);
            if differs.is_some() {
                return differs;
            }
        }
        None
    }

    /// What differs between what two types are made of without having it as a field, as a pointer what it points to.
    fn parts(
        &mut self,
        expected: &'static TypeLayout,
        found: &'static TypeLayout,
        place: &str,
    ) -> Option<String> {
        let (expected, found) = (expected.phantom_fields(), found.phantom_fields());
        let mut pairs = expected.iter().zip(found.iter());
        pairs.find_map(|(here, there)| self.field(&here, &there, place))
    }

    /// What differs between two fields of one name.
    fn field(&mut self, expected: &TLField, found: &TLField, place: &str) -> Option<String> {
        let (here, there) = (expected.function_range(), found.function_range());
        if here.len() != there.len() {
            return Some(another_type(place, expected.layout(), found.layout()));
        }
        let mut functions = here.iter().zip(there.iter());
        functions
            .find_map(|(here, there)| self.functions(&here, &there, place))
            .or_else(|| self.types(expected.layout(), found.layout(), place))
    }

    fn functions(
        &mut self,
        expected: &TLFunction,
        found: &TLFunction,
        place: &str,
    ) -> Option<String> {
        let (here, there) = (expected.param_type_layouts, found.param_type_layouts);
        if here.len() != there.len() {
            let (expected, found) = (here.len(), there.len());
            return Some(format!(
                "{place} takes {found} arguments, {expected} are expected"
            ));
        }
        let differs = here
            .iter()
            .zip(there.iter())
            .find_map(|(here, there)| self.types(here(), there(), place));
        differs.or_else(
            || match (expected.return_type_layout(), found.return_type_layout()) {
                (None, None) => None,
                (Some(here), Some(there)) => self.types(here(), there(), place),
                _ => Some(format!("{place} is of another type")),
            },
        )
    }
}

fn another_type(place: &str, expected: &TypeLayout, found: &TypeLayout) -> String {
    let (found, expected) = (short(found.name()), short(expected.name()));
    if found == expected {
        return format!("{place} is of another type");
    }
    format!("{place} is of another type, with {found} where {expected} is expected")
}

/// A name out of the plugin file, in a length and in characters that can be shown.
fn short(name: &str) -> String {
    escape_control(bounded(name, 64)).to_string()
}

#[cfg(test)]
mod tests {
    use abi_stable::StableAbi;

    use super::*;

    /// Contracts that differ by one thing each, with the same names.
    macro_rules! contract {
        ($name:ident { $($field:ident: $type:ty,)+ | $last:ident: $last_type:ty, $($more:ident: $more_type:ty,)* }) => {
            #[expect(dead_code, reason = "only its layout is looked at")]
            mod $name {
                #[repr(C)]
                #[derive(abi_stable::StableAbi)]
                #[sabi(kind(Prefix(prefix_ref = TableRef, prefix_fields = TablePrefix)))]
                pub(super) struct Table {
                    $(pub(super) $field: $type,)+
                    #[sabi(last_prefix_field)]
                    pub(super) $last: $last_type,
                    $(pub(super) $more: $more_type,)*
                }
            }
        };
    }

    contract!(plain { create: extern "C" fn(u32) -> u8, | update: extern "C" fn(u64) -> u8, });
    contract!(longer { create: extern "C" fn(u32) -> u8, | update: extern "C" fn(u64) -> u8, save: extern "C" fn(), });
    contract!(changed { create: extern "C" fn(u32) -> u8, | update: extern "C" fn(u32) -> u8, });
    contract!(renamed { create: extern "C" fn(u32) -> u8, | refresh: extern "C" fn(u64) -> u8, });
    contract!(inserted { early: extern "C" fn(), create: extern "C" fn(u32) -> u8, | update: extern "C" fn(u64) -> u8, });

    fn layout<T: StableAbi>() -> &'static TypeLayout {
        T::LAYOUT
    }

    #[test]
    fn a_contract_with_more_at_its_end_fits_either_way() {
        let (plain, longer) = (layout::<plain::TableRef>(), layout::<longer::TableRef>());
        assert_eq!(compare(plain, plain), Ok(()));
        assert_eq!(compare(plain, longer), Ok(()));
        assert_eq!(compare(longer, plain), Ok(()));
    }

    #[test]
    fn any_other_difference_is_refused_and_named() {
        let plain = layout::<plain::TableRef>();
        for (other, one_way, other_way) in [
            (
                layout::<changed::TableRef>(),
                "Table.update is of another type, with u32 where u64 is expected",
                "Table.update is of another type, with u64 where u32 is expected",
            ),
            (
                layout::<renamed::TableRef>(),
                "Table has the field refresh where update is expected",
                "Table has the field update where refresh is expected",
            ),
            (
                layout::<inserted::TableRef>(),
                "Table has the unknown field early before create",
                "Table has no field early",
            ),
        ] {
            for (expected, found, names) in [(plain, other, one_way), (other, plain, other_way)] {
                let reason = compare(expected, found).unwrap_err();
                assert!(reason.contains(names), "{reason}");
                assert!(reason.contains(plugin_api::API_VERSION) && reason.len() < 600);
            }
        }
    }
}
