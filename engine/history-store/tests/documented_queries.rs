//! What `SCHEMA.md` tells people with an SQLite shell.

mod support;

use std::time::Duration;

use plugin_engine_core::{HistoryFilter, PluginId, Transition, WallTime};
use plugin_engine_history_store::{
    Batch, EngineRecord, Entry, Folded, Gap, PluginEntries, Reader, Started, Stopped, Store,
};
use rusqlite::{Connection, OpenFlags};
use support::{Engine, START_NS, id, transitions};
use tempfile::TempDir;

struct File {
    dir: TempDir,
    all: Vec<Transition>,
}

/// Long rows, short ones, and everything that is no transition.
fn file() -> File {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(&dir.path().join("history.db")).unwrap();
    let mut engine = Engine::new(8, 5);
    let mut all = Vec::new();
    for count in [3_000, 5, 300, 10, 10] {
        let some = engine.some(count);
        store.append(&Batch::of(&some).unwrap()).unwrap();
        all.extend(some);
    }
    let (first_seq, at) = (engine.seq + 101, WallTime::from_unix_nanos(engine.at));
    store
        .append(&Batch {
            first_seq,
            last_seq: first_seq + 51,
            plugins: vec![PluginEntries {
                id: id(1),
                generation: 9,
                version: None,
                entries: vec![
                    Entry::Folded(Folded {
                        first_seq: first_seq + 1,
                        last_seq: first_seq + 40,
                        transitions: 40,
                        updates: 20,
                        first_at: at,
                        last_at: at,
                        total_duration: Duration::from_micros(1_500),
                    }),
                    Entry::Gap(Gap {
                        first_seq: first_seq + 41,
                        last_seq: first_seq + 50,
                        count: 10,
                        first_at: at,
                        last_at: at,
                    }),
                ],
            }],
            engine: vec![
                EngineRecord::Started(Started {
                    seq: first_seq,
                    at: WallTime::from_unix_nanos(START_NS + 1_234_567),
                    pid: 42,
                    version: "0.1.0".into(),
                    lost: Some((first_seq - 100, first_seq - 1)),
                }),
                EngineRecord::Stopped(Stopped {
                    seq: first_seq + 51,
                    at: WallTime::from_unix_nanos(START_NS + 999_999_999),
                }),
            ],
            rows: Vec::new(),
        })
        .unwrap();
    File { dir, all }
}

impl File {
    fn connection(&self) -> Connection {
        let path = self.dir.path().join("history.db");
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
    }

    /// Each row as text, columns with a bar between.
    fn ask(&self, sql: &str) -> Vec<String> {
        let connection = self.connection();
        let mut select = connection
            .prepare(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        let columns = select.column_count();
        let rows = select.query_map([], |row| {
            let texts = (0..columns).map(|at| {
                Ok(match row.get_ref(at)? {
                    rusqlite::types::ValueRef::Null => "-".to_owned(),
                    rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                    rusqlite::types::ValueRef::Real(number) => number.to_string(),
                    rusqlite::types::ValueRef::Text(text) => {
                        String::from_utf8_lossy(text).into_owned()
                    }
                    rusqlite::types::ValueRef::Blob(_) => "blob".to_owned(),
                })
            });
            Ok(texts
                .collect::<Result<Vec<_>, rusqlite::Error>>()?
                .join("|"))
        });
        rows.unwrap()
            .map(|row| row.unwrap_or_else(|error| panic!("{sql}: {error}")))
            .collect()
    }
}

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or("-".to_owned(), |value| value.to_string())
}

#[test]
fn the_view_of_transitions_shows_what_was_appended_column_by_column() {
    let file = file();
    let found = file.ask(
        "SELECT seq, at_ns, id, generation, version, from_state, to_state, cause, CAST(round(duration_us * 1000) AS INTEGER),
         error_kind, error_message, error_type, error_call, error_recoverable, error_consecutive, error_location, error_backtrace
         FROM transitions ORDER BY seq",
    );
    assert_eq!(found.len(), file.all.len());
    for (found, one) in found.iter().zip(&file.all) {
        let error = one.error.as_deref();
        let text = |text: Option<&str>| or_dash(text.filter(|text| !text.is_empty()));
        let wanted = [
            one.seq.to_string(),
            one.at.as_unix_nanos().to_string(),
            one.id.to_string(),
            one.generation.to_string(),
            or_dash(one.version.as_deref()),
            one.from.to_string(),
            one.to.to_string(),
            one.cause.to_string(),
            or_dash(one.duration.map(|duration| duration.as_nanos())),
            or_dash(error.map(|error| error.kind)),
            or_dash(error.map(|error| &*error.message)),
            text(error.map(|error| &*error.type_name)),
            or_dash(error.and_then(|error| error.call)),
            or_dash(error.map(|error| u8::from(error.recoverable))),
            or_dash(error.map(|error| error.consecutive)),
            text(error.map(|error| &*error.location)),
            text(error.map(|error| &*error.backtrace)),
        ];
        assert_eq!(*found, wanted.join("|"));
    }
}

#[test]
fn times_are_readable_and_in_order() {
    let file = file();
    assert_eq!(
        file.ask("SELECT started_at, stopped_at, pid, stopped_seq - started_seq, lost_last - lost_first FROM engine_runs"),
        ["2026-01-01T00:00:00.001234Z|2026-01-01T00:00:00.999999Z|42|51|99"]
    );
    let first = file.ask("SELECT at FROM transitions WHERE seq = 1");
    let wanted = file.all[0].at.as_unix_nanos() / 1_000 % 1_000_000;
    assert_eq!(first, [format!("2026-01-01T00:00:00.{wanted:06}Z")]);
}

#[test]
fn what_is_no_transition_has_views_of_its_own() {
    let file = file();
    let seq = file.all.len() + 101;
    assert_eq!(
        file.ask("SELECT id, generation, first_seq, last_seq, transitions, updates, total_duration_us FROM folded"),
        [format!("plugin-1|9|{}|{}|40|20|1500", seq + 1, seq + 40)]
    );
    assert_eq!(
        file.ask("SELECT id, generation, first_seq, last_seq, transitions FROM gaps"),
        [format!("plugin-1|9|{}|{}|10", seq + 41, seq + 50)]
    );
    assert_eq!(
        file.ask("SELECT id, off_by_hand FROM plugins ORDER BY id")[1],
        "plugin-1|0"
    );
}

#[test]
fn every_question_of_the_page_is_answered_and_right() {
    let page = include_str!("../SCHEMA.md");
    let questions: Vec<_> = page
        .split("```sql\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    let [last, errors, most, slowest, runs] = questions[..] else {
        panic!("{} questions", questions.len());
    };
    let file = file();
    let path = file.dir.path().join("history.db");
    let mut reader = Reader::open(&path).unwrap();
    let mut ask = |pairs: &[(&str, &str)]| {
        let mut filter = HistoryFilter::default();
        for (key, value) in pairs {
            filter.set(key, value, WallTime::default()).unwrap();
        }
        transitions(&mut reader, &filter, file.all.len() as u64)
    };
    let firsts = |sql: &str| -> Vec<String> {
        let rows = file.ask(sql);
        assert!(!rows.is_empty(), "{sql}");
        rows.into_iter()
            .map(|row| row.split('|').next().unwrap().to_owned())
            .collect()
    };

    let filter = HistoryFilter::of(PluginId::new("plugin-1").unwrap());
    assert_eq!(
        filter.to_string(),
        "id=plugin-1",
        "the plugin of the page is one of this file"
    );
    let newest: Vec<_> = file
        .all
        .iter()
        .rev()
        .filter(|one| one.id == "plugin-1")
        .take(20)
        .collect();
    assert!(
        firsts(last).iter().eq(newest
            .iter()
            .map(|one| one.seq.to_string())
            .collect::<Vec<_>>()
            .iter())
    );
    let since = ask(&[("errors", "true"), ("since", "2026-01-01T00:00:01Z")]);
    assert!(since.len() > 10 && since.len() < ask(&[("errors", "true")]).len());
    assert_eq!(file.ask(errors).len(), since.len());
    let counted: u64 = file
        .ask(most)
        .iter()
        .map(|row| row.split('|').nth(2).unwrap().parse::<u64>().unwrap())
        .max()
        .unwrap();
    assert!(counted > 1);
    let completed = ask(&[("id", "plugin-1"), ("cause", "update_completed")]);
    let longest = completed
        .iter()
        .filter_map(|one| one.duration)
        .max()
        .unwrap();
    let first = &file.ask(slowest)[0];
    assert_eq!(
        first.split('|').nth(2).unwrap().parse::<f64>().unwrap(),
        longest.as_nanos() as f64 / 1_000.0
    );
    assert!(file.ask(runs)[0].ends_with("|42|0.1.0|100"));
}

#[test]
fn a_question_about_one_plugin_reads_only_its_rows() {
    let file = file();
    let plan = file.ask("EXPLAIN QUERY PLAN SELECT * FROM transitions WHERE id = 'plugin-1' ORDER BY seq DESC LIMIT 20");
    let plan = plan.join("\n");
    assert!(
        plan.contains("SEARCH run USING PRIMARY KEY (plugin=?)"),
        "{plan}"
    );
    assert!(!plan.contains("SCAN run"), "{plan}");
}
