//! The error that a plugin returns.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// Why a call failed, and whether trying again can help.
///
/// Any `std::error::Error` becomes a recoverable one through `?`, with its sources in the text. This type is not itself
/// a `std::error::Error`, because that is what makes the conversion from all others possible.
///
/// ```
/// use plugin_api::PluginError;
///
/// fn read() -> Result<u32, PluginError> {
///     Ok("not a number".parse::<u32>()?)
/// }
/// let error = read().unwrap_err();
/// assert!(error.is_recoverable());
/// assert_eq!(error.to_string(), "invalid digit found in string");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginError {
    message: String,
    kind: Cow<'static, str>,
    recoverable: bool,
    retry_after: Option<Duration>,
}

impl PluginError {
    /// An error that may be gone at the next try: the plugin stays enabled.
    ///
    /// ```
    /// use plugin_api::PluginError;
    ///
    /// let error = PluginError::recoverable("the server is away");
    /// assert!(error.is_recoverable());
    /// assert_eq!(error.type_name(), "");
    /// ```
    #[must_use]
    pub fn recoverable(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            kind: Cow::Borrowed(""),
            recoverable: true,
            retry_after: None,
        }
    }

    /// An error that trying again cannot mend: the plugin goes to the state Error and is not called until it is reset.
    ///
    /// ```
    /// use plugin_api::PluginError;
    ///
    /// let error = PluginError::permanent("settings.path is no directory");
    /// assert!(!error.is_recoverable());
    /// ```
    #[must_use]
    pub fn permanent(message: impl fmt::Display) -> Self {
        Self {
            recoverable: false,
            ..Self::recoverable(message)
        }
    }

    /// Asks for the next try after `delay` instead of after one interval.
    ///
    /// The engine keeps it between 1 ms and one day. It has no effect on a permanent error.
    ///
    /// ```
    /// use plugin_api::PluginError;
    /// use std::time::Duration;
    ///
    /// let error = PluginError::recoverable("too many requests").retry_after(Duration::from_secs(90));
    /// assert_eq!(error.delay(), Some(Duration::from_secs(90)));
    /// ```
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// The same error, as one that trying again cannot mend:
    /// `cx.settings().map_err(|error| PluginError::from(error).into_permanent())?`.
    ///
    /// ```
    /// use plugin_api::PluginError;
    ///
    /// let error = "ten".parse::<u32>().map_err(|error| PluginError::from(error).into_permanent());
    /// assert!(!error.unwrap_err().is_recoverable());
    /// ```
    #[must_use]
    pub fn into_permanent(mut self) -> Self {
        self.recoverable = false;
        self
    }

    /// Names the kind of the error, in place of the Rust type it was made from.
    ///
    /// ```
    /// use plugin_api::PluginError;
    ///
    /// let error = PluginError::recoverable("half of the tree is left").with_type("unfinished");
    /// assert_eq!(error.type_name(), "unfinished");
    /// ```
    #[must_use]
    pub fn with_type(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.kind = name.into();
        self
    }

    /// Whether trying again can help.
    #[must_use]
    pub fn is_recoverable(&self) -> bool {
        self.recoverable
    }

    /// The delay asked for with [`PluginError::retry_after`].
    ///
    /// ```
    /// use plugin_api::PluginError;
    ///
    /// assert_eq!(PluginError::recoverable("busy").delay(), None, "one interval");
    /// ```
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The Rust type of the error this was made from, or the name given with [`PluginError::with_type`]; else empty.
    ///
    /// ```
    /// use plugin_api::PluginError;
    ///
    /// let error = PluginError::from("ten".parse::<u32>().unwrap_err());
    /// assert_eq!(error.type_name(), "core::num::error::ParseIntError");
    /// ```
    #[must_use]
    pub fn type_name(&self) -> &str {
        &self.kind
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: std::error::Error> From<E> for PluginError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Many error types already end with the text of their source; saying it twice helps nobody.
            if !message.ends_with(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = cause.source();
        }
        Self {
            kind: Cow::Borrowed(std::any::type_name::<E>()),
            ..Self::recoverable(message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_std_error_becomes_recoverable_and_keeps_its_type() {
        let error = PluginError::from(std::io::Error::other("the disk is away"));
        assert!(error.is_recoverable());
        assert_eq!(error.to_string(), "the disk is away");
        assert_eq!(error.type_name(), "std::io::error::Error");
    }

    #[test]
    fn permanent_errors_are_not_recoverable() {
        assert!(!PluginError::permanent("no such port").is_recoverable());
    }
}
