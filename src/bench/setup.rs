//! What happens before and after the measurement: is the server there, fill
//! the queues, delete them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::{join_all, try_join_all};

use super::args::Plan;
use super::client::{Body, Connection, Failure};
use super::wire::{Requests, post_body};

/// Connections that fill and delete.
const CONNECTIONS: usize = 8;

/// Most bytes of message bodies in a filling post. Zaqar refuses posts of more
/// than 256 KiB unless told otherwise; the rest is for what is around them.
const POST_BYTES_MAX: u64 = 200_000;

/// Most messages in a filling post: small ones are mostly what is around them.
const POST_MESSAGES_MAX: u64 = 1000;

/// Asks the server whether it is there.
///
/// # Errors
///
/// A sentence for the user.
pub async fn greet(plan: &Plan, requests: &Requests) -> Result<(), String> {
    let url = &plan.args.url;
    let mut connection = Connection::new(Arc::clone(&plan.target), plan.args.timeout);
    connection.connect().await.map_err(|fault| format!("cannot connect to {url}: {fault}"))?;
    let answer = match requests.ping() {
        Ok(ping) => connection.exchange(ping, Body::Skip).await,
        Err(failure) => Err(failure),
    };
    match answer {
        Ok(_) => Ok(()),
        Err(Failure::Status(status @ (401 | 403))) => {
            Err(format!("{url} answers {status} to a ping: it wants a (valid) --token"))
        }
        Err(Failure::Status(status)) => {
            Err(format!("{url} answers {status} to a ping: is it a v2 server?"))
        }
        Err(failure) => Err(format!("{url} does not answer a ping: {failure}")),
    }
}

/// Puts `--prefill` messages into the queues.
///
/// # Errors
///
/// A sentence for the user.
pub async fn fill(plan: &Plan, requests: &Requests) -> Result<(), String> {
    let args = &plan.args;
    let share_max = args.prefill.div_ceil(u64::from(args.queues));
    let post_max = (POST_BYTES_MAX / u64::from(args.message_size))
        .clamp(1, POST_MESSAGES_MAX)
        .min(share_max.max(1));
    let posts = Posts { messages: args.prefill, queues: args.queues.into(), post_max };
    let next = AtomicU64::new(0);
    let full = post_body(u32::try_from(post_max).unwrap_or(1), args.message_size, args.ttl);
    let filling = (0..CONNECTIONS).map(|_| async {
        let mut connection = Connection::new(Arc::clone(&plan.target), args.timeout);
        while let Some((queue, count)) = posts.get(next.fetch_add(1, Ordering::Relaxed)) {
            let body = if count == post_max {
                full.clone()
            } else {
                post_body(u32::try_from(count).unwrap_or(1), args.message_size, args.ttl)
            };
            if count > 0 {
                connection.exchange(requests.post_this(queue, body)?, Body::Skip).await?;
            }
        }
        Ok::<_, Failure>(())
    });
    match try_join_all(filling).await {
        Ok(_) => Ok(()),
        Err(failure) => Err(format!("cannot fill the queues: a post failed with {failure}")),
    }
}

/// Deletes the queues of the run; returns how many could not be.
pub async fn clean(plan: &Plan, requests: &Requests) -> u64 {
    let (next, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    join_all((0..CONNECTIONS).map(|_| async {
        let mut connection = Connection::new(Arc::clone(&plan.target), plan.args.timeout);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(queue) = u32::try_from(number).ok().filter(|it| *it < plan.args.queues) else {
                return;
            };
            let deleted = match requests.delete_queue(queue) {
                Ok(request) => connection.exchange(request, Body::Skip).await,
                Err(failure) => Err(failure),
            };
            if deleted.is_err() {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }))
    .await;
    failed.into_inner()
}

/// The posts that spread `messages` evenly over `queues`, at most `post_max`
/// in a post, queue after queue and round again.
struct Posts {
    messages: u64,
    queues: u64,
    post_max: u64,
}

impl Posts {
    /// The queue of post `number` and how many messages it takes, which may be
    /// none; `None` behind the last post.
    fn get(&self, number: u64) -> Option<(u32, u64)> {
        let (round, queue) = (number / self.queues, number % self.queues);
        let share = self.messages / self.queues + u64::from(queue < self.messages % self.queues);
        let share_max = self.messages.div_ceil(self.queues);
        let before = round * self.post_max;
        if before >= share_max {
            return None;
        }
        let count = share.saturating_sub(before).min(self.post_max);
        u32::try_from(queue).ok().map(|queue| (queue, count))
    }
}

#[cfg(test)]
mod tests {
    use super::Posts;

    #[test]
    fn filling_posts_add_up_and_differ_by_one_at_most_between_queues() {
        for (messages, queues, post_max) in
            [(1, 1, 1), (1000, 1, 190), (10, 3, 2), (3, 10, 5), (0, 4, 1), (77, 7, 11), (12, 4, 1)]
        {
            let posts = Posts { messages, queues, post_max };
            let mut totals = vec![0; usize::try_from(queues).unwrap()];
            for (queue, count) in (0..).map_while(|number| posts.get(number)) {
                assert!(count <= post_max);
                totals[queue as usize] += count;
            }
            assert_eq!(totals.iter().sum::<u64>(), messages);
            let (least, most) = (totals.iter().min().unwrap(), totals.iter().max().unwrap());
            assert!(most - least <= 1, "{totals:?}");
        }
    }
}
