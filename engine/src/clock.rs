//! Where time comes from. Scheduling reads a monotonic clock; the wall clock is only what people are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use plugin_engine_core::{Moment, WallTime};

/// A source of time. The engine asks it once per call at least, so it should be fast.
///
/// An embedder may bring one of its own. [`SystemClock`] is the default; [`ManualClock`] stands still until it is moved.
///
/// ```
/// use plugin_engine::{Clock, Moment, SystemClock, WallTime};
/// use std::time::Duration;
///
/// /// The machine's clock, in which a second is ten.
/// struct TenTimesFaster(SystemClock);
///
/// impl Clock for TenTimesFaster {
///     fn now(&self) -> Moment {
///         Moment::from_nanos(self.0.now().as_nanos().saturating_mul(10))
///     }
///
///     fn wall(&self) -> WallTime {
///         self.0.wall()
///     }
///
///     fn real_time_until(&self, moment: Moment) -> Option<Duration> {
///         Some(moment.saturating_since(self.now()) / 10)
///     }
/// }
///
/// let clock = TenTimesFaster(SystemClock::new());
/// let engine = plugin_engine::Engine::builder().clock(clock).build()?;
/// # Ok::<(), plugin_engine::Error>(())
/// ```
pub trait Clock: Send + Sync + 'static {
    /// The moment now, on a clock that never goes back.
    fn now(&self) -> Moment;

    /// The time of day now.
    fn wall(&self) -> WallTime;

    /// How long to wait, in real time, until `moment` comes; `None` if only [`Clock::on_move`] can tell.
    fn real_time_until(&self, moment: Moment) -> Option<Duration>;

    /// Registers what is to be called whenever the clock is moved by hand. A clock that runs by itself ignores it.
    fn on_move(&self, moved: Box<dyn Fn() + Send + Sync>) {
        drop(moved);
    }
}

/// The machine's own clocks: `CLOCK_MONOTONIC`, and the time of day.
///
/// ```
/// use plugin_engine::{Clock, SystemClock};
///
/// let clock = SystemClock::new();
/// let before = clock.now();
/// assert!(clock.now() >= before);
/// ```
#[derive(Debug)]
pub struct SystemClock {
    start_ns: u64,
}

impl SystemClock {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start_ns: monotonic_ns(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

/// Nanoseconds of the system's monotonic clock. Asked for directly, because an update reads it once, and `Instant` computes
/// with seconds and nanoseconds apart.
#[inline]
fn monotonic_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    // Neither part is negative on a monotonic clock.
    (time.tv_sec.cast_unsigned())
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec.cast_unsigned())
}

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Moment {
        Moment::from_nanos(monotonic_ns().saturating_sub(self.start_ns))
    }

    fn wall(&self) -> WallTime {
        SystemTime::now().into()
    }

    fn real_time_until(&self, moment: Moment) -> Option<Duration> {
        Some(moment.saturating_since(self.now()))
    }
}

/// A clock that moves only when told to. For tests, and for embedders that replay.
///
/// Deadlines are looked at during [`ManualClock::advance`], on the thread that advances: when it returns, every call whose
/// deadline lies behind the new time has been recorded as timed out.
///
/// ```
/// use plugin_engine::{Clock, Engine, ManualClock, WallTime};
/// use std::time::Duration;
///
/// let noon = WallTime::from_unix_nanos(43_200_000_000_000);
/// let clock = ManualClock::new(noon);
/// let engine = Engine::builder().clock(clock.clone()).build()?;
/// clock.advance(Duration::from_secs(60));
/// engine.run_cycle();                     // whatever is due a minute later
/// clock.set_wall(noon);                   // changes no schedule
/// assert_eq!(clock.now().as_nanos(), 60_000_000_000);
/// # Ok::<(), plugin_engine::Error>(())
/// ```
#[derive(Clone)]
pub struct ManualClock {
    inner: Arc<ManualInner>,
}

type Moved = Arc<dyn Fn() + Send + Sync>;

struct ManualInner {
    now: AtomicU64,
    wall_offset: AtomicI64,
    moved: Mutex<Vec<Moved>>,
}

impl ManualClock {
    /// A clock that stands at zero, with the wall clock at `wall`.
    #[must_use]
    pub fn new(wall: WallTime) -> Self {
        Self {
            inner: Arc::new(ManualInner {
                now: AtomicU64::new(0),
                wall_offset: AtomicI64::new(wall.as_unix_nanos().cast_signed()),
                moved: Mutex::new(Vec::new()),
            }),
        }
    }

    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let _ = self
            .inner
            .now
            .try_update(Ordering::SeqCst, Ordering::SeqCst, |now| {
                Some(now.saturating_add(by))
            });
        self.tell();
    }

    /// Sets the wall clock alone, as an operator or a time server does.
    pub fn set_wall(&self, wall: WallTime) {
        let offset = wall
            .as_unix_nanos()
            .cast_signed()
            .wrapping_sub(self.now().as_nanos().cast_signed());
        self.inner.wall_offset.store(offset, Ordering::SeqCst);
        self.tell();
    }

    fn tell(&self) {
        // Called without the lock, because what is called may make another engine on this clock.
        let moved = self.inner.moved.lock().clone();
        for moved in &moved {
            moved();
        }
    }
}

impl std::fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManualClock")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment::from_nanos(self.inner.now.load(Ordering::SeqCst))
    }

    fn wall(&self) -> WallTime {
        let offset = self.inner.wall_offset.load(Ordering::SeqCst);
        WallTime::from_unix_nanos(self.now().as_nanos().wrapping_add_signed(offset))
    }

    fn real_time_until(&self, moment: Moment) -> Option<Duration> {
        (moment <= self.now()).then_some(Duration::ZERO)
    }

    fn on_move(&self, moved: Box<dyn Fn() + Send + Sync>) {
        self.inner.moved.lock().push(moved.into());
    }
}

/// How far the wall clock may stray from what the engine believes before it believes the wall clock.
///
/// Small corrections by a time server would otherwise make times that belong together differ by microseconds.
const STRAY_MAX_NS: u64 = 1_000_000;

/// The clock as the engine uses it: one monotonic read per boundary between calls, and the wall clock as an offset to it
/// that is looked at once a cycle.
pub(crate) struct TimeSource {
    clock: Arc<dyn Clock>,
    wall_offset: AtomicI64,
}

impl TimeSource {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let source = Self {
            clock,
            wall_offset: AtomicI64::new(0),
        };
        source.look_at_wall();
        source
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    #[inline]
    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The time of day at `moment`, without a system call.
    #[inline]
    pub(crate) fn wall_at(&self, moment: Moment) -> WallTime {
        let offset = self.wall_offset.load(Ordering::Relaxed);
        WallTime::from_unix_nanos(moment.as_nanos().wrapping_add_signed(offset))
    }

    /// Compares with the real wall clock, and follows it if it has jumped.
    pub(crate) fn look_at_wall(&self) {
        let now = self.now().as_nanos().cast_signed();
        let offset = self
            .clock
            .wall()
            .as_unix_nanos()
            .cast_signed()
            .wrapping_sub(now);
        if offset.abs_diff(self.wall_offset.load(Ordering::Relaxed)) > STRAY_MAX_NS {
            self.wall_offset.store(offset, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_jump_of_the_wall_clock_moves_no_monotonic_time() {
        let clock = ManualClock::new(WallTime::from_unix_nanos(1_000_000_000_000));
        let time = TimeSource::new(Arc::new(clock.clone()));
        clock.advance(Duration::from_secs(1));
        let before = time.now();
        clock.set_wall(WallTime::from_unix_nanos(90_000_000_000_000));
        time.look_at_wall();
        assert_eq!(time.now(), before);
        assert_eq!(
            time.wall_at(before),
            WallTime::from_unix_nanos(90_000_000_000_000)
        );
    }

    #[test]
    fn what_a_clock_calls_when_it_is_moved_keeps_no_engine_that_has_ended() {
        let clock = ManualClock::new(WallTime::default());
        let builder = crate::Engine::builder().clock(clock.clone());
        let engine = builder.build().unwrap();
        let board = Arc::downgrade(&engine.shared().board);
        engine.shutdown(Duration::from_secs(30)).unwrap();
        drop(engine);
        // Threads let go of it when they end, which a shutdown does not wait for.
        let until = Instant::now() + Duration::from_secs(60);
        while board.strong_count() > 0 && Instant::now() < until {
            std::thread::yield_now();
        }
        assert_eq!(board.strong_count(), 0, "the clock is still there");
        drop(clock);
    }
}
