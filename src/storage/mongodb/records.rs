//! Where the records of queues are, and those of topics: in Zaqar's own
//! collections, so that its listings show what there is.
//!
//! A record of a topic has the name that Zaqar gives it, which a queue may have
//! too. All else, from its messages to its place in the catalogue, goes by the
//! scoped name of `layout`, which no queue has: the two share nothing.

use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};

use super::layout;
use super::store::{Documents, settled};
use crate::model::{ProjectId, QueueKey};

/// A collection of records.
#[derive(Clone, Debug)]
pub struct Records {
    /// The collection.
    pub documents: Documents,
    /// The same, read as a majority has it.
    pub settled: Documents,
    /// The field with the name, which has an index of its own.
    pub field: &'static str,
    /// The index.
    pub index: &'static str,
    /// Whether all are records of topics, under their bare names.
    of_topics: bool,
}

impl Records {
    /// Records under scoped names: Zaqar's of queues, or those of a pool.
    #[must_use]
    pub fn scoped(database: &Database, name: &str) -> Self {
        let (documents, settled) = (database.collection(name), settled(database, name));
        Self { documents, settled, field: "p_q", index: "p_q_1", of_topics: false }
    }

    /// Zaqar's records of topics.
    #[must_use]
    pub fn of_topics(database: &Database, name: &str) -> Self {
        let (documents, settled) = (database.collection(name), settled(database, name));
        Self { documents, settled, field: "p_t", index: "p_t_1", of_topics: true }
    }

    /// The name of a record.
    #[must_use]
    pub fn name(&self, key: &QueueKey) -> String {
        if self.of_topics {
            format!("{}{}", Self::project(&key.project), key.name.shown())
        } else {
            layout::scoped(key)
        }
    }

    /// What all names of the project begin with.
    #[must_use]
    pub fn project(project: &ProjectId) -> String {
        format!("{}/", layout::spelled(project))
    }

    /// The queue or topic with a record of that name; `None` if there can be none.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<QueueKey> {
        if self.of_topics { layout::topic(name) } else { layout::unscoped(name) }
    }

    /// What finds the record.
    #[must_use]
    pub fn query(&self, key: &QueueKey) -> Document {
        self.named(self.name(key))
    }

    /// What finds the record of that name, or those whose names are like this.
    #[must_use]
    pub fn named(&self, name: impl Into<Bson>) -> Document {
        let field = self.field;
        doc! { field: name.into() }
    }
}
