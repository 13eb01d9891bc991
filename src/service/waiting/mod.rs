//! Waiting for messages without asking again and again.
//!
//! A claim or a listing that finds nothing may wait until there is something.
//! The stores tell of what comes ([`crate::storage::Watcher`]); who is served
//! is decided here, once for all of them: workers in the order they came
//! ([`mod@line`]), readers all at once. Nobody looks twice without a reason, and a
//! queue that nobody waits for costs a post one look at a number.
//!
//! A wait is measured in time that passes, not by the wall clock; what a store
//! has to notice by itself, the end of claims and delays, is seen at the
//! seconds of [`crate::clock::Clock`], by which it is kept.

mod follow;
mod line;
mod lines;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

pub use self::follow::{Followed, Follower};
use self::line::Outcome;
use self::lines::Lines;
use super::access::Permit;
use super::access::actions::{CreateClaim, ListMessages};
use super::check::within;
use super::{Error, Field, MessageListing, MessagePage, Result, Service};
use crate::config::WaitingSettings;
use crate::model::{Claim, ClientId, QueueKey};
use crate::storage::{Arrival, Watcher};

/// Attempts that those who wait make at the same time. A post that wakes
/// thousands must not fill the store's own queue of requests.
const ATTEMPTS_AT_ONCE: usize = 64;

/// A claim whose messages all became dead letters is tried again at once, but
/// not for ever.
const MOST_BURIALS: u32 = 1000;

/// Who waits, and how.
pub(super) struct Waiting {
    lines: Arc<Lines>,
    /// First come, first served, too.
    gate: Semaphore,
    heartbeat: u32,
    max_stream: u32,
}

impl Waiting {
    pub(super) fn new(settings: &WaitingSettings) -> Self {
        Self {
            lines: Arc::new(Lines::new(settings)),
            gate: Semaphore::new(ATTEMPTS_AT_ONCE),
            heartbeat: settings.heartbeat,
            max_stream: settings.max_stream,
        }
    }

    pub(super) fn watcher(&self) -> Arc<dyn Watcher> {
        Arc::clone(&self.lines) as Arc<dyn Watcher>
    }

    /// Does `work` when there are not too many at it. Fails only as it does.
    async fn in_turn<T>(&self, work: impl Future<Output = T>) -> T {
        // The gate is never closed.
        let _permit = self.gate.acquire().await.ok();
        work.await
    }
}

/// What a worker wants, as it sent it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClaimTerms {
    /// Most messages; 10 if `None`.
    pub limit: Option<i64>,
    /// Seconds the claim lives.
    pub ttl: Field,
    /// Seconds a message outlives its claim.
    pub grace: Field,
}

/// A claim on its way to whoever asked for it: given back if it never arrives.
struct HandedOut {
    claim: Option<Claim>,
    service: Arc<Service>,
    queue: Arc<Permit<CreateClaim>>,
}

impl HandedOut {
    fn accept(mut self) -> Option<Claim> {
        self.claim.take()
    }
}

impl Drop for HandedOut {
    fn drop(&mut self) {
        let Some(claim) = self.claim.take() else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let (service, queue) = (Arc::clone(&self.service), Arc::clone(&self.queue));
        runtime.spawn(async move {
            let claims = service.storage.data.claims();
            if let Err(error) = claims.release(&queue, claim.id, service.now()).await {
                tracing::warn!(%error, "the claim of a client that left ends by itself");
            }
        });
    }
}

impl Service {
    /// Claims as [`Service::create_claim`] does. If there is nothing to claim,
    /// waits up to `wait` seconds (not at all if `None`) until there is. Those
    /// who wait for a queue are served in the order they came.
    ///
    /// If the returned future is dropped, nothing stays claimed for it.
    ///
    /// # Errors
    ///
    /// As [`Service::create_claim`]; [`Error::InvalidRequest`] for a wait out
    /// of range; [`Error::TooManyWaiters`].
    pub async fn claim_or_wait(
        self: &Arc<Self>,
        queue: &Arc<Permit<CreateClaim>>,
        terms: ClaimTerms,
        wait: Option<i64>,
    ) -> Result<Option<Claim>> {
        let (wants, ..) = self.check_claim(terms.limit, terms.ttl, terms.grace)?;
        let wait = self.check_wait(wait)?;
        if wait == 0 {
            return self.create_claim(queue, terms.limit, terms.ttl, terms.grace).await;
        }
        let mut over = pin!(self.clock.sleep(wait));
        let mut place = self.waiting.lines.join(queue, wants)?;
        loop {
            if !place.has_turn() {
                tokio::select! {
                    biased;
                    () = &mut over => return Ok(None),
                    goes_on = place.called() => if !goes_on { return Ok(None) },
                }
                continue;
            }
            let claimed = self.waiting.in_turn(self.attempt(queue, terms)).await;
            let outcome = match &claimed {
                Ok(Some(_)) => Outcome::Served,
                Ok(None) => Outcome::Drained,
                Err(_) => Outcome::Failed,
            };
            place.end_turn(outcome);
            if outcome != Outcome::Drained {
                return claimed;
            }
        }
    }

    /// Tries to claim. If nobody waits for it any more, it goes on all the same,
    /// and what it got is given back.
    async fn attempt(
        self: &Arc<Self>,
        queue: &Arc<Permit<CreateClaim>>,
        terms: ClaimTerms,
    ) -> Result<Option<Claim>> {
        let (service, queue) = (Arc::clone(self), Arc::clone(queue));
        let attempt = tokio::spawn(async move {
            let claim = service.claim_past_dead_letters(&queue, terms).await?;
            Ok(HandedOut { claim, service, queue })
        });
        match attempt.await {
            Ok(handed_out) => handed_out.map(HandedOut::accept),
            // The runtime ends, and the server with it.
            Err(_) => Ok(None),
        }
    }

    /// A claim that found nothing but dead letters is no sign that there is
    /// nothing.
    async fn claim_past_dead_letters(
        &self,
        queue: &Permit<CreateClaim>,
        terms: ClaimTerms,
    ) -> Result<Option<Claim>> {
        for _ in 0..MOST_BURIALS {
            let claim = self.create_claim(queue, terms.limit, terms.ttl, terms.grace).await?;
            if claim.is_some() || !self.has_free_beside_dead_letters(queue).await? {
                return Ok(claim);
            }
        }
        Ok(None)
    }

    /// Lists as [`Service::list_messages`] does. If there is nothing, waits up
    /// to `wait` seconds (not at all if `None`) until there is.
    ///
    /// # Errors
    ///
    /// As [`Service::list_messages`]; [`Error::InvalidRequest`] for a wait out
    /// of range; [`Error::TooManyWaiters`].
    pub async fn list_or_wait(
        &self,
        queue: &Permit<ListMessages>,
        client: &ClientId,
        listing: MessageListing,
        wait: Option<i64>,
    ) -> Result<MessagePage> {
        let wait = self.check_wait(wait)?;
        let page = self.list_messages(queue, client, listing.clone()).await?;
        // What cannot be shown is passed too: the client goes on behind it.
        if wait == 0 || page.last.is_some() {
            return Ok(page);
        }
        let mut over = pin!(self.clock.sleep(wait));
        let mut place = self.waiting.lines.listen(queue)?;
        loop {
            let list = self.list_messages(queue, client, listing.clone());
            let page = self.waiting.in_turn(list).await?;
            if page.last.is_some() {
                return Ok(page);
            }
            tokio::select! {
                biased;
                () = &mut over => return Ok(page),
                goes_on = place.called() => if !goes_on { return Ok(page) },
            }
        }
    }

    /// How many requests wait.
    #[must_use]
    pub fn waiters(&self) -> watch::Receiver<usize> {
        self.waiting.lines.waiters()
    }

    /// How many of them have looked and found nothing, so that the next message
    /// is for the first of them.
    #[must_use]
    pub fn resting_waiters(&self) -> usize {
        self.waiting.lines.resting()
    }

    /// Who wants to know what comes to queues: for the task that lets stores
    /// look at the time.
    #[must_use]
    pub fn watcher(&self) -> Arc<dyn Watcher> {
        self.waiting.watcher()
    }

    /// Answers everybody who waits, and ends all streams. From now on nobody
    /// waits any more.
    pub fn stop_waiting(&self) {
        self.waiting.lines.stop();
    }

    /// Something about the queue changed that can bring messages into view.
    pub(super) fn queue_changed(&self, queue: &QueueKey) {
        self.waiting.lines.arrived(queue, Arrival::Something);
    }

    /// The wait of a request, in seconds.
    fn check_wait(&self, wait: Option<i64>) -> Result<u32> {
        let max = self.limits.max_wait;
        within(wait.unwrap_or(0), 0, max).ok_or_else(|| {
            Error::InvalidRequest(format!(
                "The wait must be at least 0 seconds and may not be greater than {max} seconds."
            ))
        })
    }
}
