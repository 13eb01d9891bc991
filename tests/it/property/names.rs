//! Two stores give the same thing different names: which is which.

use std::collections::BTreeMap;
use std::fmt::Debug;

use nusku::model::{ClaimId, MessageHead, MessageId, QueueKey, Stats, StoredClaim, StoredMessage};
use nusku::storage::{DueMessage, Error};
use proptest::prelude::TestCaseError;

use super::steps::Pick;

/// A difference, or none.
pub type Checked<T = ()> = Result<T, TestCaseError>;

/// What one store and the other call a thing.
#[derive(Clone, Copy, Debug)]
pub struct Pair<T> {
    pub driver: T,
    pub model: T,
}

/// Every name given out so far, in the order of creation.
#[derive(Default)]
pub struct Names {
    messages: Vec<(QueueKey, Pair<MessageId>)>,
    claims: Vec<Pair<ClaimId>>,
    /// Per queue, however often made anew: the driver's marker by the model's.
    markers: BTreeMap<QueueKey, BTreeMap<u64, u64>>,
}

/// Most picks choose among this many of the newest.
const NEW: usize = 12;

fn choose<T: Copy>(all: &[T], pick: Pick) -> Option<T> {
    let all = if pick.is_multiple_of(8) { all } else { &all[all.len().saturating_sub(NEW)..] };
    (!all.is_empty()).then(|| all[usize::from(pick / 8) % all.len()])
}

impl Names {
    /// Two posts answered; their messages are pairs.
    pub fn posted(
        &mut self,
        queue: &QueueKey,
        driver: &[MessageId],
        model: &[MessageId],
    ) -> Checked {
        same("messages posted", driver.len(), model.len())?;
        for (&driver, &model) in driver.iter().zip(model) {
            if self.messages.iter().any(|(_, pair)| pair.driver == driver) {
                return differs(format!("id {driver} was given out twice"));
            }
            self.messages.push((queue.clone(), Pair { driver, model }));
        }
        Ok(())
    }

    pub fn claimed(&mut self, driver: ClaimId, model: ClaimId) -> Checked {
        if self.claims.iter().any(|pair| pair.driver == driver) {
            return differs(format!("claim id {driver} was given out twice"));
        }
        self.claims.push(Pair { driver, model });
        Ok(())
    }

    /// A message, mostly one posted to `queue`.
    pub fn message(&self, queue: &QueueKey, pick: Pick) -> Option<Pair<MessageId>> {
        let own = |name: &&(QueueKey, _)| pick.is_multiple_of(5) || name.0 == *queue;
        let all: Vec<_> = self.messages.iter().filter(own).map(|name| name.1).collect();
        choose(&all, pick)
    }

    pub fn claim(&self, pick: Pick) -> Option<Pair<ClaimId>> {
        choose(&self.claims, pick)
    }

    /// The pair of a claim that the model named.
    pub fn pair_of_claim(&self, model: ClaimId) -> Option<Pair<ClaimId>> {
        self.claims.iter().find(|pair| pair.model == model).copied()
    }

    pub fn claims(&self) -> &[Pair<ClaimId>] {
        &self.claims
    }

    /// A marker of `queue` that was seen.
    pub fn marker(&self, queue: &QueueKey, pick: Pick) -> Option<Pair<u64>> {
        let all: Vec<_> = self
            .markers
            .get(queue)?
            .iter()
            .map(|(&model, &driver)| Pair { driver, model })
            .collect();
        choose(&all, pick)
    }

    /// The two stores show these messages of `queue`: they must be the same.
    pub fn same_messages(
        &mut self,
        what: &str,
        queue: &QueueKey,
        driver: Vec<StoredMessage>,
        model: &[StoredMessage],
    ) -> Checked {
        let mut translated = Vec::new();
        for (at, mut message) in driver.into_iter().enumerate() {
            if let Some(other) = model.get(at) {
                self.same_marker(queue, message.marker, other.marker)?;
                message.marker = other.marker;
            }
            message.id = self.model_message(message.id)?;
            message.claim = message.claim.map(|claim| self.model_claim(claim)).transpose()?;
            translated.push(message);
        }
        same(what, &translated[..], model)
    }

    /// The two stores say that these messages of `queue` are due.
    pub fn same_due(
        &mut self,
        queue: &QueueKey,
        driver: Vec<DueMessage>,
        model: &[DueMessage],
    ) -> Checked {
        let mut translated = Vec::new();
        for (at, mut message) in driver.into_iter().enumerate() {
            if let Some(other) = model.get(at) {
                self.same_marker(queue, message.marker, other.marker)?;
                message.marker = other.marker;
            }
            message.id = self.model_message(message.id)?;
            translated.push(message);
        }
        same("what is due", &translated[..], model)
    }

    /// Pairs two markers: a pair stays one, and both sides grow together.
    fn same_marker(&mut self, queue: &QueueKey, driver: u64, model: u64) -> Checked {
        let known = self.markers.entry(queue.clone()).or_default();
        if let Some(&old) = known.get(&model) {
            return same("the marker of one message", driver, old);
        }
        let below = known.range(..model).next_back().is_none_or(|(_, &below)| below < driver);
        let above = known.range(model..).next().is_none_or(|(_, &above)| above > driver);
        if !(below && above && driver > 0) {
            return differs(format!("marker {driver} of {queue} is out of order: {known:?}"));
        }
        known.insert(model, driver);
        Ok(())
    }

    pub fn same_claim(
        &mut self,
        queue: &QueueKey,
        driver: Result<StoredClaim, Error>,
        model: Result<StoredClaim, Error>,
    ) -> Checked {
        match (driver, model) {
            (Ok(driver), Ok(model)) => {
                same("the claim", self.model_claim(driver.id)?, model.id)?;
                same("its times", (driver.ttl, driver.expires), (model.ttl, model.expires))?;
                self.same_messages("what it holds", queue, driver.messages, &model.messages)
            }
            (driver, model) => self.same_answer("the claim", driver, &model),
        }
    }

    /// Compares answers whose only names are in their errors.
    pub fn same_answer<T: Debug + PartialEq>(
        &self,
        what: &str,
        driver: Result<T, Error>,
        model: &Result<T, Error>,
    ) -> Checked {
        let driver = match driver {
            Err(Error::MessageIsClaimed(id)) => {
                Err(Error::MessageIsClaimed(self.model_message(id)?))
            }
            Err(Error::MessageIsNotClaimed(id)) => {
                Err(Error::MessageIsNotClaimed(self.model_message(id)?))
            }
            Err(Error::ClaimDoesNotExist(queue, id)) => {
                Err(Error::ClaimDoesNotExist(queue, self.model_claim(id)?))
            }
            other => other,
        };
        same(what, &driver, model)
    }

    pub fn same_stats(&self, driver: &Stats, model: &Stats) -> Checked {
        let head = |head: &Option<MessageHead>| -> Checked<Option<MessageHead>> {
            let Some(head) = head else { return Ok(None) };
            let claim = head.claim.map(|claim| self.model_claim(claim)).transpose()?;
            let id = self.model_message(head.id)?;
            Ok(Some(MessageHead { id, created: head.created, claim }))
        };
        let (oldest, newest) = (head(&driver.oldest)?, head(&driver.newest)?);
        same("the stats", &Stats { oldest, newest, ..*driver }, model)
    }

    fn model_message(&self, driver: MessageId) -> Checked<MessageId> {
        let known = self.messages.iter().find(|(_, pair)| pair.driver == driver);
        known.map_or_else(
            || differs(format!("message {driver} was never posted")),
            |it| Ok(it.1.model),
        )
    }

    fn model_claim(&self, driver: ClaimId) -> Checked<ClaimId> {
        let known = self.claims.iter().find(|pair| pair.driver == driver);
        known.map_or_else(|| differs(format!("claim {driver} was never made")), |it| Ok(it.model))
    }
}

#[allow(clippy::needless_pass_by_value, reason = "most answers are compared where they arise")]
pub fn same<T: Debug + PartialEq>(what: &str, driver: T, model: T) -> Checked {
    if driver == model {
        return Ok(());
    }
    differs(format!("{what}: the driver answers {driver:#?}, the model {model:#?}"))
}

pub fn differs<T>(how: String) -> Checked<T> {
    Err(TestCaseError::fail(how))
}
