//! The database as the operations see it, once it is known to be fit for use.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{RawDocument, RawDocumentBuf};
use mongodb::{Client, Collection, Database};
use tokio::sync::OnceCell;

use super::announcer::Announcer;
use super::document::{Foreign, Stored};
use super::error::Patience;
use super::forecast::Forecasts;
use super::gaps::Gaps;
use super::heads::Heads;
use super::layout::{self, Layout};
use super::management::Management;
use super::records::Records;
use super::subscribers::Subscribers;
use crate::config::MongodbSettings;
use crate::model::{QueueKey, QueueKind};
use crate::storage::queue_cache::QueueCache;

/// How long the record of a queue is good.
const CACHE_LIFE: Duration = Duration::from_secs(1);

/// A collection whose documents are read and written as bytes.
pub type Documents = Collection<RawDocumentBuf>;

/// What the store is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// For everything.
    Main,
    /// For the messages of queues whose records are kept in another store.
    Pool,
}

impl Role {
    /// The records of queues and those of topics, or what a pool has for both.
    pub fn records(self, client: &Client, database: &str) -> [Records; 2] {
        let queues = client.database(&layout::queue_database(database));
        let topics = client.database(&layout::topic_database(database));
        match self {
            Self::Main => {
                [Records::scoped(&queues, "queues"), Records::of_topics(&topics, "topics")]
            }
            Self::Pool => {
                let adopted = Records::scoped(&queues, "nusku_queues");
                [adopted.clone(), adopted]
            }
        }
    }
}

/// Everything an operation needs.
pub struct Store {
    /// The connection pool. Its write concern is `majority`, its reads go to
    /// the primary.
    pub client: Client,
    /// What the operator said.
    pub settings: MongodbSettings,
    /// Which driver's databases these are.
    pub layout: Layout,
    /// Whether there are transactions: only a stand-alone server has none.
    pub transactions: bool,
    /// What it is used for.
    pub role: Role,
    /// The records of the queues.
    pub queues: Records,
    /// The records of the topics; in a pool, the same as those of the queues.
    pub topics: Records,
    /// Pools, flavors and the catalogue, once they were asked for.
    pub(super) management: OnceCell<Management>,
    /// Where the counters of deleted queues go on; nusku's own.
    pub retired: Documents,
    /// The subscriptions to all queues.
    pub subscriptions: Documents,
    /// Which queues are known to have some.
    pub subscribers: Subscribers,
    /// Where the collector of due messages goes on.
    pub(super) collected: Mutex<Option<QueueKey>>,
    /// The messages, by partition.
    pub partitions: Vec<Partition>,
    /// How long a request waits.
    pub patience: Patience,
    /// What is known about queues.
    pub cache: QueueCache<Arc<QueueEntry>>,
    /// Where the messages of a queue begin.
    pub heads: Heads,
    /// Which markers may still get a message.
    pub gaps: Gaps,
    /// Where the counters are expected to be.
    pub forecasts: Forecasts,
    /// Whom to tell of arrivals.
    pub announcer: Arc<Announcer>,
    skipped: AtomicU64,
}

/// One of the databases that messages are spread over.
pub struct Partition {
    /// The database.
    pub database: Database,
    /// Its messages, read as the primary has them.
    pub messages: Documents,
    /// The same, read as a majority has them: what is seen stays.
    pub settled: Documents,
    /// What subscribers are still to be told of.
    pub due: Documents,
    /// The same, read as a majority has it.
    pub settled_due: Documents,
}

/// The collection of messages of a partition.
pub const MESSAGES: &str = "messages";
/// Nusku's own collection of due messages, beside it.
pub const DUE: &str = "nusku_due";

/// A collection, read as a majority has it.
pub fn settled(database: &Database, name: &str) -> Documents {
    use mongodb::options::{CollectionOptions, ReadConcern};
    let options = CollectionOptions::builder().read_concern(ReadConcern::majority()).build();
    database.collection_with_options(name, options)
}

impl Partition {
    /// The partition in that database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self {
            messages: database.collection(MESSAGES),
            settled: settled(&database, MESSAGES),
            due: database.collection(DUE),
            settled_due: settled(&database, DUE),
            database,
        }
    }
}

impl Store {
    /// The store on these databases.
    #[must_use]
    pub fn new(
        client: Client,
        settings: MongodbSettings,
        layout: Layout,
        transactions: bool,
        role: Role,
    ) -> Self {
        let [queues, topics] = role.records(&client, settings.queue_database());
        let nuskus = client.database(&layout::queue_database(settings.queue_database()));
        let partitions = (0..settings.partitions)
            .map(|number| layout.message_database(&settings.database, number))
            .map(|name| Partition::new(client.database(&name)))
            .collect();
        Self {
            role,
            queues,
            topics,
            management: OnceCell::new(),
            retired: nuskus.collection("nusku_retired_queues"),
            subscriptions: client
                .database(&layout::subscription_database(&settings.database))
                .collection("subscriptions"),
            subscribers: Subscribers::default(),
            collected: Mutex::default(),
            patience: Patience::new(&settings),
            client,
            settings,
            layout,
            transactions,
            partitions,
            cache: QueueCache::new(Some(CACHE_LIFE)),
            heads: Heads::default(),
            gaps: Gaps::default(),
            forecasts: Forecasts::default(),
            announcer: Arc::default(),
            skipped: AtomicU64::new(0),
        }
    }

    /// Where the record of the queue or topic is.
    #[must_use]
    pub fn records(&self, queue: &QueueKey) -> &Records {
        self.records_of(queue.name.kind())
    }

    /// Where the records of that kind are.
    #[must_use]
    pub fn records_of(&self, kind: QueueKind) -> &Records {
        match kind {
            QueueKind::Queue => &self.queues,
            QueueKind::Topic => &self.topics,
        }
    }

    /// All collections of records, each once.
    pub fn all_records(&self) -> impl Iterator<Item = &Records> {
        let topics = (self.role == Role::Main).then_some(&self.topics);
        std::iter::once(&self.queues).chain(topics)
    }

    /// The partition a known queue's messages are in.
    #[must_use]
    pub fn partition(&self, queue: &QueueEntry) -> &Partition {
        &self.partitions[queue.partition]
    }

    /// The partition a queue's messages are in.
    #[must_use]
    pub fn partition_of(&self, queue: &QueueKey) -> &Partition {
        &self.partitions[self.partition_number(queue)]
    }

    /// Its number.
    #[must_use]
    pub fn partition_number(&self, queue: &QueueKey) -> usize {
        layout::partition(queue, self.settings.partitions) as usize
    }

    /// Reads a message, or steps over a document that is none, and counts it.
    pub fn decode(&self, document: &RawDocument) -> Option<Stored> {
        match super::document::decode(document) {
            Ok(stored) => Some(stored),
            Err(foreign) => {
                self.skip(&foreign);
                None
            }
        }
    }

    /// Counts a document that is stepped over, and tells the log of the first.
    pub fn skip(&self, foreign: &Foreign) {
        if self.skipped.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                %foreign,
                "a document that is not Zaqar's was skipped; `nusku migrate check` finds them all"
            );
        }
    }

    /// Documents stepped over so far.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }
}

/// What is known of a queue.
#[derive(Debug)]
pub struct QueueEntry {
    /// Its name.
    pub key: QueueKey,
    /// Its name in documents.
    pub p_q: String,
    /// The id of its record: a queue made anew has another one.
    pub record: Option<ObjectId>,
    /// The partition of its messages.
    pub partition: usize,
    /// Its metadata.
    pub metadata: Arc<crate::model::Metadata>,
    /// Its messages have this marker or a greater one. What has a smaller one
    /// belonged to a queue of that name which was deleted.
    pub first_marker: i64,
}
