use proptest::prelude::*;

use super::*;

fn requirement(text: &str) -> Requirement {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_requirement_is_read_and_shown_as_it_was_written() {
    for (text, id, shown) in [
        ("clock", "clock", "clock"),
        (" clock ", "clock", "clock"),
        ("clock >= 1.2", "clock", "clock >= 1.2"),
        ("clock>=1.2", "clock", "clock >=1.2"),
        ("clock >= 1.2, < 2", "clock", "clock >= 1.2, < 2"),
        ("my-plugin_2 ^0.3", "my-plugin_2", "my-plugin_2 ^0.3"),
        ("clock 1.2", "clock", "clock 1.2"),
        ("clock *", "clock", "clock *"),
        ("0 = 1.2.3-beta.1", "0", "0 = 1.2.3-beta.1"),
    ] {
        let read = requirement(text);
        assert_eq!((read.id().as_str(), &*read.to_string()), (id, shown));
    }
}

#[test]
fn a_bad_requirement_is_refused_with_what_is_wrong() {
    let long = format!("clock >= 1{}", " ".repeat(300));
    for (text, says) in [
        ("", "does not begin with the id"),
        (">= 1.2", "does not begin with the id"),
        ("Clock", "is no plugin id"),
        ("_a", "is no plugin id"),
        ("clock 1.2.3.4", "\"1.2.3.4\" is no version requirement"),
        ("clock >= ", "\">=\" is no version requirement"),
        ("clock => 1", "\"=> 1\" is no version requirement"),
        ("clock, feed", "\", feed\" is no version requirement"),
        ("clock feed", "\"feed\" is no version requirement"),
        ("clock 01", "\"01\" is no version requirement"),
        ("clock\n1", "\\n1\" is no version requirement"),
        ("uhr\u{e4}", "is no version requirement"),
        (&long, "longer than 256 bytes"),
    ] {
        let error = text.parse::<Requirement>().unwrap_err().to_string();
        assert!(error.contains(says), "{text:?}: {error}");
        assert!(!error.contains('\n'), "{error:?}");
    }
}

#[test]
fn a_list_goes_on_with_the_requirement_before_where_a_part_begins_with_a_sign() {
    for (text, read) in [
        ("clock", &["clock"][..]),
        ("clock >= 1.2, feed", &["clock >= 1.2", "feed"]),
        ("clock >= 1.2, < 2, feed", &["clock >= 1.2, < 2", "feed"]),
        ("a ^1,b ~2 , c=3,  <4", &["a ^1", "b ~2", "c =3, <4"]),
        ("a 1, 0", &["a 1", "0"]),
    ] {
        let list = Requirement::parse_list(text).unwrap();
        let shown: Vec<_> = list.iter().map(Requirement::to_string).collect();
        assert_eq!(shown, read, "{text}");
    }
    for text in [
        "",
        "clock,",
        ",clock",
        "clock,,feed",
        "< 2, clock",
        "clock 1, 1.5",
    ] {
        assert!(Requirement::parse_list(text).is_err(), "{text:?}");
    }
}

const fn known(state: PluginState, version: Option<&str>) -> Option<Standing<'_>> {
    Some(Standing { state, version })
}

#[test]
fn whether_a_requirement_is_met_and_why_not() {
    use PluginState::{Disabled, Enabled, Error, Loaded, Running, Unloaded};
    let met = "";
    for (wanted, found, says) in [
        ("clock", known(Enabled, Some("0.1.0")), met),
        ("clock", known(Running, Some("no version")), met),
        ("clock >= 1.2", known(Enabled, Some("1.2.0")), met),
        ("clock >= 1.2, < 2", known(Running, Some("1.9.9")), met),
        ("clock", None, "requires clock, and no plugin has that id"),
        (
            "clock >= 1.2",
            None,
            "requires clock >= 1.2, and no plugin has that id",
        ),
        (
            "clock",
            known(Disabled, Some("1.0.0")),
            "requires clock, which is Disabled",
        ),
        (
            "clock >= 1.2",
            known(Disabled, Some("1.2.0")),
            "requires clock, which is Disabled",
        ),
        (
            "clock",
            known(Error, Some("1.0.0")),
            "requires clock, which is Error",
        ),
        (
            "clock >= 1.2",
            known(Error, None),
            "requires clock, which is Error",
        ),
        (
            "clock >= 1.2",
            known(Unloaded, None),
            "requires clock, which is Unloaded",
        ),
        (
            "clock",
            known(Loaded, Some("1.0.0")),
            "requires clock, which is Loaded",
        ),
        (
            "clock >= 1.2",
            known(Enabled, Some("1.1.0")),
            "requires clock >= 1.2; clock is 1.1.0",
        ),
        (
            "clock 1.2",
            known(Enabled, Some("2.0.0")),
            "requires clock 1.2; clock is 2.0.0",
        ),
        (
            "clock >= 1.2, < 2",
            known(Enabled, Some("2.0.0")),
            "requires clock >= 1.2, < 2; clock is 2.0.0",
        ),
        (
            "clock >= 1.2",
            known(Enabled, Some("1.3.0-rc.1")),
            "requires clock >= 1.2; clock is 1.3.0-rc.1",
        ),
        (
            "clock >= 1.2",
            known(Enabled, Some("spring\n")),
            "requires clock >= 1.2; clock is spring\\n",
        ),
        // To wait for it, or to switch it on, would not help.
        (
            "clock >= 1.2",
            known(Loaded, Some("1.1.0")),
            "requires clock >= 1.2; clock is 1.1.0",
        ),
        (
            "clock >= 1.2",
            known(Disabled, Some("1.1.0")),
            "requires clock >= 1.2; clock is 1.1.0",
        ),
    ] {
        let answer = requirement(wanted).check(found);
        let said = answer
            .as_ref()
            .err()
            .map_or(String::new(), Unmet::to_string);
        assert_eq!(said, says, "{wanted} with {found:?}");
        let waits = found.is_some_and(|one| one.state == Loaded) && !says.contains(';');
        assert_eq!(answer.is_err_and(|unmet| unmet.may_come()), waits, "{says}");
    }
}

#[test]
fn a_cycle_is_named_whole() {
    let ids = |ids: &[&str]| ids.iter().map(|id| PluginId::new(id).unwrap()).collect();
    for (path, says) in [
        (&["a"][..], "requires itself in the end: a requires a"),
        (
            &["a", "b"],
            "requires itself in the end: a requires b requires a",
        ),
        (
            &["a", "b", "c"],
            "requires itself in the end: a requires b requires c requires a",
        ),
    ] {
        let cycle = Unmet::Cycle { path: ids(path) };
        assert_eq!(cycle.to_string(), says);
        assert!(!cycle.may_come());
    }
}

#[test]
fn what_is_required_comes_first_and_the_rest_stays_where_it_was() {
    for (requires, order) in [
        (&[][..], &[][..]),
        (&[&[][..], &[], &[]], &[0, 1, 2]),
        (&[&[2], &[], &[]], &[2, 0, 1]),
        (&[&[1], &[2], &[]], &[2, 1, 0]),
        (&[&[], &[3], &[], &[0]], &[0, 3, 1, 2]),
        (&[&[2, 1], &[], &[1]], &[1, 2, 0]),
        (&[&[7], &[0]], &[0, 1]),
        // On a cycle somebody has to be first.
        (&[&[1], &[0]], &[1, 0]),
        (&[&[0], &[0]], &[0, 1]),
    ] {
        let requires: Vec<Vec<usize>> = requires.iter().map(|one| one.to_vec()).collect();
        assert_eq!(required_first(&requires), order, "{requires:?}");
    }
}

#[test]
fn every_plugin_on_a_cycle_gets_its_own_and_no_other_plugin_does() {
    let requires = [vec![1], vec![2, 1], vec![0], vec![0], vec![], vec![4, 9]];
    let found = cycles(&requires);
    assert_eq!(found[0].as_deref(), Some(&[0, 1, 2][..]));
    // The shorter of two.
    assert_eq!(found[1].as_deref(), Some(&[1][..]));
    assert_eq!(found[2].as_deref(), Some(&[2, 0, 1][..]));
    assert_eq!(found[3..], [None, None, None]);
}

#[test]
fn a_chain_of_a_million_is_put_in_order_and_searched_without_a_deep_stack() {
    let count = 1_000_000;
    let mut chain: Vec<Vec<usize>> = (1..count).map(|next| vec![next]).collect();
    chain.push(Vec::new());
    let order = required_first(&chain);
    assert!(order.iter().rev().copied().eq(0..count));
    assert!(cycles(&chain).iter().all(Option::is_none));
}

proptest! {
    #[test]
    fn whatever_requires_what_the_order_and_the_cycles_are_right(
        requires in prop::collection::vec(prop::collection::vec(0..12_usize, 0..4), 0..12)
    ) {
        let count = requires.len();
        let order = required_first(&requires);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        prop_assert!(sorted.into_iter().eq(0..count));
        // Reachability, by the definition.
        let mut reaches = vec![vec![false; count]; count];
        for _ in 0..count {
            for (from, list) in requires.iter().enumerate() {
                for &to in list.iter().filter(|to| **to < count) {
                    reaches[from][to] = true;
                    let further = reaches[to].clone();
                    for (at, further) in further.into_iter().enumerate() {
                        reaches[from][at] |= further;
                    }
                }
            }
        }
        let place = |plugin: usize| order.iter().position(|one| *one == plugin);
        for (from, list) in requires.iter().enumerate() {
            for &to in list.iter().filter(|to| **to < count) {
                prop_assert!(reaches[to][from] || place(to) < place(from));
            }
        }
        for (plugin, cycle) in cycles(&requires).into_iter().enumerate() {
            prop_assert_eq!(cycle.is_some(), reaches[plugin][plugin]);
            let Some(path) = cycle else { continue };
            prop_assert_eq!(path[0], plugin);
            for (at, one) in path.iter().enumerate() {
                let next = path[(at + 1) % path.len()];
                prop_assert!(requires[*one].contains(&next));
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused_and_what_was_read_is_read_again(text in "[a-c0-2 .,<>=~^*_-]{0,12}|.{0,40}") {
        if let Ok(read) = text.parse::<Requirement>() {
            prop_assert_eq!(read.to_string().parse::<Requirement>().unwrap(), read);
        }
        if let Ok(list) = Requirement::parse_list(&text) {
            let shown: Vec<_> = list.iter().map(Requirement::to_string).collect();
            prop_assert_eq!(Requirement::parse_list(&shown.join(", ")).unwrap(), list);
        }
    }
}

#[test]
fn a_text_of_the_greatest_length_is_read_and_a_longer_one_is_not() {
    let padded = |len: usize| format!("{:<len$}", "clock").parse::<Requirement>();
    assert!(padded(TEXT_LEN_MAX).is_ok());
    assert!(padded(TEXT_LEN_MAX + 1).is_err());
}
