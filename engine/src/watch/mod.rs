//! Watches the plugin directory and the configuration, and brings what is loaded in line with them as they change.
//!
//! What lives here: when a change counts, and the thread that looks. What never will: what is done about a change, which is the same
//! whoever noticed it.

mod detector;
