//! The only place that reads the wall clock.
//!
//! Everything else is told the time or takes a [`Clock`], so a test can move
//! time by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

/// A source of the current time, cheap to clone and to read.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's wall clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `start` until [`Clock::advance`] is called.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.seconds()))))
    }

    /// The current time, truncated to whole seconds as Zaqar does.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Timestamp::from_seconds(system_seconds()),
            Source::Manual(seconds) => Timestamp::from_seconds(seconds.load(Ordering::SeqCst)),
        }
    }

    /// The current time in microseconds since 1970: where the markers of a queue
    /// begin.
    #[must_use]
    pub fn micros(&self) -> u64 {
        match &self.0 {
            Source::System => u64::try_from(since_epoch().as_micros()).unwrap_or(u64::MAX),
            Source::Manual(_) => self.now().seconds().max(0).cast_unsigned() * 1_000_000,
        }
    }

    /// Moves a manual clock forward by `seconds`; a system clock takes no orders.
    pub fn advance(&self, seconds: i64) {
        if let Source::Manual(now) = &self.0 {
            now.fetch_add(seconds, Ordering::SeqCst);
        }
    }
}

fn system_seconds() -> i64 {
    i64::try_from(since_epoch().as_secs()).unwrap_or(i64::MAX)
}

#[allow(clippy::disallowed_methods, reason = "this is the one reader of the wall clock")]
fn since_epoch() -> Duration {
    // A machine whose clock stands before 1970 is answered with 0, not a panic.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
