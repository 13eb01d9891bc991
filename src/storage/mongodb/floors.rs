//! Up to where this process has handed everything out.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::store::QueueEntry;
use crate::model::Timestamp;

/// What is free, as somebody sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// When.
    pub now: Timestamp,
    /// Also messages whose delay has not passed.
    pub include_delayed: bool,
}

/// What this process has handed out, by queue.
///
/// It keeps searches from passing again and again over what was just claimed
/// and deleted. What it says is a hint: within the same second a claim ends
/// early only if somebody releases it. So it is dropped when the second is over
/// and when this process frees something; and who finds too little behind a
/// floor looks below it too, unless that is a long way.
#[derive(Debug, Default)]
pub struct Floors(Mutex<Second>);

/// The floors of one second.
#[derive(Debug, Default)]
struct Second {
    now: Timestamp,
    floors: HashMap<String, Floor>,
    /// How often something was freed.
    freed: u64,
}

/// What was learnt of one queue.
#[derive(Clone, Copy, Debug)]
pub struct Floor {
    /// For whom it holds.
    pub view: View,
    /// Nothing that is free has a smaller marker.
    pub marker: i64,
    /// Whether that is to be relied upon: another process may free something.
    pub firm: bool,
}

impl Floors {
    /// The most queues remembered; beyond that all are forgotten.
    const MOST: usize = 10_000;

    fn with<T>(&self, work: impl FnOnce(&mut Second) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How often something was freed: what a search finds is old if this changed.
    pub fn freed(&self) -> u64 {
        self.with(|second| second.freed)
    }

    /// What is known about the queue, to somebody who sees it so.
    pub fn get(&self, queue: &QueueEntry, view: View) -> Option<Floor> {
        self.with(|second| second.floors.get(&queue.p_q).copied().filter(|it| it.view == view))
    }

    /// Notes what was learnt, if nothing was freed since `freed`.
    pub fn raise(&self, queue: &QueueEntry, floor: Floor, freed: u64) {
        self.with(|second| {
            if second.freed != freed {
                return;
            }
            if second.now != floor.view.now || second.floors.len() >= Self::MOST {
                second.floors.clear();
                second.now = floor.view.now;
            }
            second.floors.insert(queue.p_q.clone(), floor);
        });
    }

    /// Notes that something may have become free anywhere in the queue.
    pub fn forget(&self, queue: &QueueEntry) {
        self.with(|second| {
            second.freed += 1;
            second.floors.remove(&queue.p_q);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ProjectId, QueueKey, QueueName};

    fn queue(name: &str) -> QueueEntry {
        let key = QueueKey { project: ProjectId::new("p"), name: QueueName::parse(name).unwrap() };
        QueueEntry {
            p_q: key.to_string(),
            key,
            record: None,
            partition: 0,
            metadata: std::sync::Arc::default(),
            first_marker: 0,
        }
    }

    fn floor(second: i64, marker: i64) -> Floor {
        let view = View { now: Timestamp::from_seconds(second), include_delayed: false };
        Floor { view, marker, firm: false }
    }

    fn marker(floors: &Floors, queue: &QueueEntry, like: Floor) -> Option<i64> {
        floors.get(queue, like.view).map(|floor| floor.marker)
    }

    #[test]
    fn a_floor_holds_for_its_queue_second_and_kind_of_search() {
        let (floors, one, other) = (Floors::default(), queue("one"), queue("other"));
        let low = floor(7, 40);
        floors.raise(&one, low, 0);
        assert_eq!(marker(&floors, &one, low), Some(40));
        assert_eq!(marker(&floors, &other, low), None);
        assert_eq!(marker(&floors, &one, floor(8, 0)), None);
        let delayed_too = View { include_delayed: true, ..low.view };
        assert_eq!(marker(&floors, &one, Floor { view: delayed_too, ..low }), None);

        floors.raise(&other, floor(8, 50), 0);
        assert_eq!(marker(&floors, &one, low), None, "the second is over");
        assert_eq!(marker(&floors, &other, floor(8, 0)), Some(50));
    }

    #[test]
    fn what_was_freed_during_a_search_is_not_overlooked() {
        let (floors, queue) = (Floors::default(), queue("one"));
        floors.raise(&queue, floor(7, 40), floors.freed());
        let began = floors.freed();
        floors.forget(&queue);
        assert_eq!(marker(&floors, &queue, floor(7, 0)), None);
        floors.raise(&queue, floor(7, 60), began);
        assert_eq!(marker(&floors, &queue, floor(7, 0)), None);
        floors.raise(&queue, floor(7, 60), floors.freed());
        assert_eq!(marker(&floors, &queue, floor(7, 0)), Some(60));
    }
}
