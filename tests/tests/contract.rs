//! Plugins built against an older and a newer contract run; those built against another one are refused, with what differs.

use plugin_engine::{FaultKind, PluginState};
use plugin_engine_tests::{CONTRACT_VERSION, Contract, Rig};

/// A rig with a good plugin, and `noop` built against this contract beside it, not loaded yet.
fn rig(contract: Contract) -> Rig {
    let rig = Rig::new();
    rig.drop_in("counter");
    std::fs::copy(contract.noop(), rig.dir().join("noop.so")).unwrap();
    rig
}

fn runs(contract: Contract) {
    let rig = rig(contract);
    rig.load();
    for _ in 0..3 {
        assert_eq!(rig.engine.run_cycle().completed, 2);
        rig.advance(1_000);
    }
    assert_eq!(rig.engine.display("noop").unwrap().as_text(), Some("3"));
    assert_eq!(rig.error("noop"), None);
}

#[test]
fn a_plugin_of_the_same_contract_in_another_version_runs() {
    runs(Contract::Same);
}

#[test]
fn a_plugin_of_a_newer_contract_with_more_at_its_ends_runs() {
    runs(Contract::Newer);
}

#[test]
fn a_plugin_of_an_older_contract_with_less_at_its_ends_runs() {
    runs(Contract::Older);
}

#[test]
fn any_other_difference_is_refused_with_type_and_field_both_versions_and_what_to_do() {
    for (contract, differs) in [
        (Contract::FieldRemoved, "PluginModule has no field display"),
        (
            Contract::ServiceRemoved,
            "HostServices has no field record_progress",
        ),
        (
            Contract::TypeChanged,
            "HostServices.now_ns is of another type",
        ),
        (
            Contract::FrameChanged,
            "CallFrame.deadline_ns is of another type",
        ),
        (
            Contract::FieldInserted,
            "PluginModule has the unknown field warm_up before update",
        ),
        (
            Contract::FrameExtended,
            "CallFrame has the unknown field more",
        ),
        (
            Contract::FieldRenamed,
            "PluginModule has the field refresh where update is expected",
        ),
        (
            Contract::FieldsSwapped,
            "PluginModule has the field display where update is expected",
        ),
    ] {
        let rig = rig(contract);
        let outcomes = rig.load_any();
        let said = outcomes
            .iter()
            .find(|outcome| !outcome.is_good())
            .unwrap_or_else(|| panic!("{contract:?} was taken"))
            .to_string();
        let mine = format!("plugin-api {CONTRACT_VERSION}");
        let theirs = format!("plugin-api {}", env!("CARGO_PKG_VERSION"));
        for part in [differs, &mine, &theirs, "rebuild the plugin", "noop.so"] {
            assert!(said.contains(part), "{contract:?}: {part}: {said}");
        }
        assert!(said.len() < 600 && !said.contains('\n'), "{said}");
        let snapshot = rig.snapshot("noop");
        let error = snapshot.error.unwrap();
        assert_eq!(
            (snapshot.state, error.kind),
            (PluginState::Error, FaultKind::Load)
        );
        assert_eq!(snapshot.counts.calls, 0);
        assert_eq!(rig.engine.run_cycle().completed, 1, "{contract:?}");
    }
}
