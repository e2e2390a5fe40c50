//! Signals: the first asks the run to stop, the second does not wait for that.

use std::io;
use std::sync::Arc;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::screen::Screen;

/// Calls `stop` at the first SIGINT or SIGTERM; at the second, gives the terminal back and ends the process with the status
/// that a shell would give it.
pub(crate) fn listen(screen: Arc<Screen>, stop: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGTSTP])?;
    let mut stop = Some(stop);
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                if signal == SIGTSTP {
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
