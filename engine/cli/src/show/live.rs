//! A table on a terminal, repainted in place.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use plugin_engine::{Engine, PluginState, Snapshot, WallTime, escape_control};

use super::{Loaded, Show};
use crate::paint::{Line, Style};
use crate::screen::Screen;
use crate::standing::Standing;
use crate::table::{Space, span, table};
use crate::terminal;

/// The lines around the table: one above, one below, and the one that the cursor stands in.
const ROWS_AROUND: usize = 3;

pub(super) struct Live {
    screen: Arc<Screen>,
    dir: String,
    began: Instant,
    loaded: bool,
    /// How many files are refused that no plugin stands for.
    refused: usize,
    /// How the plugins stood before the shutdown, and when that was: the picture that stays.
    stopped: Option<(Vec<Standing>, WallTime)>,
}

impl Live {
    pub(super) fn new(screen: Arc<Screen>, dir: &Path) -> Self {
        Self {
            screen,
            dir: escape_control(&dir.display().to_string()).into_owned(),
            began: Instant::now(),
            loaded: false,
            refused: 0,
            stopped: None,
        }
    }

    fn paint(&self, plugins: &[Standing], now: WallTime, hint: &str) -> io::Result<()> {
        let size = terminal::size();
        let space = Space {
            columns: size.columns,
            rows: size.rows.saturating_sub(ROWS_AROUND),
        };
        let mut lines = vec![self.title(plugins.len())];
        let shown: Vec<_> = plugins.iter().map(Standing::for_table).collect();
        lines.extend(table(&shown, now, space));
        lines.push(footer(plugins, self.refused, hint));
        let lines = lines.iter().map(|line| line.cut(size.columns)).collect();
        self.screen.paint(lines)
    }

    fn title(&self, plugins: usize) -> Line {
        let up = self.began.elapsed().as_secs();
        let mut line = Line::of(Style::Strong, "plugin-engine");
        let up = match up {
            0..60 => format!("{up}s"),
            _ => span(Duration::from_secs(up)),
        };
        let text = match plugins {
            1 => format!("  1 plugin, up {up}"),
            _ => format!("  {plugins} plugins, up {up}"),
        };
        line.add(Style::Plain, text);
        line.add(Style::Faint, format!("  {}", self.dir));
        line
    }
}

fn footer(plugins: &[Standing], refused: usize, hint: &str) -> Line {
    let count = |is: fn(&Snapshot) -> bool| plugins.iter().filter(|one| is(&one.snapshot)).count();
    let well = count(|one| {
        one.error.is_none() && matches!(one.state, PluginState::Enabled | PluginState::Running)
    });
    let failing = count(|one| one.error.is_some() && one.state != PluginState::Error);
    let stopped = count(|one| one.state == PluginState::Error);
    let off = count(|one| one.state == PluginState::Disabled);
    let mut line = Line::default();
    for (style, number, what) in [
        (Style::Good, well, "well"),
        (Style::Warning, failing, "failing"),
        (Style::Bad, stopped, "in Error"),
        (Style::Bad, refused, "refused"),
        (Style::Faint, off, "off"),
    ] {
        if number > 0 {
            line.add(style, format!("{number} {what}"));
            line.add(Style::Faint, " · ");
        }
    }
    line.add(Style::Faint, hint);
    line
}

impl Show for Live {
    fn period(&self) -> Duration {
        Duration::from_millis(250)
    }

    fn tick(&mut self, engine: &Engine) -> io::Result<()> {
        if self.stopped.is_some() {
            // That the plugins are being unloaded now is not what a person wants to be left with.
            return Ok(());
        }
        self.refused = engine.refused().len();
        let hint = if self.loaded {
            "Ctrl-C stops"
        } else {
            "loading"
        };
        let now = SystemTime::now().into();
        self.paint(&Standing::of_all(engine), now, hint)
    }

    fn loaded(&mut self, _: Loaded) -> io::Result<()> {
        self.began = Instant::now();
        self.loaded = true;
        Ok(())
    }

    fn changed(&mut self, _: String) -> io::Result<()> {
        // The table shows it.
        Ok(())
    }

    fn stopping(&mut self, plugins: Vec<Standing>) -> io::Result<()> {
        let now = SystemTime::now().into();
        self.paint(&plugins, now, "stopping; Ctrl-C again leaves at once")?;
        self.stopped = Some((plugins, now));
        Ok(())
    }

    fn finish(&mut self, _: &Engine) -> io::Result<()> {
        if let Some((plugins, at)) = &self.stopped {
            self.paint(plugins, *at, "stopped")?;
        }
        self.screen.close();
        Ok(())
    }
}
