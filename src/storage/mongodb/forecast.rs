//! What the counters of queues are expected to be.
//!
//! Where only this process posts, a counter is where its last post left it. A step
//! on that condition tells by its success what the markers are: nothing has to be
//! read back. A forecast is never relied upon, it only saves a round trip.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::QueueKey;

/// Most queues remembered; beyond it, all are forgotten.
const MOST: usize = 20_000;

/// Where this process left the counters.
#[derive(Debug, Default)]
pub struct Forecasts(Mutex<HashMap<QueueKey, Forecast>>);

#[derive(Clone, Copy, Debug)]
struct Forecast {
    /// The next free marker after our last post.
    next: i64,
    /// Whether the counter was still where the post before had left it.
    proven: bool,
}

impl Forecasts {
    fn known(&self) -> MutexGuard<'_, HashMap<QueueKey, Forecast>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next free marker of the queue, if nobody else seems to post there.
    pub fn get(&self, queue: &QueueKey) -> Option<i64> {
        self.known().get(queue).filter(|forecast| forecast.proven).map(|forecast| forecast.next)
    }

    /// Notes that a post found the counter at `first` and left it at `next`.
    pub fn learn(&self, queue: &QueueKey, first: i64, next: i64) {
        let mut known = self.known();
        if let Some(forecast) = known.get_mut(queue) {
            *forecast = Forecast { next, proven: forecast.next == first };
            return;
        }
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(queue.clone(), Forecast { next, proven: false });
    }

    /// Notes that a forecast for one of these was wrong.
    pub fn distrust<'a>(&self, queues: impl Iterator<Item = &'a QueueKey>) {
        let mut known = self.known();
        for queue in queues {
            known.remove(queue);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ProjectId, QueueName};

    #[test]
    fn only_a_counter_that_stays_where_it_was_left_is_forecast() {
        let forecasts = Forecasts::default();
        let name = QueueName::parse("q").unwrap();
        let queue = QueueKey { project: ProjectId::new("p"), name };
        assert_eq!(forecasts.get(&queue), None);
        forecasts.learn(&queue, 1, 4);
        assert_eq!(forecasts.get(&queue), None, "one post proves nothing");
        forecasts.learn(&queue, 4, 6);
        assert_eq!(forecasts.get(&queue), Some(6));
        forecasts.learn(&queue, 7, 9);
        assert_eq!(forecasts.get(&queue), None, "somebody else posted");
        forecasts.learn(&queue, 9, 10);
        assert_eq!(forecasts.get(&queue), Some(10));
        forecasts.distrust(std::iter::once(&queue));
        assert_eq!(forecasts.get(&queue), None);
    }
}
