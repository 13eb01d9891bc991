//! The MongoDB driver, on Zaqar's own database.
//!
//! Documents, indexes and counters are Zaqar's, so that both servers can work
//! on one database at once. The files:
//!
//! * `layout` and `document`: where what is and how it looks; `ids`: what an id
//!   tells; `wire`, `json_to_bson`, `bson_to_json`: how values are written and read;
//! * `records`, `queues`, `directory`, `metadata`, `retire`: the records of queues, and the
//!   end of one; `adopt`: queues that another store has placed here;
//! * `management`, `pools`, `flavors`, `catalogue`: where to place queues elsewhere;
//! * `subscriptions`: whom to tell of messages; `subscribers`, `deliveries`: of which ones,
//!   and how far each is;
//! * `store`: the handles; `error`: what is tried again, and how long;
//! * `lane`: how concurrent requests share operations; `post`, `batch`,
//!   `aside`, `counter`, `forecast`: messages come;
//!   `hand_out`, `candidates`, `floors`, `take`, `bury`: they are claimed; `claims`: what
//!   becomes of claims; `deletes`, `removal`: messages go; `command`: several
//!   changes at once; `listing`, `walk`, `heads`, `gaps`: what reads;
//! * `options`, `connect`, `topology`: from settings to a database that answers;
//!   `prepare`, `indexes`: to one that is fit for use; `gc`: what runs in the
//!   background; `announcer`, `overhear`: what those who wait are told; `inspect`: a look
//!   from outside.

mod adopt;
mod alone;
mod announcer;
mod aside;
mod batch;
mod bson_to_json;
mod bury;
mod candidates;
mod catalogue;
mod claims;
mod command;
mod connect;
mod contention;
mod counter;
mod deletes;
mod deliveries;
mod directory;
mod document;
mod error;
mod flavors;
mod floors;
mod forecast;
pub mod fuzzing;
mod gaps;
mod gc;
mod hand_out;
mod heads;
mod ids;
mod indexes;
mod insert;
pub mod inspect;
mod json_to_bson;
mod lane;
mod layout;
mod listing;
mod management;
mod messages;
mod metadata;
mod options;
mod overhear;
mod pools;
mod post;
mod prepare;
mod queues;
mod records;
mod removal;
mod retire;
mod store;
mod subscribers;
mod subscriptions;
mod take;
mod topology;
mod transaction;
mod walk;
mod wire;

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;

use announcer::Announcer;
pub use connect::OpenError;
use error::unavailable;
use store::{QueueEntry, Store};

use super::{
    CatalogueController, ClaimController, Collected, ControlDriver, DataDriver, DeliveryController,
    FlavorController, MessageController, PoolController, QueueController, Result,
    SubscriptionController, Volume, Watcher,
};
use crate::config::BodyEncoding;
use crate::model::{QueueKey, Timestamp};

/// A store in MongoDB.
pub struct MongodbDriver {
    state: watch::Receiver<State>,
    patience: error::Patience,
    encoding: BodyEncoding,
    announcer: Arc<Announcer>,
    watch_interval: u32,
    /// The driver's own threads: connections belong to them, not to those that
    /// serve requests, and what was begun is finished whoever stops waiting.
    runtime: Option<Runtime>,
}

/// How far the driver has got.
#[derive(Clone)]
enum State {
    /// It has not reached the database yet; why.
    Waiting(String),
    /// It works.
    Ready(Arc<Engine>),
}

/// The store and the lanes in which requests share its operations.
pub struct Engine {
    /// The database.
    pub store: Arc<Store>,
    /// Posts.
    posts: post::PostLane,
    /// Claims.
    hand_outs: hand_out::HandOuts,
    /// Deletions.
    removals: removal::Removals,
    /// Where the free messages of queues begin.
    floors: Arc<floors::Floors>,
}

impl Engine {
    /// Starts the lanes.
    fn start(handle: &Handle, store: Store) -> Arc<Self> {
        let store = Arc::new(store);
        let floors = Arc::default();
        let hand_outs = hand_out::start(handle, &store, &floors);
        let removals = removal::start(handle, &store);
        let posts = post::lane(handle, &store);
        Arc::new(Self { store, posts, hand_outs, removals, floors })
    }

    /// The queue, if it exists.
    pub async fn find(&self, key: &QueueKey) -> Result<Option<Arc<QueueEntry>>> {
        self.store.patience.persist(|| queues::find(&self.store, key)).await
    }
}

impl MongodbDriver {
    /// Does `work` on the driver's own threads, once the database was reached.
    /// It is finished even if the caller goes away.
    async fn run<T, F>(&self, work: impl FnOnce(Arc<Engine>) -> F + Send + 'static) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let engine = self.engine().await?;
        let Some(runtime) = &self.runtime else { return Err(unavailable(&"the driver is closed")) };
        runtime.spawn(work(engine)).await.unwrap_or_else(|lost| Err(unavailable(&lost)))
    }

    async fn engine(&self) -> Result<Arc<Engine>> {
        let mut state = self.state.clone();
        let ready = state.wait_for(|state| matches!(state, State::Ready(_)));
        if let Ok(Ok(state)) = tokio::time::timeout(self.patience.whole, ready).await
            && let State::Ready(engine) = &*state
        {
            return Ok(Arc::clone(engine));
        }
        match &*self.state.borrow() {
            State::Waiting(why) => Err(unavailable(why)),
            State::Ready(engine) => Ok(Arc::clone(engine)),
        }
    }
}

impl Drop for MongodbDriver {
    fn drop(&mut self) {
        // Dropping a runtime waits, which must not happen within another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[async_trait]
impl DataDriver for MongodbDriver {
    fn messages(&self) -> &dyn MessageController {
        self
    }

    fn claims(&self) -> &dyn ClaimController {
        self
    }

    fn subscriptions(&self) -> &dyn SubscriptionController {
        self
    }

    fn deliveries(&self) -> &dyn DeliveryController {
        self
    }

    async fn ping(&self) -> Result<()> {
        self.ping_primary().await
    }

    async fn gc(&self, now: Timestamp) -> Result<Collected> {
        // Nobody waits for this, and the end of the server should not either.
        self.ready()?;
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| gc::slice(store, now)).await
        })
        .await
    }

    fn announce_to(&self, watcher: Arc<dyn Watcher>) {
        if self.announcer.listen(Arc::clone(&watcher))
            && let Some(runtime) = &self.runtime
        {
            let (state, announcer) = (self.state.clone(), Arc::clone(&self.announcer));
            runtime.spawn(overhear::keep_listening(state, announcer, watcher));
        }
    }

    async fn catch_up(&self, now: Timestamp) {
        self.announcer.look(now, self.watch_interval);
    }

    async fn adopt(&self, queue: &QueueKey, first_marker: u64) -> Result<()> {
        self.adopt_queue(queue, first_marker).await
    }

    async fn abandon(&self, queue: &QueueKey, only_if_empty: bool) -> Result<Option<u64>> {
        self.abandon_queue(queue, only_if_empty).await
    }

    async fn volume(&self, now: Timestamp) -> Result<Volume> {
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| gc::volume(store, now)).await
        })
        .await
    }

    async fn close(&self) {
        if self.ready().is_err() {
            return;
        }
        let _ = self
            .run(|engine| async move {
                engine.store.client.clone().shutdown().await;
                Ok(())
            })
            .await;
    }
}

impl ControlDriver for MongodbDriver {
    fn queues(&self) -> &dyn QueueController {
        self
    }

    fn pools(&self) -> &dyn PoolController {
        self
    }

    fn flavors(&self) -> &dyn FlavorController {
        self
    }

    fn catalogue(&self) -> &dyn CatalogueController {
        self
    }
}
