//! Lanes: work that waits for the database is done in groups.
//!
//! While one group is on its way, the next one gathers. So a crowd of requests
//! costs the database a few operations and not a few each, and a lone request
//! waits for nobody. A lane runs one group at a time: within a process, what
//! was submitted later is done later.
//!
//! Whoever was answered together tends to ask again at about the same time. Without
//! care the first of a crowd would make a group of its own and the others wait for
//! it, so a group waits a moment for as many as were there at the end of the last one:
//! those it answered and those that waited meanwhile. A group that is large enough does
//! not: it is better on its way while its clients' next requests are read.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::storage::{Error, Result};

/// Jobs that may wait in one lane; more are refused.
pub const MOST_WAITING: usize = 8192;
/// A group waits for a crowd for this part of the time that the last one took.
const MOMENT: u32 = 4;
/// A group of so many jobs waits for no more.
const ENOUGH: usize = 32;

/// One lane; jobs of type `J` with answers of type `A`.
pub struct Lane<J, A> {
    sender: mpsc::Sender<Job<J, A>>,
}

/// A job and where its answer goes.
pub struct Job<J, A> {
    /// What to do.
    pub order: J,
    reply: oneshot::Sender<Result<A>>,
}

impl<J, A> Job<J, A> {
    /// Answers whoever submitted the job, if they are still there.
    pub fn answer(self, answer: Result<A>) {
        let _ = self.reply.send(answer);
    }
}

impl<J: Send + 'static, A: Send + 'static> Lane<J, A> {
    /// Starts a lane. `run` is given what waits, in order, as long as the sum of
    /// what `weigh` says is at most `most` (but at least one job); it answers
    /// each of them. The lane ends when it is dropped and empty.
    pub fn start<F>(
        handle: &Handle,
        most: usize,
        weigh: impl Fn(&J) -> usize + Send + Sync + 'static,
        run: impl Fn(Vec<Job<J, A>>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel::<Job<J, A>>(MOST_WAITING);
        let mut gate = Gate { receiver, next: None, crowd: 1, moment: Duration::ZERO };
        handle.spawn(async move {
            while let Some(group) = gate.group(most, &weigh).await {
                let gathered = group.len();
                let began = Instant::now();
                // In a task of its own: a group that fails badly is not the
                // end of the lane, and its jobs hear of it.
                let _ = tokio::spawn(run(group)).await;
                gate.moment = began.elapsed() / MOMENT;
                gate.crowd = (gathered + gate.waiting()).min(ENOUGH);
            }
        });
        Self { sender }
    }

    /// Has the job done, with others, and waits for its answer. It is done even
    /// if nobody waits any more.
    ///
    /// # Errors
    ///
    /// What the job came to; [`Error::Unavailable`] if too many wait.
    pub async fn submit(&self, order: J) -> Result<A> {
        let (reply, answer) = oneshot::channel();
        let refused = |reason: &str| Error::Unavailable(reason.to_owned());
        self.sender
            .try_send(Job { order, reply })
            .map_err(|_| refused("too many requests wait for MongoDB"))?;
        answer.await.unwrap_or_else(|_| Err(refused("the request was abandoned")))
    }
}

/// Where jobs become groups.
struct Gate<J, A> {
    receiver: mpsc::Receiver<Job<J, A>>,
    /// The job that was too much for the last group.
    next: Option<Job<J, A>>,
    /// How many jobs are expected.
    crowd: usize,
    /// How long as many are waited for.
    moment: Duration,
}

impl<J, A> Gate<J, A> {
    /// The next group; `None` at the end of the lane.
    async fn group(&mut self, most: usize, weigh: impl Fn(&J) -> usize) -> Option<Vec<Job<J, A>>> {
        let first = match self.next.take() {
            Some(job) => job,
            None => self.receiver.recv().await?,
        };
        let until = Instant::now() + self.moment;
        let mut weight = weigh(&first.order);
        let mut group = vec![first];
        while let Some(job) = self.another(group.len(), until).await {
            weight += weigh(&job.order);
            if weight > most {
                self.next = Some(job);
                break;
            }
            group.push(job);
        }
        Some(group)
    }

    /// How many jobs wait.
    fn waiting(&self) -> usize {
        self.receiver.len() + usize::from(self.next.is_some())
    }

    /// A job for a group that has so many: one that is there, or comes in time.
    async fn another(&mut self, gathered: usize, until: Instant) -> Option<Job<J, A>> {
        if let Ok(job) = self.receiver.try_recv() {
            return Some(job);
        }
        if gathered >= self.crowd {
            return None;
        }
        timeout_at(until, self.receiver.recv()).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Groups seen, in order; each group waits for a permit.
    #[tokio::test]
    async fn what_waits_goes_together_and_in_order() {
        let groups = Arc::new(Mutex::new(Vec::new()));
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let lane = Arc::new(Lane::start(&Handle::current(), 4, |_| 1, {
            let (groups, gate) = (Arc::clone(&groups), Arc::clone(&gate));
            move |jobs: Vec<Job<u32, u32>>| {
                let (groups, gate) = (Arc::clone(&groups), Arc::clone(&gate));
                async move {
                    gate.acquire().await.unwrap().forget();
                    groups.lock().unwrap().push(jobs.iter().map(|j| j.order).collect::<Vec<_>>());
                    for job in jobs {
                        let answer = job.order * 2;
                        job.answer(Ok(answer));
                    }
                }
            }
        }));
        let mut answers = Vec::new();
        for number in 0..6 {
            let lane = Arc::clone(&lane);
            answers.push(tokio::spawn(async move { lane.submit(number).await }));
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        }
        gate.add_permits(10);
        for (number, answer) in (0..).zip(answers) {
            assert_eq!(answer.await.unwrap(), Ok(number * 2));
        }
        assert_eq!(*groups.lock().unwrap(), [vec![0], vec![1, 2, 3, 4], vec![5]]);
    }

    /// The sizes of the groups of so many jobs that come one after the other, after a
    /// group of four that took two seconds.
    async fn groups_after_four(jobs: u32) -> Vec<usize> {
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&sizes);
        let run = move |jobs: Vec<Job<u32, u32>>| {
            let earlier = seen.lock().unwrap().len();
            seen.lock().unwrap().push(jobs.len());
            async move {
                if earlier == 0 {
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
                for job in jobs {
                    job.answer(Ok(0));
                }
            }
        };
        let lane = Lane::start(&Handle::current(), 10, |_| 1, run);
        futures_util::future::join_all((0..4).map(|number| lane.submit(number))).await;
        let others = (0..jobs).map(|number| {
            let lane = &lane;
            async move {
                tokio::time::sleep(Duration::from_millis(5 * u64::from(number))).await;
                lane.submit(number).await
            }
        });
        futures_util::future::join_all(others).await;
        sizes.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn a_group_waits_for_the_crowd_but_not_for_ever() {
        let (whole, part) =
            futures_util::future::join(groups_after_four(4), groups_after_four(3)).await;
        assert_eq!(whole, [4, 4]);
        assert_eq!(part, [4, 3]);
    }

    #[tokio::test]
    async fn a_group_that_fails_badly_is_not_the_end_of_the_lane() {
        let lane = Lane::start(
            &Handle::current(),
            4,
            |_| 1,
            |jobs: Vec<Job<u32, u32>>| async {
                for job in jobs {
                    assert!(job.order != 1, "this one fails");
                    job.answer(Ok(0));
                }
            },
        );
        assert!(lane.submit(1).await.is_err());
        assert_eq!(lane.submit(2).await, Ok(0));
    }
}
