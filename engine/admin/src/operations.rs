//! The operations: what is asked of an engine and what is told it, each as one function, whichever way somebody came in.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use plugin_engine::{
    Code, Engine, Error, HistoryFilter, PluginId, TaskKind, WallTime, bounded, escape_control,
};
use plugin_engine_wire as wire;

use crate::address::Named;
use crate::answer::{Refusal, json, json_with};
use crate::display;
use crate::history_stream::Following;
use crate::query::{pairs, refuse_rest, take_flag};
use crate::server::{App, TASK_NAME};
use crate::server_sent::{last_seen, stream};

/// How many entries of the history an answer has at most: whoever wants more asks for those after the last.
pub(crate) const ENTRIES_MAX: usize = 100_000;

type Asked = State<Arc<App>>;
type Answer = Result<Response, Refusal>;

/// Whether the engine's own tasks make progress.
pub(crate) async fn livez(State(app): Asked) -> Answer {
    let liveness = app.ask(Engine::liveness).await?;
    let is_own = |kind, name: &str| kind == TaskKind::Engine || name == TASK_NAME;
    let stale: Vec<String> = liveness
        .iter()
        .filter(|task| task.stale.is_some() && is_own(task.kind, &task.name))
        .map(|task| task.name.to_string())
        .collect();
    let live = stale.is_empty();
    Ok(json_with(good_if(live), &wire::Livez { live, stale }))
}

/// Whether all plugins run that are required.
pub(crate) async fn readyz(State(app): Asked) -> Answer {
    let readiness = app.ask(Engine::readiness).await?;
    let waiting_for = readiness.waiting_for.iter().map(|one| wire::Waiting {
        id: one.name.to_string(),
        state: one.state.name().into(),
        message: one.message.as_deref().map(str::to_owned),
    });
    let body = wire::Readyz {
        ready: readiness.is_ready(),
        waiting_for: waiting_for.collect(),
    };
    Ok(json_with(good_if(body.ready), &body))
}

fn good_if(good: bool) -> StatusCode {
    if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

pub(crate) async fn liveness(State(app): Asked) -> Answer {
    let liveness = app.ask(Engine::liveness).await?;
    let tasks = liveness.iter().map(wire::Task::from).collect();
    Ok(json(&wire::Tasks { tasks }))
}

pub(crate) async fn engine(State(app): Asked) -> Answer {
    app.ask(|engine| {
        let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
        json(&wire::EngineInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: engine.started_at().into(),
            plugin_dir: engine.plugin_dir().map(path),
            state_dir: engine.state_dir().map(path),
            last_seq: engine.last_seq(),
            history: history_info(engine),
            stuck_calls: engine.stuck_calls().iter().map(Into::into).collect(),
            mapped_libraries: engine.mapped_libraries().iter().map(Into::into).collect(),
            refused: engine.refused().iter().map(|one| (&**one).into()).collect(),
        })
    })
    .await
}

/// How the history is kept.
#[cfg(feature = "history-sqlite")]
fn history_info(engine: &Engine) -> wire::HistoryInfo {
    let Some(status) = engine.history_status() else {
        return wire::HistoryInfo::default();
    };
    wire::HistoryInfo {
        durable: true,
        durable_seq: Some(status.durable_seq),
        held: Some(status.held),
        problem: status.problem,
    }
}

/// How the history is kept: in memory alone.
#[cfg(not(feature = "history-sqlite"))]
fn history_info(_engine: &Engine) -> wire::HistoryInfo {
    wire::HistoryInfo::default()
}

pub(crate) async fn plugins(State(app): Asked) -> Answer {
    app.ask(|engine| {
        let plugins = engine.snapshots();
        let plugins = plugins.iter().map(|one| snapshot(engine, one)).collect();
        json(&wire::Plugins { plugins })
    })
    .await
}

pub(crate) async fn plugin(State(app): Asked, Named(id): Named<String>) -> Answer {
    app.ask(move |engine| {
        let found = known(engine, &id)?;
        Ok(json(&snapshot(engine, &found)))
    })
    .await?
}

fn snapshot(engine: &Engine, snapshot: &plugin_engine::Snapshot) -> wire::Snapshot {
    let usage = engine.plugin_usage(snapshot.id().as_str());
    wire::Snapshot::new(snapshot, usage.as_ref())
}

/// The snapshot of an id of which anything is known.
fn known(engine: &Engine, id: &str) -> Result<plugin_engine::Snapshot, Refusal> {
    let snapshot = engine.snapshot(id);
    if snapshot.since.is_none() || snapshot.id().as_str() != id {
        let all = engine.snapshots();
        let known = all.iter().take(10).map(|one| one.id().as_str());
        return Err(Refusal::from(&Error::UnknownPlugin {
            id: id.to_owned(),
            known: known.collect::<Vec<_>>().join(", "),
        }));
    }
    Ok(snapshot)
}

pub(crate) async fn display(
    State(app): Asked,
    Named(id): Named<String>,
    headers: HeaderMap,
) -> Answer {
    let shown = app.command(move |engine| engine.display(&id)).await?;
    let view = shown.map_err(|error| Refusal::from(&error))?;
    Ok(display::answer(&view, &headers))
}

pub(crate) async fn history(State(app): Asked, headers: HeaderMap, uri: Uri) -> Answer {
    answer_history(app, HistoryFilter::default(), &headers, &uri).await
}

pub(crate) async fn plugin_history(
    State(app): Asked,
    Named(id): Named<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let Ok(id) = PluginId::new(&id) else {
        let unknown = app.ask(move |engine| known(engine, &id).err()).await?;
        return Err(unknown.unwrap_or_else(|| Refusal::not_found("no such plugin")));
    };
    answer_history(app, HistoryFilter::of(id), &headers, &uri).await
}

async fn answer_history(
    app: Arc<App>,
    mut filter: HistoryFilter,
    headers: &HeaderMap,
    uri: &Uri,
) -> Answer {
    let of_one = filter.ids.first().cloned();
    let mut asked = pairs(uri.query())?;
    let follow = take_flag(&mut asked, "follow", false)?;
    if of_one.is_some() && asked.iter().any(|(key, _)| key == "id") {
        refuse_rest(&asked, "the address names the plugin")?;
    }
    let now: WallTime = std::time::SystemTime::now().into();
    for (key, value) in &asked {
        let set = filter.set(key, value, now);
        set.map_err(|error| Refusal::bad_query(in_words(&error)))?;
    }
    if filter.limit.is_some_and(|limit| limit > ENTRIES_MAX) {
        return Err(Refusal::bad_query(format!(
            "the limit is at most {ENTRIES_MAX}; ask for the entries after the last one then"
        )));
    }
    if follow {
        if filter.newest_first {
            return Err(Refusal::bad_query(
                "whoever follows gets the oldest first; leave out order",
            ));
        }
        if let Some(seen) = last_seen(headers)? {
            filter.after = Some(seen);
            filter.limit = None;
        }
        if let Some(id) = of_one {
            app.ask(move |engine| known(engine, id.as_str()).map(drop))
                .await??;
        }
        return Ok(stream(Following::new(app, filter)));
    }
    filter.limit.get_or_insert(ENTRIES_MAX);
    app.ask(move |engine| {
        let answer = engine.query(&filter);
        if let Some(id) = of_one
            && answer.entries.is_empty()
        {
            known(engine, id.as_str())?;
        }
        Ok(json(&wire::History::from(&answer)))
    })
    .await?
}

/// An error with what it comes from, in one line.
fn in_words(error: &dyn std::error::Error) -> String {
    escape_control(bounded(&error.to_string(), 500)).to_string()
}

/// The commands, by the words with which they end an address.
const COMMANDS: [(&str, Command); 8] = [
    ("enable", |engine, id| engine.enable(id).map(|()| None)),
    ("disable", |engine, id| engine.disable(id).map(|()| None)),
    ("load", |engine, id| engine.load(id).map(told)),
    ("reload", |engine, id| engine.reload(id).map(told)),
    ("reset", |engine, id| engine.reset(id).map(|()| None)),
    ("unload", |engine, id| engine.unload(id).map(|()| None)),
    ("update", |engine, id| engine.update(id).map(|()| None)),
    ("forget", |engine, id| engine.forget(id).map(|()| None)),
];

type Command = fn(&Engine, &str) -> Result<Option<String>, Error>;

fn told(outcome: plugin_engine::LoadOutcome) -> Option<String> {
    Some(escape_control(&outcome.to_string()).to_string())
}

pub(crate) async fn command(
    State(app): Asked,
    Named((id, command)): Named<(String, String)>,
    uri: Uri,
) -> Answer {
    refuse_rest(&pairs(uri.query())?, "a command is all in its address")?;
    let found = COMMANDS.iter().find(|(name, _)| *name == command);
    let Some(&(name, act)) = found else {
        let known: Vec<_> = COMMANDS.iter().map(|(name, _)| *name).collect();
        return Err(Refusal::not_found(format!(
            "no such command; there are {}",
            known.join(", ")
        )));
    };
    app.command(move |engine| {
        let message = act(engine, &id).map_err(|error| Refusal::from(&error))?;
        let after = engine.snapshot(&id);
        Ok(json(&wire::CommandDone {
            snapshot: snapshot(engine, &after),
            id,
            command: name.into(),
            done: true,
            message,
        }))
    })
    .await?
}

/// What there is not.
pub(crate) async fn nothing() -> Refusal {
    Refusal::not_found("there is nothing of this name; /openapi.json describes what there is")
}

/// What cannot be done with what there is.
pub(crate) async fn not_so() -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        None::<Code>,
        "this is not to be asked for in this way; /openapi.json describes in which",
    )
}
