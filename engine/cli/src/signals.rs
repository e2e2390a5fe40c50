//! Signals: the first that ends a program asks the run to stop, the second does not wait for that. SIGHUP asks it to read everything again.

use std::io;
use std::sync::Arc;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::screen::Screen;

/// Calls `stop` at the first SIGINT or SIGTERM; at the second, gives the terminal back and ends the process with the status
/// that a shell would give it. Calls `read_again` at each SIGHUP; neither may wait for anything.
pub(crate) fn listen(
    screen: Arc<Screen>,
    stop: impl FnOnce() + Send + 'static,
    read_again: impl Fn() + Send + 'static,
) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGTSTP, SIGHUP])?;
    let mut stop = Some(stop);
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                if signal == SIGHUP {
                    read_again();
                } else if signal == SIGTSTP {
                    // A shell that gets its terminal back wants its cursor and its echo. Painting begins anew afterwards.
                    screen.close();
                    let _ = low_level::emulate_default_handler(SIGTSTP);
                } else if let Some(stop) = stop.take() {
                    stop();
                } else {
                    screen.close_in_a_hurry();
                    low_level::exit(128 + signal);
                }
            }
        })?;
    Ok(())
}
