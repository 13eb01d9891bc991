//! Lanes: work that waits for the database is done in groups.
//!
//! While one group is on its way, the next one gathers. So a crowd of requests
//! costs the database a few operations and not a few each, and a lone request
//! waits for nobody. A lane runs one group at a time: within a process, what
//! was submitted later is done later.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::storage::{Error, Result};

/// Jobs that may wait in one lane; more are refused.
const MOST_WAITING: usize = 8192;

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
        weigh: impl Fn(&J) -> usize + Send + 'static,
        run: impl Fn(Vec<Job<J, A>>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, mut receiver) = mpsc::channel::<Job<J, A>>(MOST_WAITING);
        handle.spawn(async move {
            let mut next = None;
            loop {
                let first = match next.take() {
                    Some(job) => job,
                    None => match receiver.recv().await {
                        Some(job) => job,
                        None => return,
                    },
                };
                let mut weight = weigh(&first.order);
                let mut group = vec![first];
                while let Ok(job) = receiver.try_recv() {
                    weight += weigh(&job.order);
                    if weight > most {
                        next = Some(job);
                        break;
                    }
                    group.push(job);
                }
                // In a task of its own: a group that fails badly is not the
                // end of the lane, and its jobs hear of it.
                let _ = tokio::spawn(run(group)).await;
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
