//! One subscription that is held: its subscriber is told of what is due, by ascending
//! marker.
//!
//! How far it is gets noted while the next message is on its way, one note at a time
//! and not too many of them: after a crash at most what was told since the last note
//! is told again.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use super::subject::Subject;
use super::telling::{Halt, Telling, Trouble};
use super::{COOL_DOWN, HOLD, Shared};
use crate::model::WorkerId;
use crate::storage::{self, DueMessage, Failure, Progress};

/// Messages that are read at a time.
const PAGE: u32 = 64;

/// Seconds after which a hold is renewed.
const RENEWAL: u32 = HOLD / 3;

/// The least time between two notes that all went well: a subscriber that answers at
/// once would otherwise cost a commit for each message.
const NOTE_PAUSE: Duration = Duration::from_millis(10);

type Note = Pin<Box<dyn Future<Output = storage::Result<bool>> + Send>>;

/// A subscription that is held.
pub(super) struct Lane {
    shared: Arc<Shared>,
    subject: Arc<Subject>,
    worker: WorkerId,
    /// Done up to this marker.
    done: u64,
    /// Markers of what is under way, ascending.
    under_way: VecDeque<u64>,
    troubles: HashMap<u64, Trouble>,
    /// What the store had noted of the message behind `done`.
    inherited: Trouble,
    failure: Option<Failure>,
    is_news: bool,
    note: Option<Note>,
    /// When the next note may begin.
    next_note: Instant,
    /// Ends when it is time to hold on for longer, whatever there is to note.
    renewal: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Lane {
    pub(super) fn new(shared: &Arc<Shared>, subject: Subject, progress: Progress) -> Self {
        let Progress { done, attempts, next_attempt } = progress;
        Self {
            worker: shared.service.notifications.channels.worker(),
            renewal: Box::pin(shared.service.clock.sleep(RENEWAL)),
            shared: Arc::clone(shared),
            subject: Arc::new(subject),
            done,
            under_way: VecDeque::new(),
            troubles: HashMap::new(),
            inherited: Trouble { attempts, next_attempt },
            failure: None,
            is_news: false,
            note: None,
            next_note: Instant::now(),
        }
    }

    /// Tells the subscriber of everything that is due, and lets go of it.
    pub(super) async fn run(mut self, _slot: OwnedSemaphorePermit) {
        let halt = match self.tell_all().await {
            Ok(()) | Err(Halt::Lost) => return,
            Err(halt) => halt,
        };
        let queue = self.subject.queue();
        if let Halt::Failed(error) = &halt {
            // The walk comes back to it.
            tracing::warn!(
                project.id = %queue.project,
                queue.name = %queue.name,
                subscription.id = %self.subject.id(),
                %error,
                "a subscriber has to wait for its messages"
            );
        } else {
            // What cannot be noted is told again.
            let _ = self.settle().await;
        }
        let deliveries = self.shared.service.storage.data.deliveries();
        let dropped = deliveries.drop_hold(self.subject.queue(), self.subject.id(), self.worker);
        if let Err(error) = dropped.await {
            tracing::debug!(%error, "a subscription is held until its time is over");
        }
    }

    async fn tell_all(&mut self) -> Result<(), Halt> {
        let (shared, subject) = (Arc::clone(&self.shared), Arc::clone(&self.subject));
        let deliveries = shared.service.storage.data.deliveries();
        loop {
            let page = deliveries.due(subject.queue(), self.done, PAGE).await?;
            let is_empty = page.is_empty();
            self.tell(page).await?;
            if self.failure.is_some() || self.note.is_some() {
                self.settle().await?;
            }
            let (progress, now) = (self.progress(), shared.service.now());
            let (queue, id) = (subject.queue(), subject.id());
            if !deliveries.release(queue, id, self.worker, progress, now).await? {
                return Ok(());
            }
            self.is_news = false;
            if is_empty {
                // It was posted in between, or will be seen in a moment.
                tokio::time::sleep(COOL_DOWN).await;
            }
        }
    }

    /// Tells of these messages, as many at a time as the settings say.
    async fn tell(&mut self, page: Vec<DueMessage>) -> Result<(), Halt> {
        let shared = Arc::clone(&self.shared);
        let window = usize::try_from(shared.service.notifications.settings.subscriber_window);
        let window = window.unwrap_or(1);
        let (troubles, mut in_vain) = unbounded_channel();
        let (mut page, mut tellings) = (page.into_iter().peekable(), FuturesOrdered::new());
        loop {
            while tellings.len() < window
                && !shared.is_ending()
                && let Some(message) = page.next()
            {
                tellings.push_back(self.begin(message, &troubles).run());
            }
            if tellings.is_empty() {
                return if page.peek().is_none() { Ok(()) } else { Err(Halt::Ending) };
            }
            if self.is_news && (self.has_bad_news() || self.next_note <= Instant::now()) {
                self.begin_note();
            }
            tokio::select! {
                biased;
                Some((marker, trouble)) = in_vain.recv() => self.in_vain(marker, trouble),
                Some(told) = tellings.next() => self.told(told?),
                noted = noted(&mut self.note) => self.noted(noted)?,
                () = sleep_until(self.next_note), if self.is_news && self.note.is_none() => {}
                () = self.renewal.as_mut() => {
                    self.is_news = true;
                    self.renewal = Box::pin(shared.service.clock.sleep(RENEWAL));
                }
                () = shared.over() => return Err(Halt::Ending),
            }
        }
    }

    fn begin(
        &mut self,
        message: DueMessage,
        troubles: &UnboundedSender<(u64, Trouble)>,
    ) -> Telling {
        let trouble = std::mem::take(&mut self.inherited);
        if trouble.attempts > 0 {
            self.troubles.insert(message.marker, trouble);
        }
        self.under_way.push_back(message.marker);
        Telling {
            shared: Arc::clone(&self.shared),
            subject: Arc::clone(&self.subject),
            message,
            trouble,
            troubles: troubles.clone(),
        }
    }

    /// The first of those under way is done with.
    fn told(&mut self, failure: Option<Failure>) {
        if let Some(marker) = self.under_way.pop_front() {
            self.done = marker;
            self.troubles.remove(&marker);
        }
        self.failure = failure.or(self.failure.take());
        self.is_news = true;
    }

    /// An attempt was made in vain, and another one will be made.
    fn in_vain(&mut self, marker: u64, trouble: Trouble) {
        // The next one may have been made meanwhile, with success.
        if self.under_way.contains(&marker) {
            self.troubles.insert(marker, trouble);
            self.is_news |= self.under_way.front() == Some(&marker);
        }
    }

    fn progress(&self) -> Progress {
        let trouble = self.under_way.front().and_then(|first| self.troubles.get(first)).copied();
        let Trouble { attempts, next_attempt } = trouble.unwrap_or(self.inherited);
        Progress { done: self.done, attempts, next_attempt }
    }

    /// Whether there is more to note than that messages were told.
    fn has_bad_news(&self) -> bool {
        self.failure.is_some() || self.progress().attempts > 0
    }

    /// Begins to note how far it is, unless that goes on already.
    fn begin_note(&mut self) {
        if self.note.is_some() {
            return;
        }
        self.is_news = false;
        let (shared, subject) = (Arc::clone(&self.shared), Arc::clone(&self.subject));
        let (worker, progress, failure) = (self.worker, self.progress(), self.failure.take());
        self.note = Some(Box::pin(async move {
            let deliveries = shared.service.storage.data.deliveries();
            let (queue, id, now) = (subject.queue(), subject.id(), shared.service.now());
            deliveries.note(queue, id, worker, progress, failure, HOLD, now).await
        }));
    }

    fn noted(&mut self, noted: storage::Result<bool>) -> Result<(), Halt> {
        self.note = None;
        self.next_note = Instant::now() + NOTE_PAUSE;
        if noted? { Ok(()) } else { Err(Halt::Lost) }
    }

    /// Waits until all is noted.
    async fn settle(&mut self) -> Result<(), Halt> {
        loop {
            if self.note.is_some() {
                let noted = noted(&mut self.note).await;
                self.noted(noted)?;
            } else if self.is_news || self.failure.is_some() {
                self.begin_note();
            } else {
                return Ok(());
            }
        }
    }
}

/// What came of the note; never, if there is none.
async fn noted(note: &mut Option<Note>) -> storage::Result<bool> {
    match note {
        Some(note) => note.await,
        None => std::future::pending().await,
    }
}
