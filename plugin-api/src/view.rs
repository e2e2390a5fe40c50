//! What a person sees of a plugin.

/// The form of a [`View`].
///
/// ```
/// use plugin_api::ViewKind;
///
/// assert_eq!(ViewKind::Svg.media_type(), "image/svg+xml");
/// assert_eq!(ViewKind::from_code(ViewKind::Svg as u8), Some(ViewKind::Svg));
/// assert_eq!(ViewKind::from_code(200), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum ViewKind {
    /// Nothing to show.
    Empty = 0,
    /// Plain text, UTF-8.
    Text = 1,
    /// An SVG document.
    Svg = 2,
    /// A PNG image.
    Png = 3,
    /// An HTML fragment or document.
    Html = 4,
    /// A JSON document.
    Json = 5,
}

impl ViewKind {
    /// The kind with this number, as it crosses the boundary.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Empty,
            1 => Self::Text,
            2 => Self::Svg,
            3 => Self::Png,
            4 => Self::Html,
            5 => Self::Json,
            _ => return None,
        })
    }

    /// The media type, as HTTP has it.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Empty => "application/octet-stream",
            Self::Text => "text/plain; charset=utf-8",
            Self::Svg => "image/svg+xml",
            Self::Png => "image/png",
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

/// The result of a display: bytes, and what they are.
///
/// ```
/// use plugin_api::{View, ViewKind};
///
/// let view = View::text("42 so far");
/// assert_eq!((view.kind(), view.as_text()), (ViewKind::Text, Some("42 so far")));
///
/// let dot = View::svg("<svg xmlns=\"http://www.w3.org/2000/svg\"><circle r=\"1\"/></svg>");
/// let page = View::html("<b>42</b> so far");
/// let data = View::json("{\"count\":42}");
/// let image = View::png([0x89, b'P', b'N', b'G']);
/// assert_eq!(image.as_text(), None);
/// assert_eq!(View::new(ViewKind::Json, "{\"count\":42}"), data);
/// assert!(View::empty().bytes().is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    kind: ViewKind,
    bytes: Vec<u8>,
}

impl View {
    /// A view of `kind` made of `bytes`. The engine does not look inside.
    #[must_use]
    pub fn new(kind: ViewKind, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            bytes: bytes.into(),
        }
    }

    /// Nothing to show.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(ViewKind::Empty, Vec::new())
    }

    /// Plain text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(ViewKind::Text, text.into())
    }

    /// An SVG document.
    #[must_use]
    pub fn svg(document: impl Into<String>) -> Self {
        Self::new(ViewKind::Svg, document.into())
    }

    /// A PNG image.
    #[must_use]
    pub fn png(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(ViewKind::Png, bytes)
    }

    /// An HTML fragment or document.
    #[must_use]
    pub fn html(document: impl Into<String>) -> Self {
        Self::new(ViewKind::Html, document.into())
    }

    /// A JSON document.
    #[must_use]
    pub fn json(document: impl Into<String>) -> Self {
        Self::new(ViewKind::Json, document.into())
    }

    /// What the bytes are.
    #[must_use]
    pub fn kind(&self) -> ViewKind {
        self.kind
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes as text, unless they are an image or no UTF-8.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self.kind {
            ViewKind::Png => None,
            _ => std::str::from_utf8(&self.bytes).ok(),
        }
    }
}
