//! What is wrong with configurations, as lines that a test can compare.

use plugin_engine::{ConfigError, LoadOutcome};

/// What is wrong with the configuration, by one line per problem.
pub fn misconfigured(outcomes: &[LoadOutcome]) -> Vec<String> {
    let errors = outcomes.iter().filter_map(|outcome| match outcome {
        LoadOutcome::Misconfigured { error, .. } => Some(error),
        _ => None,
    });
    errors.flat_map(|error| problem_lines(error)).collect()
}

/// The problems as `CODE FILE:LINE:COLUMN: reason; help`, with 0 and `-` for what there is none of.
pub fn problem_lines(error: &ConfigError) -> Vec<String> {
    let problems = error.problems().iter();
    problems
        .map(|problem| {
            let file = problem.path().unwrap().file_name().unwrap();
            format!(
                "{} {}:{}:{}: {}; {}",
                problem.code(),
                file.to_str().unwrap(),
                problem.line().unwrap_or(0),
                problem.column().unwrap_or(0),
                problem.reason(),
                problem.help_text().unwrap_or("-")
            )
        })
        .collect()
}
