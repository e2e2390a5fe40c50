//! What holds of what was said by code and by the engine's file, each value checked against its range.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::EngineBuilder;
use crate::census::ThreadCensus;
use crate::clock::Clock;
#[cfg(feature = "history-sqlite")]
use crate::config::history_keys;
use crate::config::keys::{self, Kind};
use crate::config::source::Said;
use crate::config::{ConfigError, EngineSays};
use crate::shared::Options;
#[cfg(feature = "watch")]
use crate::shared::WatchTimes;
use crate::supervisor::FaultHook;
use crate::verify;

/// What is needed only at the start.
pub(super) struct StartOptions {
    pub(super) workers: usize,
    pub(super) backtraces: bool,
    pub(super) history_bytes_max: usize,
    #[cfg(feature = "history-sqlite")]
    pub(super) history_kept: crate::durable::Kept,
    pub(super) libraries_max: usize,
    pub(super) clock: Option<Arc<dyn Clock>>,
    pub(super) census: Option<Box<dyn ThreadCensus>>,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) faults: Option<FaultHook>,
}

impl EngineBuilder {
    /// What holds: what was said by code, else what the file says, else the default.
    pub(super) fn settle(self, file: &EngineSays) -> Result<(Options, StartOptions), ConfigError> {
        let (threads, processors) = (
            keys::THREADS,
            std::thread::available_parallelism().map_or(2, |count| count.get() as u64),
        );
        let workers = count(
            "workers",
            self.workers,
            file.workers.as_ref(),
            processors.min(keys::WORKERS_MAX),
        )?;
        let threads_max = count(
            "threads_max",
            self.threads_max,
            file.threads_max.as_ref(),
            threads,
        )?;
        file.check_threads(workers, threads_max, self.threads_max.is_some())?;
        let libraries_max = count(
            "libraries_max",
            self.libraries_max,
            file.libraries_max.as_ref(),
            keys::LIBRARIES,
        )?;
        if let Some(policy) = &self.verify_policy {
            verify::check_policy(policy).map_err(ConfigError::policy)?;
        }
        let options = Options {
            plugin_dir: self.plugin_dir,
            config_file: self.config_file,
            verify_policy: self.verify_policy.map(Arc::new),
            threads_max: size(threads_max),
            create_timeout: timeout(
                "create_timeout",
                self.create_timeout,
                file.create_timeout.as_ref(),
                keys::CREATE_TIMEOUT,
            )?,
            display_timeout: timeout(
                "display_timeout",
                self.display_timeout,
                file.display_timeout.as_ref(),
                keys::DISPLAY_TIMEOUT,
            )?,
            destroy_timeout: timeout(
                "destroy_timeout",
                self.destroy_timeout,
                file.destroy_timeout.as_ref(),
                keys::DESTROY_TIMEOUT,
            )?,
            trial_timeout: match (self.trial_timeout, &file.trial_timeout) {
                (None, None) => None,
                (by_code, by_file) => Some(timeout(
                    "trial_timeout",
                    by_code,
                    by_file.as_ref(),
                    keys::TIMEOUT,
                )?),
            },
            state_timeout: timeout(
                "state_timeout",
                self.state_timeout,
                file.state_timeout.as_ref(),
                keys::STATE_TIMEOUT,
            )?,
            load_timeout: timeout(
                "load_timeout",
                self.load_timeout,
                file.load_timeout.as_ref(),
                keys::LOAD_TIMEOUT,
            )?,
            startup_budget: timeout(
                "startup_budget",
                self.startup_budget,
                file.startup_budget.as_ref(),
                keys::STARTUP_BUDGET,
            )?,
            #[cfg(feature = "watch")]
            watch: WatchTimes {
                settle: timeout(
                    "watch_settle",
                    self.watch_settle,
                    file.watch_settle.as_ref(),
                    keys::WATCH_SETTLE,
                )?,
                grace: timeout(
                    "watch_grace",
                    self.watch_grace,
                    file.watch_grace.as_ref(),
                    keys::WATCH_GRACE,
                )?,
                rescan: timeout(
                    "watch_rescan",
                    self.watch_rescan,
                    file.watch_rescan.as_ref(),
                    keys::WATCH_RESCAN,
                )?,
            },
        };
        let said = file.history_bytes_max.as_ref().map(|said| said.value);
        let start = StartOptions {
            workers: size(workers),
            backtraces: self
                .backtraces
                .or(file.backtraces.as_ref().map(|said| said.value))
                .unwrap_or_else(|| {
                    std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0")
                }),
            libraries_max: size(libraries_max),
            #[cfg(feature = "history-sqlite")]
            history_kept: crate::durable::Kept {
                kept_for: timeout(
                    "history_kept_for",
                    self.history_kept_for,
                    file.history_kept_for.as_ref(),
                    history_keys::KEPT_FOR_DEFAULT,
                )?,
                bytes_max: bytes(
                    "history_file_bytes_max",
                    self.history_file_bytes_max,
                    file.history_file_bytes_max.as_ref(),
                    history_keys::FILE_BYTES_DEFAULT,
                )?,
            },
            history_bytes_max: self
                .history_bytes_max
                .unwrap_or_else(|| size(said.unwrap_or(keys::HISTORY_BYTES))),
            clock: self.clock,
            census: self.census,
            state_dir: self.state_dir,
            faults: self.faults,
        };
        Ok((options, start))
    }
}

fn size(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(feature = "history-sqlite")]
fn bytes(
    key: &'static str,
    by_code: Option<u64>,
    by_file: Option<&Said<u64>>,
    default: u64,
) -> Result<u64, ConfigError> {
    let by_code = by_code.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    count(key, by_code, by_file, default)
}

/// A number that is said by code is checked against the same range as one in the file.
fn count(
    key: &'static str,
    by_code: Option<usize>,
    by_file: Option<&Said<u64>>,
    default: u64,
) -> Result<u64, ConfigError> {
    let Some(found) = by_code else {
        return Ok(by_file.map_or(default, |said| said.value));
    };
    let found = found as u64;
    match keys::ENGINE.find(key).map(|key| key.kind) {
        Some(Kind::Count { min, max }) if !(min..=max).contains(&found) => {
            let text = [min, max, found].map(|number| number.to_string());
            Err(ConfigError::by_code(key, &text[0], &text[1], &text[2]))
        }
        _ => Ok(found),
    }
}

fn timeout(
    key: &'static str,
    by_code: Option<Duration>,
    by_file: Option<&Said<Duration>>,
    default: Duration,
) -> Result<Duration, ConfigError> {
    let Some(found) = by_code else {
        return Ok(by_file.map_or(default, |said| said.value));
    };
    match keys::ENGINE.find(key).map(|key| key.kind) {
        Some(Kind::Duration { min, max }) if !(min..=max).contains(&found) => {
            let text = [min, max, found].map(keys::duration_text);
            Err(ConfigError::by_code(key, &text[0], &text[1], &text[2]))
        }
        _ => Ok(found),
    }
}
