//! Collects what expired or was deleted with its queue.
//!
//! Nothing waits for it: what expired is out of sight at once. Servers that
//! share a store may all run it; rounds in several places are harmless.

use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{Stopping, Task};
use crate::clock::Clock;
use crate::storage::{DataDriver, Result};

/// Collects every `interval`. The first round comes after a random part of it,
/// so that servers started together do not collect together.
pub fn start(driver: Arc<dyn DataDriver>, clock: Clock, interval: Duration) -> Task {
    Task::start(|mut stopping| async move {
        let mut pause = random_part(interval);
        let mut failed = false;
        loop {
            stopping.pause(pause).await;
            if stopping.now() {
                return;
            }
            let collected = round(driver.as_ref(), &clock, &mut stopping).await;
            match &collected {
                Ok(0) => {}
                Ok(messages) => tracing::debug!(messages, "garbage was collected"),
                // A store that is away for a while is told of once.
                Err(error) if failed => tracing::debug!(%error, "garbage waits to be collected"),
                Err(error) => tracing::warn!(%error, "garbage could not be collected"),
            }
            failed = collected.is_err();
            pause = interval;
        }
    })
}

/// Collects all there is, once; returns how many messages went.
///
/// # Errors
///
/// [`crate::storage::Error::Unavailable`]; what was collected before stays so.
pub async fn once(driver: &dyn DataDriver, clock: &Clock) -> Result<u64> {
    collect(driver, clock, None).await
}

/// Collects all there is, slice by slice, unless the server stops; returns how
/// many messages went.
async fn round(driver: &dyn DataDriver, clock: &Clock, stopping: &mut Stopping) -> Result<u64> {
    collect(driver, clock, Some(stopping)).await
}

/// Collects slice by slice. Beside a server, it rests between two of them for as long as
/// the first one took: half of the time at least is left to requests.
async fn collect(
    driver: &dyn DataDriver,
    clock: &Clock,
    mut server: Option<&mut Stopping>,
) -> Result<u64> {
    let mut messages = 0;
    loop {
        let begun = Instant::now();
        let collected = driver.gc(clock.now()).await?;
        messages += collected.messages;
        if !collected.more {
            return Ok(messages);
        }
        if let Some(stopping) = server.as_deref_mut() {
            stopping.pause(begun.elapsed()).await;
            if stopping.now() {
                return Ok(messages);
            }
        }
    }
}

fn random_part(interval: Duration) -> Duration {
    let (random, _) = Uuid::new_v4().as_u64_pair();
    // The upper 32 bits: an even spread, and no overflow for any interval.
    interval
        .mul_f64(f64::from(u32::try_from(random >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use async_trait::async_trait;
    use tokio::sync::watch;

    use super::*;
    use crate::model::Timestamp;
    use crate::storage::{
        ClaimController, Collected, Error, MessageController, SubscriptionController, Volume,
    };

    /// Answers each call of `gc` from a script, then with "nothing to do".
    struct Scripted {
        answers: Mutex<VecDeque<Result<Collected>>>,
        calls: watch::Sender<usize>,
        /// How long each call takes.
        slow: Duration,
    }

    impl Scripted {
        fn new(answers: impl IntoIterator<Item = Result<Collected>>) -> Arc<Self> {
            Arc::new(Self::of(answers))
        }

        fn of(answers: impl IntoIterator<Item = Result<Collected>>) -> Self {
            let answers = Mutex::new(answers.into_iter().collect());
            Self { answers, calls: watch::Sender::new(0), slow: Duration::ZERO }
        }

        async fn called(&self, times: usize) {
            self.calls.subscribe().wait_for(|&calls| calls >= times).await.unwrap();
        }

        fn calls(&self) -> usize {
            *self.calls.borrow()
        }
    }

    #[async_trait]
    impl DataDriver for Scripted {
        fn messages(&self) -> &dyn MessageController {
            unreachable!("garbage collection posts nothing")
        }
        fn claims(&self) -> &dyn ClaimController {
            unreachable!("garbage collection claims nothing")
        }
        fn subscriptions(&self) -> &dyn SubscriptionController {
            unreachable!("garbage collection subscribes to nothing")
        }
        async fn ping(&self) -> Result<()> {
            Ok(())
        }
        async fn gc(&self, _now: Timestamp) -> Result<Collected> {
            if !self.slow.is_zero() {
                tokio::time::sleep(self.slow).await;
            }
            let answer = self.answers.lock().unwrap().pop_front();
            self.calls.send_modify(|calls| *calls += 1);
            answer.unwrap_or(Ok(Collected::default()))
        }
        async fn volume(&self, _now: Timestamp) -> Result<Volume> {
            Ok(Volume::default())
        }
        async fn close(&self) {}
    }

    const fn slice(messages: u64, more: bool) -> Collected {
        Collected { messages, more }
    }

    fn down() -> Result<Collected> {
        Err(Error::Unavailable("the disk is gone".to_owned()))
    }

    fn stopping() -> (watch::Sender<bool>, Stopping) {
        let (stop, stopping) = watch::channel(false);
        (stop, Stopping(stopping))
    }

    #[tokio::test]
    async fn a_round_goes_on_while_there_is_more() {
        let driver = Scripted::new([
            Ok(slice(100, true)),
            Ok(slice(100, true)),
            Ok(slice(7, false)),
            down(),
        ]);
        let (_stop, mut stopping) = stopping();
        assert_eq!(round(driver.as_ref(), &Clock::system(), &mut stopping).await, Ok(207));
        assert_eq!(driver.calls(), 3, "no slice after the one that said it was the last");
    }

    #[tokio::test]
    async fn a_round_ends_at_the_first_failure() {
        let driver = Scripted::new([Ok(slice(1, true)), down(), Ok(slice(1, false))]);
        let (_stop, mut stopping) = stopping();
        assert!(round(driver.as_ref(), &Clock::system(), &mut stopping).await.is_err());
        assert_eq!(driver.calls(), 2);
    }

    #[tokio::test]
    async fn a_round_rests_for_as_long_as_it_collected() {
        let slow = Duration::from_millis(30);
        let driver = Scripted { slow, ..Scripted::of([Ok(slice(1, true)), Ok(slice(1, true))]) };
        let (_stop, mut stopping) = stopping();
        let begun = Instant::now();
        assert_eq!(round(&driver, &Clock::system(), &mut stopping).await, Ok(2));
        assert!(begun.elapsed() >= 5 * slow, "three slices and two rests");
    }

    #[tokio::test]
    async fn a_single_round_can_be_asked_for() {
        let driver = Scripted::new([Ok(slice(2, true)), Ok(slice(3, false)), down()]);
        assert_eq!(once(driver.as_ref(), &Clock::system()).await, Ok(5));
        assert!(once(driver.as_ref(), &Clock::system()).await.is_err());
    }

    #[tokio::test]
    async fn a_round_ends_between_slices_when_the_server_stops() {
        let driver = Scripted::new([Ok(slice(1, true)), Ok(slice(1, true))]);
        let (stop, mut stopping) = stopping();
        stop.send(true).unwrap();
        assert_eq!(round(driver.as_ref(), &Clock::system(), &mut stopping).await, Ok(1));
        assert_eq!(driver.calls(), 1);
    }

    #[tokio::test]
    async fn the_loop_outlives_failures_and_ends_when_told() {
        let driver = Scripted::new([down(), down()]);
        let task = start(driver.clone(), Clock::system(), Duration::from_millis(1));
        driver.called(4).await;
        task.stop().await;
        let calls = driver.calls();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(driver.calls(), calls, "nothing is collected once stop has returned");
    }

    #[tokio::test]
    async fn a_long_pause_does_not_hold_up_the_end() {
        let driver = Scripted::new([]);
        let task = start(driver.clone(), Clock::system(), Duration::from_hours(24));
        let stopped = tokio::time::timeout(Duration::from_mins(1), task.stop()).await;
        assert!(stopped.is_ok());
    }

    #[test]
    fn the_first_round_comes_within_one_interval_and_not_always_at_once() {
        let interval = Duration::from_mins(5);
        let parts: Vec<_> = (0..64).map(|_| random_part(interval)).collect();
        assert!(parts.iter().all(|part| *part < interval));
        let (lowest, highest) = (parts.iter().min().unwrap(), parts.iter().max().unwrap());
        assert!(highest.abs_diff(*lowest) > interval / 4, "{lowest:?} to {highest:?}");
    }
}
