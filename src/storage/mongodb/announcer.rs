//! Tells those who wait what came to which queue, however it came to be known:
//! this process did it, another one did (`overhear`), or it is time to look.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::model::{QueueKey, Timestamp};
use crate::storage::{Arrival, Watcher};

/// Queues that are looked at in a second.
const LOOKS: usize = 200;

/// Counters that are remembered; beyond it, some are told of twice.
const MOST_COUNTERS: usize = 20_000;

/// Knows who wants to be told, once somebody does.
#[derive(Default)]
pub struct Announcer {
    watcher: OnceLock<Arc<dyn Watcher>>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The counters of queues after the last post that was told of.
    counters: HashMap<QueueKey, i64>,
    /// Where the last looks ended.
    looked: Option<QueueKey>,
    /// When the present round of looks began.
    round: Option<Timestamp>,
}

impl Announcer {
    /// Tells `watcher` from now on; whoever comes first stays, and anybody else
    /// is answered `false`.
    pub fn listen(&self, watcher: Arc<dyn Watcher>) -> bool {
        self.watcher.set(watcher).is_ok()
    }

    /// Who is told, if anybody is and waits.
    #[must_use]
    pub fn watcher(&self) -> Option<&Arc<dyn Watcher>> {
        self.watcher.get().filter(|watcher| watcher.is_watching())
    }

    /// This process posted so many messages, after which the counter is `next`.
    pub fn posted(&self, queue: &QueueKey, count: i64, next: Option<i64>) {
        let Some(watcher) = self.watcher() else { return };
        if let Some(next) = next {
            self.is_news(queue, next);
        }
        watcher.arrived(queue, Arrival::Messages(count.unsigned_abs()));
    }

    /// Something became due to subscribers of the queue, whoever waits.
    pub fn due(&self, queue: &QueueKey) {
        if let Some(watcher) = self.watcher.get() {
            watcher.due(queue);
        }
    }

    /// Something came to the queue in another way.
    pub fn arrived(&self, queue: &QueueKey, arrival: Arrival) {
        if let Some(watcher) = self.watcher() {
            watcher.arrived(queue, arrival);
        }
    }

    /// The record of a queue changed, and its counter, if that is what changed,
    /// is `next`: perhaps by a post of this process, which was told of.
    pub fn overheard(&self, queue: &QueueKey, next: Option<i64>) {
        if next.is_none_or(|next| self.is_news(queue, next)) {
            self.arrived(queue, Arrival::Something);
        }
    }

    /// Whether nobody was told of a post yet that brought the counter there.
    fn is_news(&self, queue: &QueueKey, next: i64) -> bool {
        let mut known = self.known();
        if known.counters.len() >= MOST_COUNTERS {
            known.counters.clear();
        }
        match known.counters.get_mut(queue) {
            Some(last) if *last >= next => false,
            Some(last) => {
                *last = next;
                true
            }
            None => {
                known.counters.insert(queue.clone(), next);
                true
            }
        }
    }

    /// Has some of the watched queues looked at, each at most once in
    /// `interval` seconds.
    pub fn look(&self, now: Timestamp, interval: u32) {
        let Some(watcher) = self.watcher() else { return };
        let mut known = self.known();
        if known.looked.is_none() && known.round.is_some_and(|round| now < round.plus(interval)) {
            return;
        }
        if known.looked.is_none() {
            known.round = Some(now);
        }
        let queues = watcher.watched(known.looked.as_ref(), LOOKS);
        known.looked = queues.last().filter(|_| queues.len() == LOOKS).cloned();
        drop(known);
        for queue in queues {
            watcher.arrived(&queue, Arrival::Perhaps);
        }
    }

    /// Has the first of the watched queues looked at now, and the others soon.
    pub fn look_at_all(&self) {
        let Some(watcher) = self.watcher() else { return };
        for queue in watcher.watched(None, LOOKS) {
            watcher.arrived(&queue, Arrival::Perhaps);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use async_trait::async_trait;

    use super::*;
    use crate::model::{ProjectId, QueueName};

    /// Watches some queues and writes down what it is told.
    #[derive(Default)]
    struct Watch {
        queues: BTreeSet<QueueKey>,
        told: Mutex<Vec<(QueueKey, Arrival)>>,
    }

    #[async_trait]
    impl Watcher for Watch {
        fn is_watching(&self) -> bool {
            !self.queues.is_empty()
        }
        fn arrived(&self, queue: &QueueKey, arrival: Arrival) {
            self.told.lock().unwrap().push((queue.clone(), arrival));
        }
        fn due(&self, _: &QueueKey) {}

        fn watched(&self, after: Option<&QueueKey>, most: usize) -> Vec<QueueKey> {
            let behind = |queue: &&QueueKey| after.is_none_or(|after| *queue > after);
            self.queues.iter().filter(behind).take(most).cloned().collect()
        }
        async fn watching(&self) {}
    }

    fn queue(number: usize) -> QueueKey {
        let name = QueueName::parse(&format!("q{number:04}")).unwrap();
        QueueKey { project: ProjectId::new("p"), name }
    }

    fn announcer(queues: usize) -> (Announcer, Arc<Watch>) {
        let announcer = Announcer::default();
        let watch =
            Arc::new(Watch { queues: (0..queues).map(queue).collect(), ..Watch::default() });
        announcer.listen(watch.clone());
        (announcer, watch)
    }

    #[test]
    fn a_post_is_told_of_once_whoever_tells_first() {
        let (announcer, watch) = announcer(1);
        announcer.posted(&queue(0), 2, Some(3));
        announcer.overheard(&queue(0), Some(3));
        announcer.overheard(&queue(0), Some(4));
        announcer.overheard(&queue(0), None);
        let told: Vec<_> = watch.told.lock().unwrap().iter().map(|(_, it)| *it).collect();
        assert_eq!(told, [Arrival::Messages(2), Arrival::Something, Arrival::Something]);
    }

    #[test]
    fn every_queue_is_looked_at_but_not_all_at_once() {
        let (announcer, watch) = announcer(2 * LOOKS + 50);
        let start = Timestamp::from_seconds(1000);
        let mut sizes = Vec::new();
        for second in 0..6 {
            announcer.look(start.plus(second), 5);
            sizes.push(std::mem::take(&mut *watch.told.lock().unwrap()).len());
        }
        assert_eq!(sizes, [LOOKS, LOOKS, 50, 0, 0, LOOKS]);
    }
}
