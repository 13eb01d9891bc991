//! All lines of the process, and how many may wait in them.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Notify, watch};

use super::line::{Line, Outcome, Ticket};
use crate::config::WaitingSettings;
use crate::model::{ProjectId, QueueKey};
use crate::service::{Error, Result};
use crate::storage::{Arrival, Watcher};

/// The lines before all queues that somebody waits for.
#[derive(Debug)]
pub struct Lines {
    inside: Mutex<Inside>,
    /// How many lines there are: what a post looks at.
    open: AtomicUsize,
    /// How many wait.
    waiters: watch::Sender<usize>,
    stopped: watch::Sender<bool>,
    most: usize,
    most_per_project: usize,
}

#[derive(Debug, Default)]
struct Inside {
    lines: BTreeMap<QueueKey, Line>,
    projects: HashMap<ProjectId, usize>,
    waiters: usize,
}

impl Lines {
    /// No lines yet.
    pub fn new(settings: &WaitingSettings) -> Self {
        Self {
            inside: Mutex::default(),
            open: AtomicUsize::new(0),
            waiters: watch::Sender::new(0),
            stopped: watch::Sender::new(false),
            most: settings.max_waiters,
            most_per_project: settings.max_waiters_per_project,
        }
    }

    /// Lines up somebody who wants that many messages.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyWaiters`].
    pub fn join(self: &Arc<Self>, queue: &QueueKey, wants: u32) -> Result<Place> {
        self.enter(queue, |line| line.join(wants))
    }

    /// Adds somebody who wants to know whenever something comes.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyWaiters`].
    pub fn listen(self: &Arc<Self>, queue: &QueueKey) -> Result<Place> {
        self.enter(queue, Line::listen)
    }

    /// How many wait, now and from now on.
    pub fn waiters(&self) -> watch::Receiver<usize> {
        self.waiters.subscribe()
    }

    /// How many of them have looked and found nothing.
    pub fn resting(&self) -> usize {
        self.inside().lines.values().map(Line::resting).sum()
    }

    /// Ends all waiting, for good.
    pub fn stop(&self) {
        self.stopped.send_replace(true);
    }

    fn enter(
        self: &Arc<Self>,
        queue: &QueueKey,
        enter: impl FnOnce(&mut Line) -> (Ticket, Arc<Notify>),
    ) -> Result<Place> {
        let mut inside = self.inside();
        if inside.waiters >= self.most {
            return Err(Error::TooManyWaiters(format!(
                "The server has the most waiting requests that it takes, which is {}.",
                self.most
            )));
        }
        let count = inside.projects.get(&queue.project).copied().unwrap_or_default();
        if count >= self.most_per_project {
            return Err(Error::TooManyWaiters(format!(
                "The project has the most waiting requests that it may have, which is {}.",
                self.most_per_project
            )));
        }
        inside.projects.insert(queue.project.clone(), count + 1);
        inside.waiters += 1;
        let line = inside.lines.entry(queue.clone()).or_default();
        let (ticket, called) = enter(line);
        self.publish(&inside);
        drop(inside);
        let stopped = self.stopped.subscribe();
        Ok(Place { lines: Arc::clone(self), queue: queue.clone(), ticket, called, stopped })
    }

    fn leave(&self, queue: &QueueKey, ticket: Ticket) {
        let mut inside = self.inside();
        inside.waiters = inside.waiters.saturating_sub(1);
        if let Some(count) = inside.projects.get_mut(&queue.project) {
            *count -= 1;
            if *count == 0 {
                inside.projects.remove(&queue.project);
            }
        }
        if let Some(line) = inside.lines.get_mut(queue) {
            line.leave(ticket);
            if line.is_empty() {
                inside.lines.remove(queue);
            }
        }
        self.publish(&inside);
    }

    /// A store must not miss a line that was there before its change could be
    /// seen, hence the strictest order.
    fn publish(&self, inside: &Inside) {
        self.open.store(inside.lines.len(), Ordering::SeqCst);
        self.waiters.send_replace(inside.waiters);
    }

    fn with_line<T>(&self, queue: &QueueKey, work: impl FnOnce(&mut Line) -> T) -> Option<T> {
        self.inside().lines.get_mut(queue).map(work)
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // Held for a few steps in memory, never while anything is waited for.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Watcher for Lines {
    fn is_watching(&self) -> bool {
        self.open.load(Ordering::SeqCst) > 0
    }

    fn arrived(&self, queue: &QueueKey, arrival: Arrival) {
        if self.is_watching() {
            self.with_line(queue, |line| line.arrived(arrival));
        }
    }

    /// Those who wait for messages wait for nothing that is due.
    fn due(&self, _: &QueueKey) {}

    fn watched(&self, after: Option<&QueueKey>, most: usize) -> Vec<QueueKey> {
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let inside = self.inside();
        let behind = inside.lines.range::<QueueKey, _>((begin, Bound::Unbounded));
        behind.map(|(queue, _)| queue.clone()).take(most).collect()
    }

    async fn watching(&self) {
        // Fails only if the sender is gone, which is ours.
        let _ = self.waiters.subscribe().wait_for(|&waiters| waiters > 0).await;
    }
}

/// A place in a line; given up when dropped, with the turn it may have.
#[derive(Debug)]
pub struct Place {
    lines: Arc<Lines>,
    queue: QueueKey,
    ticket: Ticket,
    called: Arc<Notify>,
    stopped: watch::Receiver<bool>,
}

impl Place {
    /// Whether it is this one's turn.
    pub fn has_turn(&self) -> bool {
        self.lines.with_line(&self.queue, |line| line.has_turn(self.ticket)).unwrap_or_default()
    }

    /// Ends its turn.
    pub fn end_turn(&self, outcome: Outcome) {
        self.lines.with_line(&self.queue, |line| line.end_turn(self.ticket, outcome));
    }

    /// Whether all waiting has ended.
    pub fn is_over(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Waits until it is called, for a turn or because something came. `false`
    /// if all waiting ends instead.
    pub async fn called(&mut self) -> bool {
        let Self { called, stopped, .. } = self;
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => false,
            () = called.notified() => true,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lines.leave(&self.queue, self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::fake::queue;

    fn lines(most: usize, most_per_project: usize) -> Arc<Lines> {
        let settings = WaitingSettings {
            max_waiters: most,
            max_waiters_per_project: most_per_project,
            ..crate::config::Settings::defaults().unwrap().waiting
        };
        Arc::new(Lines::new(&settings))
    }

    #[test]
    fn nothing_is_left_of_a_line_that_everybody_left() {
        let lines = lines(10, 10);
        let (one, other) =
            (lines.join(&queue("q"), 1).unwrap(), lines.listen(&queue("q")).unwrap());
        assert!(lines.is_watching());
        assert_eq!(lines.watched(None, 10), [queue("q")]);
        drop(one);
        assert_eq!(*lines.waiters().borrow(), 1);
        drop(other);
        assert!(!lines.is_watching());
        assert_eq!(*lines.waiters().borrow(), 0);
        assert!(lines.inside().projects.is_empty());
    }

    #[test]
    fn watched_queues_come_in_slices() {
        let lines = lines(10, 10);
        let _places: Vec<_> =
            ["a", "b", "c"].iter().map(|name| lines.listen(&queue(name)).unwrap()).collect();
        assert_eq!(lines.watched(None, 2), [queue("a"), queue("b")]);
        assert_eq!(lines.watched(Some(&queue("b")), 2), [queue("c")]);
        assert!(lines.watched(Some(&queue("c")), 2).is_empty());
    }

    #[test]
    fn there_are_only_so_many_places() {
        let lines = lines(3, 2);
        let first = lines.join(&queue("a"), 1).unwrap();
        let _second = lines.listen(&queue("b")).unwrap();
        assert_eq!(
            lines.join(&queue("a"), 1).unwrap_err().to_string(),
            "The project has the most waiting requests that it may have, which is 2."
        );
        let mut other = queue("a");
        other.project = ProjectId::new("other");
        let _third = lines.join(&other, 1).unwrap();
        assert_eq!(
            lines.listen(&other).unwrap_err().to_string(),
            "The server has the most waiting requests that it takes, which is 3."
        );
        drop(first);
        lines.join(&queue("a"), 1).expect("a place became free");
    }

    #[tokio::test]
    async fn the_end_comes_to_everybody_at_once() {
        let lines = lines(3, 3);
        let mut early = lines.listen(&queue("a")).unwrap();
        lines.stop();
        let mut late = lines.listen(&queue("a")).unwrap();
        assert!(!early.called().await);
        assert!(!late.called().await);
    }
}
