//! How soon an update returns that nobody waits for any more.

use std::time::{Duration, Instant};

use plugin_engine::{Code, Error, FaultKind};

use super::bench::{Bench, micros, number, time};
use crate::validate::check::{Check, Outcome};

/// The shortest timeout that there is, which most updates that do anything pass.
const TIMEOUT: Duration = Duration::from_millis(1);
/// How many updates are made until one passes it.
const UPDATES_MAX: u64 = 50;
/// What returns later keeps its thread, and holds up whoever switches the plugin off.
const LATE_MAX: Duration = Duration::from_secs(1);

pub(super) fn check(bench: &Bench<'_>) -> Result<(), String> {
    let check = Check::Cancellation;
    bench.begin(check);
    bench.start("timeout = \"1ms\"")?;
    let until = Instant::now() + bench.task.limit();
    let mut made = 0;
    while made < UPDATES_MAX && Instant::now() < until {
        made += 1;
        match bench.engine.update(bench.id()) {
            Err(Error::Fault { fault, .. }) if fault.kind == FaultKind::Timeout => {
                bench.end(of_late(bench));
                return Ok(());
            }
            // Nothing more will come of an instance that cannot be called.
            Err(Error::Denied { .. } | Error::NotNow { .. }) => break,
            _ => {}
        }
    }
    let text = format!(
        "not put to the test: each of {} updates ended within {}",
        number(made),
        time(TIMEOUT)
    );
    bench.end(Outcome::passed(check, text).measured("updates", made));
    Ok(())
}

fn of_late(bench: &Bench<'_>) -> Outcome {
    let check = Check::Cancellation;
    let began = Instant::now();
    let limit = bench.task.limit().max(LATE_MAX * 2);
    let returned = bench.wait_until(limit, || {
        bench.engine.snapshot(bench.id()).in_flight.is_none()
    });
    let late = began.elapsed();
    let text = format!(
        "an update that had passed a deadline of {} returned {} later",
        time(TIMEOUT),
        time(late)
    );
    let outcome = if !returned {
        let text = format!(
            "an update that had passed a deadline of {} has not returned within {}",
            time(TIMEOUT),
            time(limit)
        );
        Outcome::failed(check, Code::VALIDATE_CANCELLATION, text)
    } else if late > LATE_MAX {
        Outcome::failed(check, Code::VALIDATE_CANCELLATION, text)
    } else {
        Outcome::passed(check, text)
    };
    outcome.measured("late_us", micros(late))
}
