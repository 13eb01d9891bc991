//! How many attempts may be under way: in this server, and with one target.
//!
//! Whoever is slow must be in nobody's way but its own. To wait for a target holds
//! nothing that others need, and a target that was too slow to answer is tried by one
//! at a time, and all such targets together by a quarter of those who deliver.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::channel::Outcome;

/// An attempt in vain that took longer than this was too slow.
pub(super) const SLOW: Duration = Duration::from_secs(1);

/// The attempts of this server.
pub(super) struct Attempts {
    workers: Arc<Semaphore>,
    /// Those of them that may try targets that are too slow.
    for_slow: Arc<Semaphore>,
    max_per_target: usize,
    slow: Duration,
    targets: Arc<Targets>,
}

/// By name; only those that somebody means to try.
type Targets = Mutex<HashMap<String, Weak<Target>>>;

/// What several attempts share, as long as somebody means to try it.
pub(super) struct Target {
    name: String,
    room: Arc<Semaphore>,
    is_slow: AtomicBool,
    /// Taken by the one that tries a slow target.
    alone: Arc<Turn<()>>,
    targets: Arc<Targets>,
}

/// The right to make one attempt.
pub(super) struct Admission {
    target: Arc<Target>,
    slow: Duration,
    _room: Option<OwnedSemaphorePermit>,
    _alone: Option<(OwnedMutexGuard<()>, Option<OwnedSemaphorePermit>)>,
    _worker: Option<OwnedSemaphorePermit>,
}

impl Attempts {
    pub(super) fn new(workers: u32, max_per_target: u32, slow: Duration) -> Self {
        let count = |number: u32| usize::try_from(number).unwrap_or(1);
        Self {
            workers: Arc::new(Semaphore::new(count(workers))),
            for_slow: Arc::new(Semaphore::new(count(workers).div_ceil(4))),
            max_per_target: count(max_per_target),
            slow,
            targets: Arc::default(),
        }
    }

    /// The target of that name, the same for all who have it at the same time.
    pub(super) fn target(&self, name: String) -> Arc<Target> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = targets.get(&name).and_then(Weak::upgrade) {
            return target;
        }
        let target = Arc::new(Target {
            name: name.clone(),
            room: Arc::new(Semaphore::new(self.max_per_target)),
            is_slow: AtomicBool::new(false),
            alone: Arc::default(),
            targets: Arc::clone(&self.targets),
        });
        targets.insert(name, Arc::downgrade(&target));
        target
    }

    /// Waits for the right to make an attempt with the target.
    pub(super) async fn admit(&self, target: &Arc<Target>) -> Admission {
        // No semaphore here is ever closed.
        let room = Arc::clone(&target.room).acquire_owned().await.ok();
        let mut alone = None;
        if target.is_slow.load(Ordering::Relaxed) {
            let turn = Arc::clone(&target.alone).lock_owned().await;
            if target.is_slow.load(Ordering::Relaxed) {
                alone = Some((turn, Arc::clone(&self.for_slow).acquire_owned().await.ok()));
            }
        }
        let worker = Arc::clone(&self.workers).acquire_owned().await.ok();
        let target = Arc::clone(target);
        Admission { target, slow: self.slow, _room: room, _alone: alone, _worker: worker }
    }
}

impl Admission {
    /// Whether it is for this target.
    pub(super) fn is_for(&self, target: &Arc<Target>) -> bool {
        Arc::ptr_eq(&self.target, target)
    }

    /// Makes the attempt, and remembers whether the target was too slow.
    pub(super) async fn attempt(self, attempt: impl Future<Output = Outcome>) -> Outcome {
        let begin = Instant::now();
        let outcome = attempt.await;
        match &outcome {
            Outcome::Delivered | Outcome::Refused { .. } => {
                self.target.is_slow.store(false, Ordering::Relaxed);
            }
            Outcome::TryAgain { .. } => {
                if begin.elapsed() >= self.slow {
                    self.target.is_slow.store(true, Ordering::Relaxed);
                }
            }
        }
        outcome
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have made another one of this name meanwhile.
        if targets.get(&self.name).is_some_and(|target| target.strong_count() == 0) {
            targets.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, ready};
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use super::{Attempts, Outcome};

    fn polled<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn in_vain() -> Outcome {
        Outcome::TryAgain { reason: "It was busy.".into(), after: None }
    }

    /// Whether an attempt could begin at once.
    fn is_free(attempts: &Attempts, name: &str) -> bool {
        let target = attempts.target(name.into());
        polled(pin!(attempts.admit(&target))).is_ready()
    }

    #[tokio::test]
    async fn who_waits_for_a_target_is_in_nobody_elses_way() {
        let attempts = Attempts::new(3, 2, Duration::MAX);
        let target = attempts.target("a".into());
        let first = attempts.admit(&target).await;
        let _second = attempts.admit(&target).await;
        let mut third = pin!(attempts.admit(&target));
        assert!(polled(third.as_mut()).is_pending());
        assert!(is_free(&attempts, "b"));
        drop(first);
        assert!(polled(third.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn so_many_attempts_and_no_more() {
        let attempts = Attempts::new(2, 1, Duration::MAX);
        let (a, b) = (attempts.target("a".into()), attempts.target("b".into()));
        let _a = attempts.admit(&a).await;
        let b = attempts.admit(&b).await;
        assert!(!is_free(&attempts, "c"));
        drop(b);
        assert!(is_free(&attempts, "c"));
    }

    #[tokio::test]
    async fn a_slow_target_is_tried_by_one_at_a_time_until_it_answers() {
        let attempts = Attempts::new(8, 4, Duration::ZERO);
        let target = attempts.target("a".into());
        attempts.admit(&target).await.attempt(ready(in_vain())).await;
        let first = attempts.admit(&target).await;
        let mut second = pin!(attempts.admit(&target));
        assert!(polled(second.as_mut()).is_pending());
        first.attempt(ready(in_vain())).await;
        let Poll::Ready(second) = polled(second.as_mut()) else { panic!("its turn came") };
        second.attempt(ready(Outcome::Delivered)).await;
        let _first = attempts.admit(&target).await;
        assert!(is_free(&attempts, "a"));
    }

    #[tokio::test]
    async fn a_quick_failure_slows_nobody_down() {
        let attempts = Attempts::new(8, 4, Duration::MAX);
        let target = attempts.target("a".into());
        attempts.admit(&target).await.attempt(ready(in_vain())).await;
        let _first = attempts.admit(&target).await;
        assert!(is_free(&attempts, "a"));
    }

    #[tokio::test]
    async fn slow_targets_leave_room_for_others() {
        let attempts = Attempts::new(4, 4, Duration::ZERO);
        let (a, b) = (attempts.target("a".into()), attempts.target("b".into()));
        for target in [&a, &b] {
            attempts.admit(target).await.attempt(ready(in_vain())).await;
        }
        let _a = attempts.admit(&a).await;
        assert!(!is_free(&attempts, "b"));
        assert!(is_free(&attempts, "c"));
    }

    #[tokio::test]
    async fn targets_that_nobody_tries_are_forgotten() {
        let attempts = Attempts::new(4, 4, Duration::ZERO);
        let target = attempts.target("a".into());
        attempts.admit(&target).await.attempt(ready(in_vain())).await;
        drop(target);
        assert!(attempts.targets.lock().unwrap().is_empty());
    }
}
