//! Lets a store look at the time while somebody waits for messages.
//!
//! Claims end and delays pass without a request. At every second of the clock
//! the store is asked to tell of what came free; while nobody waits, it is left
//! alone.

use std::sync::Arc;

use super::Task;
use crate::clock::Clock;
use crate::storage::{DataDriver, Watcher};

/// Starts to look.
pub fn start(driver: Arc<dyn DataDriver>, watcher: Arc<dyn Watcher>, clock: Clock) -> Task {
    Task::start(|mut stopping| async move {
        while !stopping.now() {
            tokio::select! {
                biased;
                () = stopping.ended() => return,
                () = round(driver.as_ref(), watcher.as_ref(), &clock) => {}
            }
        }
    })
}

/// Waits for somebody who waits, looks once, and waits for the next second.
async fn round(driver: &dyn DataDriver, watcher: &dyn Watcher, clock: &Clock) {
    watcher.watching().await;
    let now = clock.now();
    driver.catch_up(now).await;
    clock.moved_on_from(now).await;
}
