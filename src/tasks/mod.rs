//! Work that no request asks for: one background loop per file.
//!
//! The pattern: a `round` that does one piece of work and can be tested alone,
//! and a `start` that repeats it until the [`Task`] it returns is stopped. A
//! round that fails is logged, once, and the loop goes on. A loop looks for
//! the end between pieces of work and never breaks off in the midst of one.

pub mod gc;
pub mod waits;
pub mod watch;

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch as flag;
use tokio::task::JoinHandle;

/// A running loop.
#[must_use = "a loop that nobody stops runs as long as the process"]
#[derive(Debug)]
pub struct Task {
    stop: flag::Sender<bool>,
    finished: JoinHandle<()>,
}

impl Task {
    /// Starts the loop that `run` makes; it ends when its [`Stopping`] says so.
    pub(crate) fn start<F>(run: impl FnOnce(Stopping) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopping) = flag::channel(false);
        Self { stop, finished: tokio::spawn(run(Stopping(stopping))) }
    }

    /// Asks the loop to end and waits until it has.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        if let Err(error) = self.finished.await {
            tracing::error!(%error, "a background task had failed");
        }
    }
}

/// What a loop hears the end from.
pub(crate) struct Stopping(flag::Receiver<bool>);

impl Stopping {
    /// Whether it is time to end.
    pub(crate) fn now(&self) -> bool {
        // A handle that was dropped stops the loop as well.
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until it is time to end.
    pub(crate) async fn ended(&mut self) {
        // Fails if the handle was dropped, which is the same.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Waits for `pause`, or less if it is time to end.
    pub(crate) async fn pause(&mut self, pause: Duration) {
        let ending = self.0.wait_for(|stop| *stop);
        let _ = tokio::time::timeout(pause, ending).await;
    }
}
