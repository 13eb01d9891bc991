//! The only place that reads the wall clock.
//!
//! Everything else is told the time or takes a [`Clock`], so a test can move
//! time by hand.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::model::Timestamp;

/// A source of the current time, cheap to clone and to read.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    /// Seconds since 1970; whoever sleeps by it is told when it moves.
    Manual(Arc<watch::Sender<i64>>),
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
        Self(Source::Manual(Arc::new(watch::Sender::new(start.seconds()))))
    }

    /// The current time, truncated to whole seconds as Zaqar does.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Timestamp::from_seconds(since_epoch().as_secs().cast_signed()),
            Source::Manual(seconds) => Timestamp::from_seconds(*seconds.borrow()),
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
            now.send_modify(|now| *now += seconds);
        }
    }

    /// Waits for so many seconds to pass from this call on. A system clock that
    /// somebody sets meanwhile makes no difference; a manual one has to be
    /// moved that far.
    pub fn sleep(&self, seconds: u32) -> impl Future<Output = ()> + Send + use<> {
        let (nap, moves) = match &self.0 {
            Source::System => (Some(tokio::time::sleep(Duration::from_secs(seconds.into()))), None),
            Source::Manual(now) => (None, Some(now.subscribe())),
        };
        let end = self.now().plus(seconds).seconds();
        async move {
            if let Some(nap) = nap {
                nap.await;
            }
            if let Some(mut moves) = moves {
                // A clock that is gone moves no more: then nobody asks for it.
                let _ = moves.wait_for(|&now| now >= end).await;
            }
        }
    }

    /// Waits until [`Clock::now`] is no longer `seen`: for a second at most, or
    /// for as long as a manual clock stands still.
    pub async fn moved_on_from(&self, seen: Timestamp) {
        match &self.0 {
            Source::System => {
                let part = Duration::from_nanos(since_epoch().subsec_nanos().into());
                let rest = Duration::from_secs(1).saturating_sub(part);
                if self.now() == seen {
                    tokio::time::sleep(rest).await;
                }
            }
            Source::Manual(now) => {
                let _ = now.subscribe().wait_for(|&now| now != seen.seconds()).await;
            }
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the one reader of the wall clock")]
fn since_epoch() -> Duration {
    // A machine whose clock stands before 1970 is answered with 0, not a panic.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::{Clock, Timestamp};

    fn is_pending(future: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
        future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    #[test]
    fn a_sleeper_by_a_manual_clock_is_woken_by_its_moves() {
        let clock = Clock::manual(Timestamp::from_seconds(1000));
        let mut nap = pin!(clock.sleep(20));
        let mut second = pin!(clock.moved_on_from(clock.now()));
        assert!(is_pending(nap.as_mut()) && is_pending(second.as_mut()));
        clock.advance(19);
        assert!(is_pending(nap.as_mut()), "a second is missing");
        assert!(!is_pending(second.as_mut()));
        clock.advance(1);
        assert!(!is_pending(nap.as_mut()));
    }

    #[tokio::test]
    async fn the_machines_clock_moves_on_by_itself() {
        let clock = Clock::system();
        let seen = clock.now();
        while clock.now() == seen {
            clock.moved_on_from(seen).await;
        }
        assert!(clock.now() > seen);
    }
}
