//! Nobody who waits is forgotten: not by what comes, nor by a bell, nor by the end. No wait of a model ends because of time.

use std::sync::Arc;

use super::check;
use crate::changed_plugins::Changes;
use crate::ledger::RunSignal;
use crate::mailbox::Mailbox;
use crate::threading::thread;

#[test]
fn what_is_put_into_a_mailbox_is_taken_out_once_also_if_it_is_closed_meanwhile() {
    check(|| {
        let mailbox = Arc::new(Mailbox::default());
        let taking = Arc::clone(&mailbox);
        let taker = thread::spawn(move || {
            let mut taken = Vec::new();
            while taking.wait(|| None) {
                taken.extend(taking.take());
            }
            taken
        });
        let putting = Arc::clone(&mailbox);
        let putter = thread::spawn(move || [1, 2].map(|what| putting.put(what)));
        mailbox.ring();
        let put = putter.join().unwrap();
        mailbox.close();
        let accepted = [1, 2].into_iter().zip(put);
        let accepted = accepted.filter(|(_, put)| put.is_ok());
        let accepted: Vec<_> = accepted.map(|(what, _)| what).collect();
        assert_eq!(taker.join().unwrap(), accepted);
    });
}

#[test]
fn a_plugin_that_has_changed_is_looked_at_however_often_it_does() {
    check(|| {
        let changes = Arc::new(Changes::default());
        changes.watch();
        let looking = Arc::clone(&changes);
        let looker = thread::spawn(move || {
            let mut seen = Vec::new();
            while looking.wait(|| None) {
                seen.extend(looking.take());
            }
            seen.extend(looking.take());
            seen
        });
        let telling = Arc::clone(&changes);
        let teller = thread::spawn(move || {
            telling.tell(1);
            telling.tell(2);
        });
        changes.tell(1);
        teller.join().unwrap();
        changes.close();
        let mut seen = looker.join().unwrap();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [1, 2]);
    });
}

/// As a run does: it remembers the bell, looks, and waits only if the bell was not rung since.
#[test]
fn a_run_that_is_about_to_wait_hears_the_bell() {
    check(|| {
        let run = Arc::new(RunSignal::default());
        let waiting = Arc::clone(&run);
        let waiter = thread::spawn(move || {
            let mut changes = waiting.changes.lock();
            while *changes == 0 {
                waiting.changed.wait(&mut changes);
            }
        });
        run.notify();
        waiter.join().unwrap();
    });
}
