//! `plugin-engine top`: how the plugins of a running engine stand, live on a terminal.
//!
//! `feed` asks, `model` knows, `timeline` remembers the last minutes, `view` draws; here they are put together.

mod feed;
mod model;
mod timeline;
mod view;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use plugin_engine_wire::EngineInfo;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::target::{self, Target, exit_status};
use crate::client::ClientError;
use crate::moments::now;
use crate::{output, terminal};
use feed::Feed;
use model::{Model, Wish};
use view::Look;

/// How often it is drawn at most.
const DRAW_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
#[command(after_help = concat!("\
Examples:
  plugin-engine top
  plugin-engine top --state /var/lib/plugin-engine

A row per plugin with its last five minutes as bars: low and green is well, higher and
yellow is failing, full and red is Error. Arrows select, Enter shows error, display and
history of a plugin (which is called for its display), Esc goes back, q quits. Where the
engine goes away, the last that was known stays, and it is asked again each second.
", exit_status!("when it is left;")))]
pub(crate) struct TopArgs {
    #[command(flatten)]
    target: Target,
}

/// Shows until it is left, and returns the exit status.
pub(crate) fn run(args: &TopArgs) -> i32 {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return output::fail("top needs a terminal; `plugin-engine status` says the same once");
    }
    target::status(show(args))
}

fn show(args: &TopArgs) -> Result<i32, ClientError> {
    // Whoever has no engine is told so before the screen is cleared.
    args.target.client()?.get::<EngineInfo>("/engine")?;
    let told = signals().map_err(ClientError::Runtime)?;
    let feed = Feed::start(&args.target)?;
    // From here on a panic gives the terminal back, too.
    let mut screen = ratatui::try_init().map_err(ClientError::Runtime)?;
    let shown = watch(&mut screen, &feed, &told);
    ratatui::restore();
    match shown {
        Ok(()) => Ok(match told.load(Ordering::SeqCst) {
            0 => 0,
            signal => 128 + i32::try_from(signal).unwrap_or(0),
        }),
        Err(error) => Ok(output::fail(format_args!(
            "cannot write to the terminal: {error}"
        ))),
    }
}

/// The number of the signal that has told this process to end; 0 is none.
fn signals() -> io::Result<Arc<AtomicUsize>> {
    let told = Arc::new(AtomicUsize::new(0));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let number = usize::try_from(signal).unwrap_or(0);
        signal_hook::flag::register_usize(signal, Arc::clone(&told), number)?;
    }
    Ok(told)
}

fn watch(screen: &mut ratatui::DefaultTerminal, feed: &Feed, told: &AtomicUsize) -> io::Result<()> {
    let look = Look {
        coloured: terminal::wants_colour(),
    };
    let mut model = Model::default();
    while told.load(Ordering::SeqCst) == 0 {
        let drawn = Instant::now();
        for news in feed.news.try_iter() {
            model.take(news, now());
            // More of it can wait until it has been drawn.
            if drawn.elapsed() > DRAW_EVERY {
                break;
            }
        }
        screen.draw(|frame| view::draw(frame, &mut model, look, now()))?;
        let mut left = DRAW_EVERY;
        while event::poll(left)? {
            let Event::Key(key) = event::read()? else {
                break;
            };
            if key.kind == KeyEventKind::Release {
                continue;
            }
            match model.key(key) {
                Wish::Quit => return Ok(()),
                Wish::Details(id) => feed.want(&id),
                Wish::Nothing => {}
            }
            // Drawn again as soon as all keys that are there have been taken.
            left = Duration::ZERO;
        }
    }
    Ok(())
}
