//! An answer of the history as one list in the order of numbers, whichever lists it came in.

use plugin_engine_wire::{History, Mark, Transition};

/// What stands at a number.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    Transition(Box<Transition>),
    Mark(Mark),
}

impl Entry {
    pub(crate) fn seq(&self) -> u64 {
        match self {
            Self::Transition(transition) => transition.seq,
            Self::Mark(mark) => mark.seq(),
        }
    }

    /// How many numbers after this one it stands for.
    pub(crate) fn numbers_after(&self, after: u64) -> u64 {
        match self {
            // What was seen before it was written may be among what was lost.
            Self::Mark(Mark::Started {
                lost: Some(lost), ..
            }) => 1 + (lost.last + 1).saturating_sub(lost.first.max(after + 1)),
            Self::Mark(Mark::Folded { transitions, .. }) => *transitions,
            Self::Mark(Mark::Gap { count, .. }) => *count,
            _ => 1,
        }
    }

    /// Whether it is a sum, which stands for numbers that lie among those of others.
    pub(crate) fn is_sum(&self) -> bool {
        matches!(self, Self::Mark(Mark::Folded { .. } | Mark::Gap { .. }))
    }
}

/// Both lists of an answer, each of which is in order, as one. What is out of order within a list stays so.
pub(crate) fn merged(answer: History) -> Vec<Entry> {
    let mut marks = answer.marks.into_iter().map(Entry::Mark).peekable();
    let mut all = Vec::new();
    for transition in answer.entries {
        while let Some(mark) = marks.next_if(|mark| mark.seq() <= transition.seq) {
            all.push(mark);
        }
        all.push(Entry::Transition(Box::new(transition)));
    }
    all.extend(marks);
    all
}

#[cfg(test)]
pub(crate) mod forged {
    //! Answers that no engine gave.

    use plugin_engine_wire::{Fault, Time, Transition};

    use super::Entry;
    use crate::moment::Micros;

    pub(crate) fn time(at: Micros) -> Time {
        let text = humantime::format_rfc3339_micros(
            std::time::UNIX_EPOCH + std::time::Duration::from_micros(at),
        );
        serde_json::from_str(&format!("\"{text}\"")).expect("it is a time")
    }

    pub(crate) fn transition(
        seq: u64,
        at: Micros,
        id: &str,
        from: &str,
        cause: &str,
        to: &str,
    ) -> Transition {
        Transition {
            seq,
            at: time(at),
            id: id.to_owned(),
            generation: 1,
            version: None,
            from: from.to_owned().into(),
            to: to.to_owned().into(),
            cause: cause.to_owned().into(),
            error: None,
            duration_us: None,
        }
    }

    pub(crate) fn fault(kind: &str, recoverable: bool) -> Fault {
        Fault {
            kind: kind.to_owned().into(),
            type_name: None,
            message: "as forged".to_owned(),
            at: time(0),
            recoverable,
            consecutive: 1,
            location: None,
            backtrace: None,
        }
    }

    pub(crate) fn entry(transition: Transition) -> Entry {
        Entry::Transition(Box::new(transition))
    }
}
