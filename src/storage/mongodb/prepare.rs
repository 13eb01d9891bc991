//! From a database that answers to one that is fit for use: is it one nusku can
//! work with, which of Zaqar's layouts has it, and does it have its indexes?

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::error::Error as MongoError;

use super::connect::{OpenError, Setback};
use super::error::code;
use super::indexes::{self, Index};
use super::layout::Layout;
use super::options::{Target, URI};
use super::store::{Documents, Role, Store};
use crate::config::MongodbSettings;

/// The first protocol version of MongoDB 4.4.
const OLDEST_WIRE_VERSION: i32 = 9;

/// Codes of indexes that cannot be made as things are.
const INDEX_CODES: [i32; 5] = [67, 68, 85, 86, 11_000];

/// Makes the database ready and returns the store on it.
///
/// # Errors
///
/// What stands in the way.
pub async fn prepare(
    client: Client,
    hello: &Document,
    target: &Target,
    settings: &MongodbSettings,
    role: Role,
) -> Result<Store, Setback> {
    let topology = Topology::of(hello, target)?;
    let layout = detect(&client, target, settings).await?;
    let transactions = matches!(topology, Topology::ReplicaSet(_));
    let store = Store::new(client, settings.clone(), layout, transactions, role);
    try_join_all(collections(&store).into_iter().map(fit)).await?;
    if !transactions {
        tracing::warn!(
            hosts = target.hosts,
            "storage.uri names a single server and no replica set: what is acknowledged is lost \
             with its disk, an outage of it is an outage of nusku, and a crash in the middle of a \
             post can leave a part of it"
        );
    }
    Ok(store)
}

/// What kind of deployment it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Topology {
    /// A replica set of that name.
    ReplicaSet(String),
    /// One server that belongs to none.
    StandAlone,
}

impl Topology {
    /// As a server describes itself.
    ///
    /// # Errors
    ///
    /// If it is too old, a mongos, or not writable now.
    pub fn of(hello: &Document, target: &Target) -> Result<Self, Setback> {
        let refused = |reason: &str| {
            let reason = format!("{} {reason}", target.hosts);
            Err(Setback::Lasting(OpenError::setting(URI, &reason)))
        };
        if matches!(hello.get_str("msg"), Ok("isdbgrid")) {
            return refused("is a mongos: nusku needs a replica set or a single server");
        }
        if hello.get_i32("maxWireVersion").unwrap_or(0) < OLDEST_WIRE_VERSION {
            return refused("is older than MongoDB 4.4, the first version that nusku works with");
        }
        if !hello.get_bool("isWritablePrimary").unwrap_or(false) {
            return Err(Setback::Passing(format!("{} is not the primary", target.hosts)));
        }
        Ok(match hello.get_str("setName") {
            Ok(name) => Self::ReplicaSet(name.to_owned()),
            Err(_) => Self::StandAlone,
        })
    }
}

/// The layout to use: as asked for, or as found.
///
/// # Errors
///
/// If it cannot be told, or is of another number of partitions.
pub async fn detect(
    client: &Client,
    target: &Target,
    settings: &MongodbSettings,
) -> Result<Layout, Setback> {
    let names = client.list_database_names().await?;
    let there = |layout| Partitions::among(&names, layout, &settings.database);
    let (plain, fifo) = (there(Layout::Plain), there(Layout::Fifo));
    let found = match target.layout {
        Some(Layout::Plain) => plain,
        Some(Layout::Fifo) => fifo,
        None if plain.numbers.is_empty() => fifo,
        None if fifo.numbers.is_empty() => plain,
        None => match (plain.have_messages(client).await?, fifo.have_messages(client).await?) {
            (true, true) => {
                return Err(Setback::Lasting(OpenError::setting(
                    "storage.mongodb.driver",
                    &format_args!(
                        "it is auto, but there are messages of both drivers ({} and {}): set it \
                         to mongodb or mongodb.fifo",
                        plain.first(),
                        fifo.first()
                    ),
                )));
            }
            (true, false) => plain,
            (false, _) => fifo,
        },
    };
    found.check_number(client, settings.partitions).await?;
    Ok(found.layout)
}

/// The databases of messages that are there.
pub struct Partitions {
    /// Whose they are.
    pub layout: Layout,
    /// Their numbers.
    pub numbers: BTreeSet<u32>,
    database: String,
}

impl Partitions {
    /// Those of `layout` among these names of databases.
    #[must_use]
    pub fn among(names: &[String], layout: Layout, database: &str) -> Self {
        let zero = layout.message_database(database, 0);
        let prefix = zero.trim_end_matches('0');
        let number = |name: &String| {
            let number = name.strip_prefix(prefix)?.parse().ok()?;
            (layout.message_database(database, number) == *name).then_some(number)
        };
        let numbers = names.iter().filter_map(number).collect();
        Self { layout, numbers, database: database.to_owned() }
    }

    /// The name of the first one.
    #[must_use]
    pub fn first(&self) -> String {
        let first = self.numbers.first().copied().unwrap_or(0);
        self.layout.message_database(&self.database, first)
    }

    /// Whether there is a message in any of them.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn have_messages(&self, client: &Client) -> Result<bool, MongoError> {
        for &number in &self.numbers {
            let database = client.database(&self.layout.message_database(&self.database, number));
            let messages: Documents = database.collection("messages");
            if messages.find_one(doc! {}).projection(doc! { "_id": 1 }).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether they can be those of so many partitions. Fewer, and all empty,
    /// is what an interrupted first start leaves.
    async fn check_number(&self, client: &Client, partitions: u32) -> Result<(), Setback> {
        let Some(last) = self.numbers.last() else { return Ok(()) };
        let is_whole = (0..partitions).all(|number| self.numbers.contains(&number));
        if *last < partitions && (is_whole || !self.have_messages(client).await?) {
            return Ok(());
        }
        Err(Setback::Lasting(OpenError::setting(
            "storage.mongodb.partitions",
            &format_args!(
                "it is {partitions}, but there are {} databases {}… for messages: each queue has \
                 its place by their number, which must not change",
                self.numbers.len(),
                self.first().trim_end_matches(|digit: char| digit.is_ascii_digit()),
            ),
        )))
    }
}

/// Every collection of a store, with the indexes it must have.
#[must_use]
pub fn collections(store: &Store) -> Vec<(Documents, Vec<Index>)> {
    let of_messages = indexes::of_messages(store.layout);
    let messages = store.partitions.iter().map(|it| (it.messages.clone(), of_messages.to_vec()));
    let due = store.partitions.iter().map(|it| (it.due.clone(), indexes::OF_DUE.to_vec()));
    [
        (store.queues.documents.clone(), indexes::OF_QUEUES.to_vec()),
        (store.retired.clone(), indexes::OF_RETIRED.to_vec()),
        (store.subscriptions.clone(), indexes::OF_SUBSCRIPTIONS.to_vec()),
    ]
    .into_iter()
    .chain(
        (store.role == Role::Main)
            .then(|| (store.topics.documents.clone(), indexes::OF_TOPICS.to_vec())),
    )
    .chain(messages)
    .chain(due)
    .collect()
}

/// Makes the indexes that are missing, and sees whether the user may write.
async fn fit((documents, wanted): (Documents, Vec<Index>)) -> Result<(), Setback> {
    let refused = |reason: &dyn std::fmt::Display| {
        let reason = format!("{} cannot be used: {reason}", documents.namespace());
        Setback::Lasting(OpenError::setting("storage.mongodb.database", &reason))
    };
    let differences = indexes::compare(&documents, &wanted).await?;
    if let Some(odd) = differences.odd.first() {
        return Err(refused(&format_args!("its index {odd}, not as Zaqar makes it")));
    }
    if differences.missing.is_empty() {
        return may_write(&documents).await;
    }
    match indexes::create(&documents, &wanted, &differences.missing).await {
        Err(error) if code(&error).is_some_and(|code| INDEX_CODES.contains(&code)) => {
            Err(refused(&error))
        }
        made => Ok(made?),
    }
}

/// A write that changes nothing, for the rights it takes.
async fn may_write(documents: &Documents) -> Result<(), Setback> {
    let nothing = doc! { "_id": { "$in": [] } };
    documents.delete_one(nothing).await.map(drop).map_err(Setback::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn target() -> Target {
        let settings = Settings::defaults().unwrap().storage.mongodb;
        Target::parse("mongodb://a,b", &settings).unwrap()
    }

    #[test]
    fn a_server_is_judged_by_what_it_says_of_itself() {
        let good = doc! { "isWritablePrimary": true, "maxWireVersion": 17 };
        let with = |changes: Document| {
            let mut hello = good.clone();
            hello.extend(changes);
            match Topology::of(&hello, &target()) {
                Ok(topology) => format!("{topology:?}"),
                Err(Setback::Passing(reason)) => format!("passing: {reason}"),
                Err(Setback::Lasting(error)) => error.to_string(),
            }
        };
        assert_eq!(with(doc! {}), "StandAlone");
        assert_eq!(with(doc! { "setName": "rs" }), "ReplicaSet(\"rs\")");
        assert!(with(doc! { "msg": "isdbgrid" }).starts_with("storage.uri: a,b is a mongos"));
        assert!(with(doc! { "maxWireVersion": 8 }).contains("older than MongoDB 4.4"));
        assert_eq!(with(doc! { "isWritablePrimary": false }), "passing: a,b is not the primary");
    }

    #[test]
    fn partitions_are_told_from_what_is_called_alike() {
        let names = [
            "zaqar_messages_p0",
            "zaqar_messages_p11",
            "zaqar_messages_p01",
            "zaqar_messages_p",
            "zaqar_messages_p+2",
            "zaqar_messages_px",
            "zaqar_messages_fifo_p3",
            "other_messages_p4",
            "zaqar_queues",
        ]
        .map(str::to_owned);
        let numbers = |layout| Partitions::among(&names, layout, "zaqar").numbers;
        assert_eq!(numbers(Layout::Plain), BTreeSet::from([0, 11]));
        assert_eq!(numbers(Layout::Fifo), BTreeSet::from([3]));
    }
}
