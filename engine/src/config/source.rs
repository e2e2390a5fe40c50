//! The text of a configuration file, and places in it. Knows nothing of what the text means.

use std::fmt;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustix::fs::{Mode, OFlags};

/// The longest configuration file that is read, in bytes.
pub(crate) const FILE_LEN_MAX: u64 = 16 * 1024 * 1024;
/// How much of a line is shown before and after what is meant, in bytes.
const LINE_PART_MAX: usize = 200;

/// A configuration file as it was read. Kept for as long as somebody may ask where a value came from.
pub(crate) struct Source {
    pub(crate) path: Arc<Path>,
    pub(crate) text: String,
    /// Where each line begins, once somebody has asked.
    lines: OnceLock<Vec<usize>>,
}

impl Source {
    pub(crate) fn new(path: &Path, text: String) -> Arc<Self> {
        Arc::new(Self {
            path: path.into(),
            text,
            lines: OnceLock::new(),
        })
    }

    /// Reads a file; an absent one is `None`.
    pub(crate) fn read(path: &Path) -> std::io::Result<Option<Arc<Self>>> {
        #[cfg(feature = "simulation")]
        let read = crate::simulation::directory::text(path)
            .unwrap_or_else(|| read_regular(path, FILE_LEN_MAX, "16 MiB"));
        #[cfg(not(feature = "simulation"))]
        let read = read_regular(path, FILE_LEN_MAX, "16 MiB");
        match read {
            Ok(text) => Ok(Some(Self::new(path, text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The line, from 1, and where it begins.
    fn line(&self, at: usize) -> (usize, usize) {
        let lines = self.lines.get_or_init(|| {
            let ends = self.text.match_indices('\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(ends).collect()
        });
        let line = lines.partition_point(|begin| *begin <= at);
        (line, lines[line - 1])
    }

    pub(crate) fn place(self: &Arc<Self>, span: &Range<usize>) -> Place {
        // The text has at most 16 MiB.
        let at = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Place {
            source: Arc::clone(self),
            span: Span(at(span.start), at(span.end)),
        }
    }
}

/// Without the text, in which there may be what nobody is to read in a log.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.path, f)
    }
}

/// Reads a regular file as text, of at most this length. Never waits for a pipe or a device.
pub(crate) fn read_regular(path: &Path, len_max: u64, limit: &str) -> std::io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = std::fs::File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let too_long = || std::io::Error::other(format!("it is no regular file of at most {limit}"));
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > len_max {
        return Err(too_long());
    }
    let mut text = String::new();
    // It may be growing at this very moment.
    let read = file.take(len_max + 1).read_to_string(&mut text)?;
    if read as u64 > len_max {
        return Err(too_long());
    }
    Ok(text)
}

/// A range of bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(u32, u32);

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        let at = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self(at(range.start), at(range.end))
    }
}

impl Span {
    fn range(self) -> Range<usize> {
        self.0 as usize..self.1 as usize
    }

    pub(crate) fn of(self, source: &Arc<Source>) -> Place {
        source.place(&self.range())
    }
}

/// Where in a file a problem is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) length: usize,
    pub(super) text: String,
    pub(super) mark: Range<usize>,
}

/// A place in a configuration file.
#[derive(Clone)]
pub(crate) struct Place {
    source: Arc<Source>,
    span: Span,
}

impl Place {
    pub(crate) fn path(&self) -> &Arc<Path> {
        &self.source.path
    }

    /// The line, from 1.
    pub(crate) fn line(&self) -> usize {
        self.source.line(self.span.0 as usize).0
    }

    /// What is written there.
    pub(crate) fn text(&self) -> &str {
        self.source.text.get(self.span.range()).unwrap_or_default()
    }

    /// Everything that a person who looks for it wants to know.
    pub(super) fn spot(&self) -> Spot {
        let text = self.source.text.as_str();
        let span = self.span.range();
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let (line, begin) = self.source.line(start);
        let end = text[begin..].find('\n').map_or(text.len(), |at| begin + at);
        let end = begin + text[begin..end].trim_end_matches('\r').len();
        let start = start.min(end);
        let stop = text.floor_char_boundary(span.end.clamp(start, end));
        let from = text.floor_char_boundary(start.saturating_sub(LINE_PART_MAX).max(begin));
        let to = text.floor_char_boundary((start + LINE_PART_MAX).min(end));
        Spot {
            line,
            column: text[begin..start].chars().count() + 1,
            length: text[start..stop].chars().count().max(1),
            text: text[from..to].to_owned(),
            mark: start - from..stop.min(to) - from,
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source.path.display(), self.line())
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source) && self.span == other.span
    }
}

/// A value, and where it was said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said<T> {
    pub(crate) value: T,
    pub(crate) at: Place,
}
