//! Contention: several processes post to one queue, and one has to wait.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::error::unavailable;
use crate::config::MongodbSettings;
use crate::storage::Result;

/// When a post gives up that others keep getting in the way of; Zaqar's figure.
const WINDOW: Duration = Duration::from_secs(45);

/// The pauses of one post; they grow as Zaqar's do, and chance keeps two
/// processes from meeting again.
#[derive(Debug)]
pub struct Contention {
    since: Instant,
    attempt: u32,
    attempts: u32,
    sleep: f64,
    jitter: f64,
}

impl Contention {
    /// Nobody was in the way yet.
    #[must_use]
    pub fn new(settings: &MongodbSettings) -> Self {
        Self {
            since: Instant::now(),
            attempt: 0,
            attempts: settings.max_attempts,
            sleep: settings.max_retry_sleep,
            jitter: settings.max_retry_jitter,
        }
    }

    /// How long others have been in the way.
    #[must_use]
    pub fn lasted(&self) -> Duration {
        self.since.elapsed()
    }

    /// Lets the others pass.
    ///
    /// # Errors
    ///
    /// [`crate::storage::Error::Unavailable`] after the last attempt.
    pub async fn pause(&mut self) -> Result<()> {
        self.attempt += 1;
        if self.attempt >= self.attempts || self.lasted() > WINDOW {
            return Err(unavailable(&"other posts to the queue were always faster"));
        }
        sleep(self.length()).await;
        Ok(())
    }

    fn length(&self) -> Duration {
        let grown = f64::from(self.attempt) / f64::from(self.attempts) * self.sleep;
        Duration::from_secs_f64(grown + self.jitter * chance())
    }
}

/// An even spread over 0 to 1.
fn chance() -> f64 {
    let (random, _) = Uuid::new_v4().as_u64_pair();
    f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contention(attempt: u32) -> Contention {
        Contention { since: Instant::now(), attempt, attempts: 1000, sleep: 0.1, jitter: 0.0 }
    }

    /// Zaqar's own figures, without the jitter.
    #[tokio::test]
    async fn pauses_grow_as_those_of_zaqar() {
        for (attempt, seconds) in [(1, 0.0001), (500, 0.05), (999, 0.0999)] {
            let length = contention(attempt).length().as_secs_f64();
            assert!((length - seconds).abs() < 1e-9, "{attempt}: {length}");
        }
    }

    #[tokio::test]
    async fn the_last_attempt_is_the_last() {
        assert!(contention(999).pause().await.is_err());
        assert!(contention(1).pause().await.is_ok());
    }
}
