//! The load: several drivers on one database, each with producers, an observer
//! and workers, none of whom gives up when the database does.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use nusku::clock::Clock;
use nusku::model::{ListQuery, Marker, NewMessage, QueueKey, StoredClaim, StoredMessage};
use nusku::storage::{Error, Result, Storage};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::delivery::Told;
use super::holdings::{Hold, Holdings};
use crate::cli::program::PATIENCE;
use crate::contract::{bodies, client, everything, order, plain};
use crate::dice::Dice;
use crate::observers::checker::{Ledger, Sight};

/// How many requests of a kind each driver must answer again after a blow.
const SIGNS_OF_LIFE: u64 = 5;

/// Everybody gets some answer in this time: what the drivers may wait for the
/// database, and much for a busy machine.
const AN_ANSWER: Duration = Duration::from_secs(super::MAX_WAIT as u64 + 20);

/// What all the tasks share.
pub struct Stage {
    /// One for each process there would be.
    pub drivers: Vec<Storage>,
    pub queue: QueueKey,
    pub clock: Clock,
    pub seed: u64,
    pub ledger: Ledger,
    pub holdings: Mutex<Holdings>,
    pub told: Told,
    /// Set when the producers and workers are to end.
    pub over: AtomicBool,
    pub producing: AtomicUsize,
    /// The last marker each observer has passed.
    passed: Vec<AtomicU64>,
    /// What each driver has answered.
    answered: watch::Sender<Vec<Answered>>,
}

/// Requests answered by a driver.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answered {
    pub posts: u64,
    pub claims: u64,
    /// Of any kind: the store is unavailable.
    pub refusals: u64,
}

impl Stage {
    /// Nothing has happened yet; each driver will have one producer.
    pub fn new(drivers: Vec<Storage>, queue: QueueKey, clock: Clock, seed: u64) -> Self {
        let count = drivers.len();
        Self {
            drivers,
            queue,
            clock,
            seed,
            ledger: Ledger::new(count),
            holdings: Mutex::default(),
            told: Told::default(),
            over: AtomicBool::new(false),
            producing: AtomicUsize::new(count),
            passed: (0..count).map(|_| AtomicU64::new(0)).collect(),
            answered: watch::Sender::new(vec![Answered::default(); count]),
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Waits for an answer. That the store is unavailable is one; any other
    /// refusal is for `allowed` to judge.
    pub async fn ask<T>(
        &self,
        driver: usize,
        work: impl Future<Output = Result<T>>,
        allowed: impl Fn(&Error) -> bool,
    ) -> Option<T> {
        match timeout(AN_ANSWER, work).await.expect("somebody waits for ever") {
            Ok(done) => return Some(done),
            Err(Error::Unavailable(_)) => self.count(driver, |it| it.refusals += 1),
            Err(error) => assert!(allowed(&error), "a wrong answer: {error}"),
        }
        None
    }

    fn count(&self, driver: usize, count: impl Fn(&mut Answered)) {
        self.answered.send_modify(|answered| count(&mut answered[driver]));
    }

    /// What all drivers together have answered.
    pub fn answered(&self) -> Answered {
        self.answered.borrow().iter().fold(Answered::default(), |sum, one| Answered {
            posts: sum.posts + one.posts,
            claims: sum.claims + one.claims,
            refusals: sum.refusals + one.refusals,
        })
    }

    /// Waits until every driver posts and claims again.
    pub async fn wait_for_signs_of_life(&self) {
        self.wait_until(|before, now| {
            now.posts >= before.posts + SIGNS_OF_LIFE && now.claims >= before.claims + SIGNS_OF_LIFE
        })
        .await;
    }

    /// Waits until every driver has refused something.
    pub async fn wait_for_refusals(&self) {
        self.wait_until(|before, now| now.refusals > before.refusals).await;
    }

    async fn wait_until(&self, is_enough: impl Fn(&Answered, &Answered) -> bool) {
        let before = self.answered.borrow().clone();
        let mut watched = self.answered.subscribe();
        let all = watched
            .wait_for(|now| before.iter().zip(now).all(|(before, now)| is_enough(before, now)));
        let ended = timeout(PATIENCE, all).await.map(|seen| drop(seen.unwrap()));
        assert!(ended.is_ok(), "{before:?} became {:?}, in a minute", *self.answered.borrow());
    }

    /// Posts batches until all is over; what becomes of one that is not
    /// acknowledged, nobody knows.
    pub async fn produce(&self, number: usize) {
        let mut dice = Dice::for_user(self.seed, number);
        let messages = self.drivers[number].data.messages();
        while !self.is_over() {
            let size = 1 + usize::try_from(dice.below(7)).unwrap();
            let texts = self.ledger.announce(number, size);
            let batch = texts.iter().map(|text| NewMessage { ttl: 1_000_000, ..plain(text) });
            let who = client(number as u128);
            let post = messages.post(&self.queue, &who, batch.collect(), self.clock.now());
            if let Some(ids) = self.ask(number, post, |_| false).await {
                assert_eq!(ids.len(), size);
                self.ledger.acknowledge(number);
                self.count(number, |it| it.posts += 1);
            }
            // A load, not a flood: observers are to keep up.
            sleep(Duration::from_millis(dice.below(10))).await;
        }
        self.producing.fetch_sub(1, Ordering::SeqCst);
    }

    /// Follows the markers until there is nothing new and nobody posts any more.
    pub async fn observe(&self, number: usize) -> Vec<Sight> {
        let mut dice = Dice::for_user(self.seed, 100 + number);
        let mut seen: Vec<Sight> = Vec::new();
        let messages = self.drivers[number].data.messages();
        loop {
            // Asked before the page: what was acknowledged by then, it must show.
            let is_last = self.producing.load(Ordering::SeqCst) == 0;
            let limit = 1 + u32::try_from(dice.below(50)).unwrap();
            let marker = seen.last().map(|sight| Marker::Position(sight.marker));
            let query = ListQuery { marker, limit, ..everything() };
            let list = messages.list(&self.queue, &query, self.clock.now());
            let Some(page) = self.ask(number, list, |_| false).await else { continue };
            let sight =
                |(message, text): (&StoredMessage, _)| Sight { marker: message.marker, text };
            seen.extend(page.iter().zip(bodies(&page)).map(sight));
            if let Some(last) = page.last() {
                self.passed[number].store(last.marker, Ordering::SeqCst);
            } else if is_last {
                return seen;
            }
        }
    }

    /// Claims, then deletes, renews or releases, until all is over.
    pub async fn work(&self, number: usize) {
        let mut dice = Dice::for_user(self.seed, 200 + number);
        let claims = self.drivers[number].data.claims();
        while !self.is_over() {
            let now = self.clock.now();
            let order = order(1 + u32::try_from(dice.below(10)).unwrap());
            let create = claims.create(&self.queue, &order, now);
            let Some(claim) = self.ask(number, create, |_| false).await else { continue };
            self.count(number, |it| it.claims += 1);
            let Some(mut claim) = claim else { continue };
            let texts = bodies(&claim.messages);
            for text in &texts {
                let hold = Hold { claim: claim.id, since: now, until: claim.expires };
                let taken = self.holdings.lock().unwrap().take(text, hold);
                taken.unwrap_or_else(|fault| panic!("seed {}: {fault}", self.seed));
            }
            if dice.below(4) == 0 {
                self.renew(number, &mut claim, &texts).await;
            }
            let doomed = usize::try_from(dice.below(6)).unwrap().min(texts.len());
            for (message, text) in claim.messages[..doomed].iter().zip(&texts) {
                self.delete(number, &claim, message, text).await;
            }
            self.release(number, &claim, &texts[doomed..]).await;
        }
    }

    /// Whether the time of a claim has passed, so that somebody else may have
    /// what it held.
    fn has_ended(&self, claim: &StoredClaim) -> bool {
        claim.expires <= self.clock.now()
    }

    async fn renew(&self, number: usize, claim: &mut StoredClaim, texts: &[String]) {
        let now = self.clock.now();
        let claims = self.drivers[number].data.claims();
        let renew = claims.renew(&self.queue, claim.id, 200, 60, now);
        let is_gone =
            |error: &Error| matches!(error, Error::ClaimDoesNotExist(..)) && self.has_ended(claim);
        if self.ask(number, renew, is_gone).await.is_some() {
            claim.expires = now.plus(200);
            let mut holdings = self.holdings.lock().unwrap();
            for text in texts {
                holdings.extend(text, claim.id, claim.expires);
            }
        }
    }

    async fn delete(
        &self,
        number: usize,
        claim: &StoredClaim,
        message: &StoredMessage,
        text: &str,
    ) {
        // Who has not passed it yet may miss it now.
        let passed = self.passed.iter().map(|it| it.load(Ordering::SeqCst)).min().unwrap();
        if message.marker > passed {
            self.ledger.excuse(text.to_owned());
        }
        let now = self.clock.now();
        {
            let mut holdings = self.holdings.lock().unwrap();
            holdings.doom(text);
            holdings.let_go(text, claim.id);
        }
        let messages = self.drivers[number].data.messages();
        let delete = messages.delete(&self.queue, message.id, Some(claim.id), now);
        let is_lost = |error: &Error| {
            matches!(error, Error::MessageIsClaimed(_) | Error::MessageIsNotClaimed(_))
                && self.has_ended(claim)
        };
        if self.ask(number, delete, is_lost).await.is_some() {
            self.holdings.lock().unwrap().deleted(text, now);
        }
    }

    async fn release(&self, number: usize, claim: &StoredClaim, texts: &[String]) {
        {
            let mut holdings = self.holdings.lock().unwrap();
            for text in texts {
                holdings.let_go(text, claim.id);
            }
        }
        let claims = self.drivers[number].data.claims();
        self.ask(number, claims.release(&self.queue, claim.id, self.clock.now()), |_| false).await;
    }

    /// The texts of all that is left, by way of one of the drivers.
    pub async fn left(&self, number: usize) -> Vec<String> {
        let messages = self.drivers[number].data.messages();
        let query = everything();
        let list = async || messages.list(&self.queue, &query, self.clock.now()).await;
        let whole = async {
            loop {
                match list().await {
                    Ok(all) => return bodies(&all),
                    Err(error) => assert!(matches!(error, Error::Unavailable(_)), "{error}"),
                }
            }
        };
        timeout(PATIENCE, whole).await.expect("the store comes back")
    }
}
