//! Tells subscribers of what is due.
//!
//! A queue in which something became due is looked at: what is found there and in
//! nobody's hands is taken, and each subscription gets a [`lane`], a task that tells
//! its subscriber of one message after the other. Nothing is lost with a task or a
//! process: the store knows how far each subscription is, and a walk over all queues
//! finds what nobody works on any more.

mod giving_up;
mod lane;
mod looks;
mod subject;
mod telling;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use self::lane::Lane;
use self::looks::Looks;
use self::subject::Subject;
use super::attempts::{Attempts, SLOW};
use super::confirmation::Request;
use super::slots::Slots;
use crate::model::{QueueKey, Subscription, Timestamp};
use crate::service::Service;
use crate::service::metadata::QueueOptions;
use crate::service::retry_policy::{LONGEST_PAUSE, Schedule};
use crate::storage::{self, Delivery, TakeOrder};

/// Subscriptions in the works at once. Each is a task and up to a page of messages.
const MOST_LANES: u32 = 10_000;

/// Seconds that a subscription is held: so long after the end of a process do its
/// subscribers wait for another one.
const HOLD: u32 = 30;

/// The least time between two looks at a queue, if the first one found nobody to tell:
/// posts that follow each other quickly are found by one look.
const COOL_DOWN: Duration = Duration::from_millis(10);

/// The same if it found somebody, who may well have been told by then: whoever posts
/// what a subscriber waits for should not wait for us.
const SHORT_COOL_DOWN: Duration = Duration::from_millis(2);

/// Subscriptions taken at a time.
const TAKEN_AT_ONCE: u32 = 64;

/// Queues that a walk reads at a time.
const WALK_PAGE: u32 = 1000;

/// Requests to confirm that are on their way at once.
const CONFIRMATIONS_AT_ONCE: usize = 1000;

/// How long attempts that are under way may take when the server stops.
const PATIENCE: Duration = Duration::from_secs(5);

/// How near the end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// No new attempts.
    Ending,
    /// No patience with those that are under way.
    Over,
}

/// Who tells subscribers, in one server.
#[must_use = "subscribers are told as long as the process runs unless it is stopped"]
pub struct Dispatcher {
    phase: watch::Sender<Phase>,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

/// What all that delivers in this server has in common.
pub(super) struct Shared {
    pub(super) service: Arc<Service>,
    pub(super) attempts: Attempts,
    slots: Slots,
    phase: watch::Receiver<Phase>,
}

impl Dispatcher {
    /// Begins to tell the subscribers of `service`, of which there should be one
    /// dispatcher only.
    pub fn start(service: &Arc<Service>) -> Self {
        Self::with(service, SLOW)
    }

    pub(super) fn with(service: &Arc<Service>, slow: Duration) -> Self {
        let (phase, receiver) = watch::channel(Phase::Running);
        let settings = &service.notifications.settings;
        let (workers, per_target) = (settings.max_notifier_workers, settings.max_per_target);
        let shared = Arc::new(Shared {
            service: Arc::clone(service),
            attempts: Attempts::new(workers, per_target, slow),
            slots: Slots::new(MOST_LANES),
            phase: receiver,
        });
        let mut tasks = Vec::new();
        if settings.enabled {
            tasks.push(tokio::spawn(Looks::default().run(Arc::clone(&shared))));
            tasks.push(tokio::spawn(walk(Arc::clone(&shared))));
        }
        if let Some(requests) = service.notifications.confirmations.receiver() {
            tasks.push(tokio::spawn(ask(Arc::clone(&shared), requests)));
        }
        Self { phase, shared, tasks }
    }

    /// Begins no more attempts, lets those under way end for some seconds, and lets go
    /// of what is held: whoever comes next goes on there at once.
    pub async fn stop(self) {
        let _ = self.phase.send(Phase::Ending);
        let ended = async {
            for task in self.tasks {
                // One that failed has ended too.
                let _ = task.await;
            }
            self.shared.slots.idle().await;
        };
        let mut ended = std::pin::pin!(ended);
        if tokio::time::timeout(PATIENCE, ended.as_mut()).await.is_err() {
            let _ = self.phase.send(Phase::Over);
            if tokio::time::timeout(PATIENCE, ended).await.is_err() {
                tracing::warn!("some subscriptions are held until their time is over");
            }
        }
    }
}

impl Shared {
    /// Completes when no new attempts may begin.
    pub(super) async fn ending(&self) {
        self.reached(Phase::Ending).await;
    }

    /// Completes when there is no more patience with attempts.
    pub(super) async fn over(&self) {
        self.reached(Phase::Over).await;
    }

    async fn reached(&self, wanted: Phase) {
        let mut phase = self.phase.clone();
        // A dispatcher that was dropped is over too.
        let _ = phase.wait_for(|phase| *phase == Phase::Over || *phase == wanted).await;
    }

    fn is_ending(&self) -> bool {
        *self.phase.borrow() != Phase::Running || self.phase.has_changed().is_err()
    }

    /// Seconds until it is tried again, after so many attempts in vain; `None` if it
    /// is given up. `after` is what the subscriber wants.
    pub(super) async fn pause(
        &self,
        queue: &QueueKey,
        subscription: &Subscription,
        attempts: u32,
        after: Option<Duration>,
    ) -> Option<u32> {
        let service = &self.service;
        let metadata = match service.storage.control.queues().metadata(queue).await {
            Ok(metadata) => metadata,
            Err(error) => {
                tracing::warn!(queue.name = %queue.name, %error, "a retry policy is not known");
                None
            }
        };
        let options = QueueOptions::new(metadata.as_deref(), &service.limits);
        let own = subscription.options.get("_retry_policy");
        let pause = Schedule::choose(own, options.retry_policy()).pause(attempts)?;
        let after = after.map_or(0, |after| {
            let whole = u64::from(after.subsec_nanos() > 0);
            u32::try_from(after.as_secs().saturating_add(whole)).unwrap_or(LONGEST_PAUSE)
        });
        Some(pause.max(after).min(LONGEST_PAUSE))
    }

    /// Looks at a queue once: takes what is due and in nobody's hands; whether there
    /// was any.
    async fn look(self: &Arc<Self>, queue: &QueueKey) -> storage::Result<bool> {
        let service = &self.service;
        let mut behind = None;
        loop {
            let slots = tokio::select! {
                biased;
                () = self.ending() => return Ok(behind.is_some()),
                slots = self.slots.take(TAKEN_AT_ONCE) => slots,
            };
            let Some(mut slots) = slots else { return Ok(behind.is_some()) };
            let limit = u32::try_from(slots.num_permits()).unwrap_or(TAKEN_AT_ONCE);
            let worker = service.notifications.channels.worker();
            let order = TakeOrder { worker, behind, limit, hold: HOLD };
            let (now, changes) = (service.now(), service.notifications.changes());
            let taken = service.storage.data.deliveries().take(queue, order, now).await?;
            let is_all = taken.len() < slots.num_permits();
            behind = taken.last().map(|last| last.subscription.id).or(behind);
            for Delivery { subscription, progress } in taken {
                let Some(slot) = slots.split(1) else { break };
                let subject = Subject::new(queue.clone(), subscription, now, changes);
                tokio::spawn(Lane::new(self, subject, progress).run(slot));
            }
            if is_all {
                return Ok(behind.is_some());
            }
        }
    }

    fn until(&self, moment: Timestamp) -> u32 {
        u32::try_from(moment.since(self.service.now())).unwrap_or(LONGEST_PAUSE)
    }
}

/// Finds what nobody works on, again and again.
async fn walk(shared: Arc<Shared>) {
    let interval = shared.service.notifications.settings.orphan_interval;
    let mut is_well = true;
    loop {
        // From here, so that a clock that moves meanwhile is not missed.
        let pause = shared.service.clock.sleep(interval);
        let walked = walk_once(&shared).await;
        if let Err(error) = &walked
            && is_well
        {
            tracing::warn!(%error, "cannot see what subscribers are to be told");
        }
        is_well = walked.is_ok();
        tokio::select! {
            biased;
            () = shared.ending() => return,
            () = pause => {}
        }
    }
}

async fn walk_once(shared: &Shared) -> storage::Result<()> {
    let service = &shared.service;
    let mut after = None;
    loop {
        let found = service.storage.data.deliveries().queues(after.as_ref(), WALK_PAGE).await?;
        for queue in &found {
            service.notifications.due.add(queue);
        }
        after = found.last().cloned();
        if after.is_none() || shared.is_ending() {
            return Ok(());
        }
    }
}

/// Sends requests to confirm.
async fn ask(shared: Arc<Shared>, mut requests: mpsc::Receiver<Request>) {
    let mut sending = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shared.ending() => break,
            Some(_) = sending.join_next() => {}
            Some(request) = requests.recv(), if sending.len() < CONFIRMATIONS_AT_ONCE => {
                sending.spawn(request.send(Arc::clone(&shared)));
            }
        }
    }
    while sending.join_next().await.is_some() {}
}
