//! Lets a store look at the time while somebody waits for messages.
//!
//! Claims end and delays pass without a request. At every second of the clock
//! the store is asked to tell of what came free; while nobody waits, it is left
//! alone.

use std::sync::Arc;

use super::Task;
use crate::clock::Clock;
use crate::storage::{DataDriver, Result, Watcher};

/// Starts to look.
pub fn start(driver: Arc<dyn DataDriver>, watcher: Arc<dyn Watcher>, clock: Clock) -> Task {
    Task::start(|mut stopping| async move {
        let mut failed = false;
        while !stopping.now() {
            let looked = tokio::select! {
                biased;
                () = stopping.ended() => return,
                looked = round(driver.as_ref(), watcher.as_ref(), &clock) => looked,
            };
            match &looked {
                Ok(()) => {}
                // A store that is away for a while is told of once.
                Err(error) if failed => tracing::debug!(%error, "still nothing to be seen"),
                Err(error) => tracing::warn!(%error, "what came free could not be seen"),
            }
            failed = looked.is_err();
        }
    })
}

/// Waits for somebody who waits, looks once, and waits for the next second.
async fn round(driver: &dyn DataDriver, watcher: &dyn Watcher, clock: &Clock) -> Result<()> {
    watcher.watching().await;
    let now = clock.now();
    let looked = driver.catch_up(now).await;
    clock.moved_on_from(now).await;
    looked
}
