//! Whose turn it is: commands to one plugin come one after another, and so do reloads of it. Never what is done in a turn.

use std::cell::RefCell;

use crate::threading::{Mutex, MutexGuard};
use crate::transition_log::{HeldLog, hold_log};
use crate::waiting;

/// The turns of one plugin.
#[derive(Default)]
pub(crate) struct Turns {
    /// Held by a command for as long as it takes.
    command: Mutex<()>,
    /// Held by a reload from its beginning to its end; taken before the turn of a command, which it takes only to switch.
    reload: Mutex<()>,
}

/// The turn of a command. What it logs meanwhile is said when the turn is over, because whoever listens may want a turn, too.
pub(crate) struct Turn<'a> {
    // Dropped in this order: first the turn ends, then is said what happened.
    _turn: MutexGuard<'a, ()>,
    _log: HeldLog,
}

/// The turn of a reload. What it logs meanwhile is said when it is over, as with a command.
pub(crate) struct ReloadTurn<'a> {
    of: &'a Turns,
    // In this order, too.
    _turn: MutexGuard<'a, ()>,
    _log: HeldLog,
}

thread_local! {
    /// The plugins that this thread reloads, by the address of their turns: for who listens to what is logged on the way and wants a
    /// reload, too.
    static RELOADED_HERE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

#[cfg(feature = "simulation")]
pub(crate) fn swap_local(other: &mut Vec<usize>) {
    RELOADED_HERE.with_borrow_mut(|here| std::mem::swap(here, other));
}

impl Drop for ReloadTurn<'_> {
    fn drop(&mut self) {
        RELOADED_HERE.with_borrow_mut(|here| here.retain(|turns| *turns != self.of.address()));
    }
}

impl Turns {
    /// Waits for the turn of a command.
    pub(crate) fn take(&self) -> Turn<'_> {
        Turn {
            _turn: waiting::take_turn(&self.command),
            _log: hold_log(),
        }
    }

    /// Waits for the turn of a reload.
    pub(crate) fn take_reload(&self) -> ReloadTurn<'_> {
        let turn = ReloadTurn {
            of: self,
            _turn: waiting::take_turn(&self.reload),
            _log: hold_log(),
        };
        RELOADED_HERE.with_borrow_mut(|here| here.push(self.address()));
        turn
    }

    /// Whether this thread has the turn of a reload.
    pub(crate) fn is_reloaded_by_this_thread(&self) -> bool {
        RELOADED_HERE.with_borrow(|here| here.contains(&self.address()))
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}
