//! Claims: create, look at, renew, release.

use super::access::Permit;
use super::access::actions::{CreateClaim, GetClaim, ReleaseClaim, RenewClaim};
use super::check::{CLAIM_GRACE_MIN, CLAIM_TTL_MIN, message_limit, within};
use super::metadata::QueueOptions;
use super::{Error, Field, Result, Service};
use crate::model::{Claim, ClaimId, ClaimOrder, DeadLetter, ListQuery, QueueKey};
use crate::storage;

/// Claims that are made in the place of one of which nothing can be decrypted:
/// what lies behind must not wait until it is out of the way.
const CLAIM_TRIES: u32 = 8;

impl Service {
    /// Claims up to `limit` messages (10 if `None`), oldest first; `None` if
    /// there is nothing to claim, also for want of the queue. Missing numbers
    /// become the server's defaults.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidBody`] for a number that is none,
    /// [`Error::InvalidRequest`] for one out of range.
    pub async fn create_claim(
        &self,
        queue: &Permit<CreateClaim>,
        limit: Option<i64>,
        ttl: Field,
        grace: Field,
    ) -> Result<Option<Claim>> {
        let (limit, ttl, grace) = self.check_claim(limit, ttl, grace)?;
        let metadata = self.storage.control.queues().metadata(queue).await?;
        let options = QueueOptions::new(metadata.as_deref(), &self.limits);
        let order = ClaimOrder {
            ttl,
            grace,
            limit,
            include_delayed: options.message_delay().is_none(),
            dead_letter: self.dead_letter(queue, options).await?,
        };
        for _ in 0..CLAIM_TRIES {
            let claim = self.storage.data.claims().create(queue, &order, self.now()).await?;
            let Some(claim) = claim.map(|claim| self.open_claim(queue, claim)) else { break };
            if !claim.messages.is_empty() {
                return Ok(Some(claim));
            }
        }
        Ok(None)
    }

    /// The rule of the queue's dead letters. Where there are pools it holds only
    /// while both queues are in the same one.
    async fn dead_letter(
        &self,
        queue: &QueueKey,
        options: QueueOptions<'_>,
    ) -> Result<Option<DeadLetter>> {
        let (Some(placements), Some(rule)) = (&self.placements, options.dead_letter()) else {
            return Ok(options.dead_letter());
        };
        if placements.join(queue, &rule.queue).await? {
            return Ok(Some(rule));
        }
        tracing::warn!(
            queue.name = %queue.name, project.id = %queue.project, dead_letter.queue = %rule.queue,
            "the dead letter queue is in another pool: dead letters stay where they are"
        );
        Ok(None)
    }

    /// A live claim and what it still holds.
    ///
    /// # Errors
    ///
    /// [`Error::ClaimDoesNotExist`], also for an id that is none.
    pub async fn get_claim(&self, queue: &Permit<GetClaim>, id: &str) -> Result<Claim> {
        let known = parse_id(queue, id)?;
        let claim = self.storage.data.claims().get(queue, known, self.now()).await;
        Ok(self.open_claim(queue, claim.map_err(|error| as_sent(error, queue, id))?))
    }

    /// Renews a live claim. Missing numbers become the server's defaults, not
    /// what the claim had before, as in Zaqar. Unlike there, the grace has to
    /// lie within the same range as when the claim is made.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidBody`] for a number that is none,
    /// [`Error::InvalidRequest`] for one out of range; after these
    /// [`Error::ClaimDoesNotExist`], also for an id that is none.
    pub async fn renew_claim(
        &self,
        queue: &Permit<RenewClaim>,
        id: &str,
        ttl: Field,
        grace: Field,
    ) -> Result<()> {
        let (ttl, grace) = self.claim_numbers(ttl, grace)?;
        let ttl = self.check_claim_ttl(ttl)?;
        let grace = self.check_claim_grace(grace)?;
        let known = parse_id(queue, id)?;
        let renewed = self.storage.data.claims().renew(queue, known, ttl, grace, self.now()).await;
        renewed.map_err(|error| as_sent(error, queue, id))
    }

    /// Ends a claim: its messages are free at once. One that does not live, or
    /// an id that is none, is no error.
    pub async fn release_claim(&self, queue: &Permit<ReleaseClaim>, id: &str) -> Result<()> {
        let Some(id) = ClaimId::parse(id) else { return Ok(()) };
        Ok(self.storage.data.claims().release(queue, id, self.now()).await?)
    }

    /// The limit, the ttl and the grace of a new claim, checked in Zaqar's order.
    pub(super) fn check_claim(
        &self,
        limit: Option<i64>,
        ttl: Field,
        grace: Field,
    ) -> Result<(u32, u32, u32)> {
        let (ttl, grace) = self.claim_numbers(ttl, grace)?;
        let ttl = self.check_claim_ttl(ttl)?;
        let limit = message_limit(limit, self.limits.max_messages_per_claim_or_pop)?;
        Ok((limit, ttl, self.check_claim_grace(grace)?))
    }

    /// Whether there is a free message in a queue that has a dead letter rule.
    /// A claim that came back empty has then moved dead letters only.
    pub(super) async fn has_free_beside_dead_letters(&self, queue: &QueueKey) -> Result<bool> {
        let metadata = self.storage.control.queues().metadata(queue).await?;
        let options = QueueOptions::new(metadata.as_deref(), &self.limits);
        if options.dead_letter().is_none() {
            return Ok(false);
        }
        let query = ListQuery {
            marker: None,
            limit: 1,
            without: None,
            include_claimed: false,
            include_delayed: options.message_delay().is_none(),
        };
        Ok(!self.storage.data.messages().list(queue, &query, self.now()).await?.is_empty())
    }

    /// Zaqar looks at the types of both numbers before it looks at a range.
    fn claim_numbers(&self, ttl: Field, grace: Field) -> Result<(i64, i64)> {
        let ttl = ttl.or(self.limits.default_claim_ttl.into(), "ttl")?;
        let grace = grace.or(self.limits.default_claim_grace.into(), "grace")?;
        Ok((ttl, grace))
    }

    fn check_claim_ttl(&self, ttl: i64) -> Result<u32> {
        let max = self.limits.max_claim_ttl;
        within(ttl, CLAIM_TTL_MIN, max).ok_or_else(|| {
            Error::InvalidRequest(format!(
                "The TTL for a claim may not exceed {max} seconds, \
                 and must be at least {CLAIM_TTL_MIN} seconds long."
            ))
        })
    }

    fn check_claim_grace(&self, grace: i64) -> Result<u32> {
        let max = self.limits.max_claim_grace;
        within(grace, CLAIM_GRACE_MIN, max).ok_or_else(|| {
            Error::InvalidRequest(format!(
                "The grace for a claim may not exceed {max} seconds, \
                 and must be at least {CLAIM_GRACE_MIN} seconds long."
            ))
        })
    }
}

fn parse_id(queue: &QueueKey, id: &str) -> Result<ClaimId> {
    ClaimId::parse(id).ok_or_else(|| does_not_exist(queue, id))
}

/// The store's answer, with a missing claim named as the caller named it.
fn as_sent(error: storage::Error, queue: &QueueKey, id: &str) -> Error {
    match error {
        storage::Error::ClaimDoesNotExist(..) => does_not_exist(queue, id),
        error => error.into(),
    }
}

fn does_not_exist(queue: &QueueKey, id: &str) -> Error {
    Error::ClaimDoesNotExist { id: id.to_owned(), queue: queue.clone() }
}
