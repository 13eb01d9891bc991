//! Tells one subscriber of one message: attempt after attempt, until it was told or is
//! given up.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;

use super::Shared;
use super::subject::Subject;
use crate::model::{JsonText, Subscription, Timestamp};
use crate::service::notification::attempts::Admission;
use crate::service::notification::channel::{Channel, Content, Notification, Outcome};
use crate::service::notification::document;
use crate::storage::{self, DueMessage, Failure};

/// What a subscriber that nothing leads to is given up for.
const NO_CHANNEL: &str = "There is no way to reach this subscriber.";
const UNREADABLE: &str = "The message is encrypted, and this server cannot decrypt it.";
const EXPIRED: &str = "The message expired before the subscriber could be told of it.";

/// Why a subscriber is left before it is told of everything.
#[derive(Debug)]
pub(super) enum Halt {
    /// The subscription is gone, or in other hands.
    Lost,
    /// Somebody else needs the place.
    Crowded,
    /// The server stops.
    Ending,
    /// The store failed.
    Failed(storage::Error),
}

impl From<storage::Error> for Halt {
    fn from(error: storage::Error) -> Self {
        Self::Failed(error)
    }
}

/// What was tried in vain so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trouble {
    /// Attempts.
    pub(super) attempts: u32,
    /// When the next one may be made.
    pub(super) next_attempt: Timestamp,
}

/// Everything it takes to tell a subscriber of a message.
pub(super) struct Telling {
    pub(super) shared: Arc<Shared>,
    pub(super) subject: Arc<Subject>,
    pub(super) message: DueMessage,
    pub(super) trouble: Trouble,
    /// Hears of each attempt in vain that is not the last one.
    pub(super) troubles: UnboundedSender<(u64, Trouble)>,
}

/// What an attempt begins with.
struct Ready {
    subscription: Arc<Subscription>,
    channel: Arc<dyn Channel>,
    body: JsonText,
    admission: Admission,
}

/// What became of a message without an attempt.
enum Verdict {
    /// The subscriber is not told of it, nor is that a failure.
    Skipped,
    /// It is given up.
    Hopeless { subscription: Arc<Subscription>, body: Option<JsonText>, reason: String },
}

impl Telling {
    /// Tells the subscriber; returns why it was not told, if it was given up. Then
    /// the dead letter queue has it, if there is one.
    pub(super) async fn run(mut self) -> Result<Option<Failure>, Halt> {
        loop {
            self.shared.sleep_until(self.trouble.next_attempt).await?;
            let ready = match self.prepare().await? {
                Ok(ready) => ready,
                Err(Verdict::Skipped) => return Ok(None),
                Err(Verdict::Hopeless { subscription, body, reason }) => {
                    let document = body.map(|body| self.document(&body));
                    return self.give_up(&subscription, document, reason).await.map(Some);
                }
            };
            let Ready { subscription, channel, body, admission } = ready;
            let notification = self.notification(&subscription, &body);
            let outcome = admission.attempt(channel.deliver(&notification)).await;
            let reason = match outcome {
                Outcome::Delivered => return Ok(None),
                Outcome::Refused { reason } => {
                    self.trouble.attempts = self.trouble.attempts.saturating_add(1);
                    reason
                }
                Outcome::TryAgain { reason, after } => {
                    self.trouble.attempts = self.trouble.attempts.saturating_add(1);
                    let (queue, attempts) = (self.subject.queue(), self.trouble.attempts);
                    let pause = self.shared.pause(queue, &subscription, attempts, after).await;
                    if let Some(pause) = pause
                        && self.postpone(pause)
                    {
                        continue;
                    }
                    reason
                }
            };
            let document = Some(notification.document);
            return self.give_up(&subscription, document, reason).await.map(Some);
        }
    }

    /// Puts the next attempt off by so many seconds, unless the message does not live
    /// to see it.
    fn postpone(&mut self, pause: u32) -> bool {
        let next = self.shared.service.now().plus(pause);
        if next >= self.expires() {
            return false;
        }
        self.trouble.next_attempt = next;
        // Nobody hears of it if the lane has ended, and then this will too.
        let _ = self.troubles.send((self.message.marker, self.trouble));
        true
    }

    pub(super) fn expires(&self) -> Timestamp {
        self.message.created.plus(self.message.ttl)
    }

    /// Looks whether there is anything to attempt, and waits for the right to.
    async fn prepare(&self) -> Result<Result<Ready, Verdict>, Halt> {
        let service = &self.shared.service;
        let mut admission: Option<Admission> = None;
        loop {
            let subscription = self.subject.current(service).await?.ok_or(Halt::Lost)?;
            if !service.notifications.has_agreed(&subscription) {
                return Ok(Err(Verdict::Skipped));
            }
            let (id, body) = (self.message.id, &self.message.body);
            let body = service.open_body(self.subject.queue(), id, body).ok();
            let hopeless = |body, reason: &str| {
                let subscription = Arc::clone(&subscription);
                Ok(Err(Verdict::Hopeless { subscription, body, reason: reason.to_owned() }))
            };
            let Some(body) = body else { return hopeless(None, UNREADABLE) };
            if service.now() >= self.expires() {
                return hopeless(Some(body), EXPIRED);
            }
            let Some(channel) = service.notifications.channels.of(&subscription) else {
                return hopeless(Some(body), NO_CHANNEL);
            };
            let target = self.shared.attempts.target(channel.target(&subscription.subscriber));
            if let Some(admission) = admission.take().filter(|it| it.is_for(&target)) {
                return Ok(Ok(Ready { subscription, channel, body, admission }));
            }
            // All of this may be different once it is admitted.
            let turn = self.shared.attempts.admit(&target);
            admission = Some(self.shared.patiently(turn).await?);
        }
    }

    fn document(&self, body: &JsonText) -> String {
        document::notification(&self.subject.queue().name, &self.message, body)
    }

    fn notification(&self, subscription: &Subscription, body: &JsonText) -> Notification {
        let queue = self.subject.queue();
        Notification {
            id: format!("{}.{}", subscription.id, self.message.id),
            project: queue.project.clone(),
            queue: queue.name.clone(),
            subscriber: subscription.subscriber.clone(),
            options: subscription.options.clone(),
            content: Content::Message,
            document: self.document(body),
            now: self.shared.service.now(),
        }
    }
}

impl Shared {
    async fn sleep_until(&self, moment: Timestamp) -> Result<(), Halt> {
        loop {
            let seconds = self.until(moment);
            if seconds == 0 {
                return if self.is_ending() { Err(Halt::Ending) } else { Ok(()) };
            }
            self.patiently(self.service.clock.sleep(seconds)).await?;
        }
    }

    /// Waits, unless the place is needed or the server stops.
    pub(super) async fn patiently<T>(&self, waiting: impl Future<Output = T>) -> Result<T, Halt> {
        tokio::select! {
            biased;
            () = self.ending() => Err(Halt::Ending),
            done = waiting => Ok(done),
            () = self.slots.wanted() => Err(Halt::Crowded),
        }
    }
}
