//! A look at an existing database of Zaqar from outside: what is there, and what
//! nusku would treat in another way. Changes nothing, and makes nothing.

mod due;
mod findings;
mod messages;
mod queues;
mod subscriptions;

use std::collections::BTreeMap;

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::error::Error as MongoError;

pub use findings::{Finding, Findings};

use super::connect::{Greeting, OpenError, Setback, greet};
use super::indexes::{self, Index};
use super::layout::Layout;
use super::options::Target;
use super::prepare::{Partitions, Topology, detect};
use super::store::{DUE, Documents, MESSAGES};
use crate::config::MongodbSettings;

/// Why a database could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// A setting is wrong, or nusku would refuse this database for another reason.
    #[error(transparent)]
    Refused(#[from] OpenError),
    /// It does not answer.
    #[error("MongoDB is out of reach: {0}")]
    Away(String),
}

impl From<Setback> for InspectError {
    fn from(setback: Setback) -> Self {
        match setback {
            Setback::Passing(reason) => Self::Away(reason),
            Setback::Lasting(error) => Self::Refused(error),
        }
    }
}

impl From<MongoError> for InspectError {
    fn from(error: MongoError) -> Self {
        match Setback::from(error) {
            Setback::Passing(reason) => Self::Away(reason),
            Setback::Lasting(error) => Self::Refused(error),
        }
    }
}

type InspectResult<T> = Result<T, InspectError>;

/// What was found.
#[derive(Debug)]
pub struct Inspection {
    /// The hosts, as named.
    pub hosts: String,
    /// The version of MongoDB.
    pub version: String,
    /// What kind of deployment it is, in words.
    pub topology: String,
    /// What the names of the databases begin with.
    pub database: String,
    /// Records of queues.
    pub queues: u64,
    /// The databases of messages that are there.
    pub partitions: Vec<Partition>,
    /// What stands in the way of nusku, or is different with it.
    pub findings: Findings,
}

/// A database of messages.
#[derive(Debug)]
pub struct Partition {
    /// Its name.
    pub database: String,
    /// Zaqar's name for the driver it belongs to.
    pub driver: &'static str,
    /// Documents in it, expired ones that are still there included.
    pub messages: u64,
}

/// What is known of a queue from its messages.
#[derive(Debug, Default)]
struct Seen {
    /// Its messages.
    messages: u64,
    /// The greatest marker among them.
    greatest: i64,
    /// Where one of them is.
    database: String,
}

/// By scoped name.
type SeenQueues = BTreeMap<String, Seen>;

/// Looks at the database that the URI and the settings name, all of it.
///
/// # Errors
///
/// [`InspectError`] if it cannot be looked at.
pub async fn inspect(uri: &str, settings: &MongodbSettings) -> InspectResult<Inspection> {
    let target = Target::parse(uri, settings)?;
    let Greeting { client, hello, .. } = greet(&target, settings).await?;
    let topology = match Topology::of(&hello, &target)? {
        Topology::ReplicaSet(name) => format!("replica set {name}"),
        Topology::StandAlone => "a single server, no replica set".to_owned(),
    };
    let build = client.database("admin").run_command(doc! { "buildInfo": 1 }).await?;
    let look = Look { client: &client, target: &target, settings };
    let mut findings = Findings::default();
    let partitions = look.layouts(&mut findings).await?;
    let mut seen = SeenQueues::new();
    let partitions = look.partitions(partitions, &mut seen, &mut findings).await?;
    let queues = queues::look(&client, settings, seen, &mut findings).await?;
    subscriptions::look(&client, settings, &mut findings).await?;
    look.companions(&mut findings).await?;
    if queues == 0 && partitions.is_empty() {
        findings.hinders("database that is not there", &settings.database);
    }
    Ok(Inspection {
        hosts: target.hosts.clone(),
        version: build.get_str("version").unwrap_or("of an unknown version").to_owned(),
        topology,
        database: settings.database.clone(),
        queues,
        partitions,
        findings,
    })
}

/// What every part of the look needs.
struct Look<'a> {
    client: &'a Client,
    target: &'a Target,
    settings: &'a MongodbSettings,
}

impl Look<'_> {
    /// The databases of both layouts, and whether nusku could choose.
    async fn layouts(&self, findings: &mut Findings) -> InspectResult<Vec<Partitions>> {
        let names = self.client.list_database_names().await?;
        let among = |layout| Partitions::among(&names, layout, &self.settings.database);
        let all = [Layout::Plain, Layout::Fifo].map(among);
        match detect(self.client, self.target, self.settings).await {
            Err(Setback::Lasting(error)) => {
                findings.hinders("reason for nusku not to start", &error);
            }
            Err(passing) => return Err(passing.into()),
            Ok(used) => {
                for other in all.iter().filter(|other| other.layout != used) {
                    if other.have_messages(self.client).await? {
                        let what = "layout with messages that is not the one in use: nobody is served from it";
                        findings.hinders(what, &other.first());
                    }
                }
            }
        }
        Ok(all.into())
    }

    /// Reads every message.
    async fn partitions(
        &self,
        layouts: Vec<Partitions>,
        seen: &mut SeenQueues,
        findings: &mut Findings,
    ) -> InspectResult<Vec<Partition>> {
        let mut partitions = Vec::new();
        for found in layouts {
            for &number in &found.numbers {
                let name = found.layout.message_database(&self.settings.database, number);
                let database = self.client.database(&name);
                let messages: Documents = database.collection(MESSAGES);
                index_findings(&messages, &indexes::of_messages(found.layout), findings).await?;
                let place =
                    messages::Place { database: &name, number, of: self.settings.partitions };
                let count = messages::look(&messages, &place, seen, findings).await?;
                due::look(&database.collection(DUE), findings).await?;
                let driver = found.layout.driver();
                partitions.push(Partition { database: name, driver, messages: count });
            }
        }
        Ok(partitions)
    }

    /// What belongs to parts of Zaqar that nusku does not have.
    async fn companions(&self, findings: &mut Findings) -> InspectResult<()> {
        let management = self.settings.queue_database();
        for (database, collection, hinders, what) in [
            (management, "pools", false, "pools: nusku uses them with pooling.enabled"),
            (
                management,
                "catalogue",
                true,
                "queues that live in pools: nusku does not see what Zaqar put there",
            ),
            (management, "flavors", false, "flavors: nusku uses them with pooling.enabled"),
        ] {
            let documents: Documents = self.client.database(database).collection(collection);
            let count = documents.count_documents(doc! {}).await?;
            findings.add(hinders, what, count, &format_args!("{database}.{collection}"));
        }
        Ok(())
    }
}

/// Tells of indexes that nusku would make, and of those that keep it from starting.
async fn index_findings(
    documents: &Documents,
    wanted: &[Index],
    findings: &mut Findings,
) -> InspectResult<()> {
    let place = documents.namespace();
    let differences = indexes::compare(documents, wanted).await?;
    for odd in differences.odd {
        let what = "indexes that are not as Zaqar makes them: nusku would not start";
        findings.hinders(what, &format_args!("{odd} ({place})"));
    }
    for missing in differences.missing.into_iter().map(|position| &wanted[position]) {
        let name = format!("{} ({place})", missing.name);
        findings.differs("indexes that are missing: nusku makes them when it starts", &name);
        if missing.is_unique() && has_twins(documents, missing).await? {
            findings.hinders("unique indexes that cannot be made, for there are duplicates", &name);
        }
    }
    Ok(())
}

/// Whether two documents agree in all the fields of an index.
async fn has_twins(documents: &Documents, index: &Index) -> Result<bool, MongoError> {
    let key: Document =
        index.keys().map(|key| (key.to_owned(), format!("${key}").into())).collect();
    let mut twins = documents
        .aggregate([
            doc! { "$group": { "_id": key, "n": { "$sum": 1 } } },
            doc! { "$match": { "n": { "$gt": 1 } } },
            doc! { "$limit": 1 },
        ])
        .allow_disk_use(true)
        .await?;
    twins.advance().await
}
