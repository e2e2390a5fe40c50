//! A file that is being read: its text, and what was found wrong with it so far.

use std::ops::Range;
use std::sync::Arc;

use super::error::{Problem, Problems};
use super::source::Source;
use crate::code::Code;

/// A file that is being read.
pub(super) struct Reading<'a> {
    pub(super) source: &'a Arc<Source>,
    pub(super) problems: Problems,
}

impl Reading<'_> {
    pub(super) fn problem(&mut self, code: Code, span: &Range<usize>, reason: String) {
        self.problem_with_help(code, span, reason, None);
    }

    pub(super) fn problem_with_help(
        &mut self,
        code: Code,
        span: &Range<usize>,
        reason: String,
        help: Option<String>,
    ) {
        if self.problems.is_full() {
            return;
        }
        let place = self.source.place(span);
        self.problems
            .add(Problem::new(code, &place, reason).help(help));
    }
}
