//! What `top` knows and which plugin is looked at: changed by news and keys. Never how it is drawn, or where it comes from.

use std::collections::HashMap;

use plugin_engine::WallTime;
use plugin_engine_wire::Snapshot;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::feed::{Details, News};
use super::timeline::{Timeline, Tone};

/// What is known.
#[derive(Default)]
pub(super) struct Model {
    pub(super) plugins: Vec<Snapshot>,
    pub(super) timelines: HashMap<String, Timeline>,
    /// Which of the plugins is looked at, by its place.
    pub(super) selected: usize,
    /// What is known in detail of the one that is looked at, if it is looked at in detail.
    pub(super) detail: Option<Detail>,
    /// Why there are no news.
    pub(super) problem: Option<String>,
}

/// One plugin in detail.
pub(super) struct Detail {
    pub(super) id: String,
    /// `None` until it was told.
    pub(super) told: Option<Details>,
    /// How many lines are above those that are seen.
    pub(super) scrolled: u16,
}

/// What follows from a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    /// More of this plugin.
    Details(String),
    Quit,
}

impl Model {
    /// Takes in what was told.
    pub(super) fn take(&mut self, news: News, now: WallTime) {
        match news {
            News::Plugins(plugins) => {
                let looked_at = self.plugins.get(self.selected).map(|one| one.id.clone());
                let second = now.as_unix_nanos() / 1_000_000_000;
                for plugin in &plugins {
                    let timeline = self.timelines.entry(plugin.id.clone()).or_default();
                    // What happens is told sooner and better by the history; where that says nothing, it is like this now.
                    if timeline.is_unknown() {
                        timeline.take_tone(second, Tone::of(plugin));
                    }
                    timeline.advance(second);
                }
                let is_known = |id: &String| plugins.iter().any(|plugin| plugin.id == *id);
                self.timelines.retain(|id, _| is_known(id));
                let at = looked_at.and_then(|id| plugins.iter().position(|one| one.id == id));
                let last = plugins.len().saturating_sub(1);
                self.selected = at.unwrap_or(self.selected).min(last);
                self.plugins = plugins;
                self.problem = None;
            }
            News::Entry(entry) => {
                let timeline = self.timelines.entry(entry.id.clone()).or_default();
                timeline.take(&entry);
            }
            News::Details(told) => {
                if let Some(detail) = &mut self.detail
                    && detail.id == told.id
                {
                    detail.told = Some(told);
                }
            }
            News::Problem(problem) => self.problem = Some(problem),
        }
    }

    /// Takes in a key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Wish {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match (key.code, &mut self.detail) {
            (KeyCode::Char('q'), _) => return Wish::Quit,
            (KeyCode::Char('c' | 'd'), _) if control => return Wish::Quit,
            (KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace | KeyCode::Left, Some(_)) => {
                self.detail = None;
            }
            (code, Some(detail)) => {
                let by: i32 = match code {
                    KeyCode::Up | KeyCode::Char('k') => -1,
                    KeyCode::Down | KeyCode::Char('j') => 1,
                    KeyCode::PageUp => -10,
                    KeyCode::PageDown => 10,
                    _ => 0,
                };
                detail.scrolled = detail.scrolled.saturating_add_signed(by as i16);
            }
            (KeyCode::Enter | KeyCode::Right, None) => {
                if let Some(plugin) = self.plugins.get(self.selected) {
                    let id = plugin.id.clone();
                    self.detail = Some(Detail {
                        id: id.clone(),
                        told: None,
                        scrolled: 0,
                    });
                    return Wish::Details(id);
                }
            }
            (code, None) => self.select(code),
        }
        Wish::Nothing
    }

    fn select(&mut self, code: KeyCode) {
        let last = self.plugins.len().saturating_sub(1);
        self.selected = match code {
            KeyCode::Up | KeyCode::Char('k') => self.selected.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => (self.selected + 1).min(last),
            KeyCode::PageUp => self.selected.saturating_sub(10),
            KeyCode::PageDown => (self.selected + 10).min(last),
            KeyCode::Home => 0,
            KeyCode::End => last,
            _ => self.selected,
        };
    }
}

#[cfg(test)]
mod tests {
    use plugin_engine_wire::Plugins;

    use super::*;

    const PLUGINS: &str = include_str!("../../../../wire/fixtures/plugins.json");
    const NOW: WallTime = WallTime::from_unix_nanos(1_769_828_398_000_000_000);

    fn plugins() -> Vec<Snapshot> {
        serde_json::from_str::<Plugins>(PLUGINS).unwrap().plugins
    }

    fn model() -> Model {
        let mut model = Model::default();
        model.take(News::Plugins(plugins()), NOW);
        model
    }

    fn press(model: &mut Model, code: KeyCode) -> Wish {
        model.key(KeyEvent::from(code))
    }

    #[test]
    fn a_selection_stays_with_its_plugin_and_among_the_plugins() {
        let mut model = model();
        for _ in 0..9 {
            press(&mut model, KeyCode::Down);
        }
        assert_eq!(model.selected, 2);
        press(&mut model, KeyCode::Up);
        // A plugin before it goes.
        model.take(News::Plugins(plugins().split_off(1)), NOW);
        assert_eq!(model.plugins[model.selected].id, "hangs");
        model.take(News::Plugins(plugins()[..1].to_vec()), NOW);
        assert_eq!(model.selected, 0);
        model.take(News::Plugins(Vec::new()), NOW);
        assert_eq!(press(&mut model, KeyCode::Enter), Wish::Nothing);
        assert!(model.timelines.is_empty());
    }

    #[test]
    fn enter_asks_for_details_and_what_was_asked_for_before_is_not_shown_for_them() {
        let mut model = model();
        let wish = press(&mut model, KeyCode::Enter);
        assert_eq!(wish, Wish::Details("clock".to_owned()));
        let told = |id: &str| {
            News::Details(Details {
                id: id.to_owned(),
                history: Ok(Vec::new()),
                display: Ok(String::new()),
            })
        };
        model.take(told("hangs"), NOW);
        assert!(model.detail.as_ref().unwrap().told.is_none());
        model.take(told("clock"), NOW);
        assert!(model.detail.as_ref().unwrap().told.is_some());
        press(&mut model, KeyCode::Esc);
        assert!(model.detail.is_none());
    }

    #[test]
    fn q_and_ctrl_c_leave_from_everywhere() {
        let mut model = model();
        assert_eq!(press(&mut model, KeyCode::Char('c')), Wish::Nothing);
        let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(model.key(ctrl_c), Wish::Quit);
        press(&mut model, KeyCode::Enter);
        assert_eq!(press(&mut model, KeyCode::Char('q')), Wish::Quit);
    }

    #[test]
    fn an_engine_that_does_not_answer_leaves_what_was_known_with_the_problem() {
        let mut model = model();
        model.take(News::Problem("gone".to_owned()), NOW);
        assert_eq!(
            (model.plugins.len(), model.problem.as_deref()),
            (3, Some("gone"))
        );
        model.take(News::Plugins(plugins()), NOW);
        assert_eq!(model.problem, None);
    }
}
