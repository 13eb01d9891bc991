//! The indexes that Zaqar makes, word for word: a start of it fails on an index
//! that has one of these names or one of these keys and differs elsewhere.

use futures_util::TryStreamExt;
use mongodb::IndexModel;
use mongodb::bson::{Bson, Document};
use mongodb::error::Error as MongoError;
use mongodb::options::IndexOptions;

use super::error::code;
use super::layout::Layout;
use super::store::Documents;

/// The answer to a question about a collection that does not exist.
const NAMESPACE_NOT_FOUND: i32 = 26;

/// An index as it must be.
#[derive(Clone, Copy, Debug)]
pub struct Index {
    /// Its name.
    pub name: &'static str,
    /// Its fields, all ascending.
    keys: &'static [&'static str],
    unique: bool,
    /// For how long documents live after the moment in the field, in seconds.
    lives: Option<u64>,
}

const fn index(name: &'static str, keys: &'static [&'static str]) -> Index {
    Index { name, keys, unique: false, lives: None }
}

/// On the records of queues.
pub const OF_QUEUES: [Index; 1] = [Index { unique: true, ..index("p_q_1", &["p_q"]) }];

/// On the records of topics.
pub const OF_TOPICS: [Index; 1] = [Index { unique: true, ..index("p_t_1", &["p_t"]) }];

/// On the pools.
pub const OF_POOLS: [Index; 2] = [
    Index { unique: true, ..index("pools_name", &["n"]) },
    Index { unique: true, ..index("pools_uri", &["u"]) },
];

/// On the flavors; the second is of no use any more, but Zaqar makes it.
pub const OF_FLAVORS: [Index; 2] = [
    Index { unique: true, ..index("flavors_name", &["p", "n"]) },
    index("flavors_storage_pool_group_name", &["s"]),
];

/// On the catalogue: Zaqar's own, and which queues are in a pool.
pub const OF_CATALOGUE: [Index; 2] =
    [Index { unique: true, ..index("p_q_1", &["p_q"]) }, index("nusku_s", &["s"])];

/// On the subscriptions: Zaqar's own, and which ones a queue has, in the order in
/// which they were made.
pub const OF_SUBSCRIPTIONS: [Index; 3] = [
    Index { unique: true, ..index("s_1_u_1_p_1", &["s", "u", "p"]) },
    Index { lives: Some(0), ..index("ttl", &["e"]) },
    index("nusku_queue", &["s", "p", "_id"]),
];

/// On nusku's own collection of due messages. Not unique: a Zaqar that makes a
/// queue anew gives out its markers once more.
pub const OF_DUE: [Index; 2] =
    [Index { lives: Some(0), ..index("ttl", &["e"]) }, index("nusku_queue", &["p_q", "k"])];

/// On nusku's own collection of what is left of deleted queues: a counter is
/// remembered for 14 days, and those whose messages are not all gone are found
/// at once.
pub const OF_RETIRED: [Index; 2] = [
    Index { lives: Some(14 * 24 * 60 * 60), ..index("nusku_ttl", &["at"]) },
    index("nusku_dirty", &["dirty"]),
];

/// On the messages of a partition.
#[must_use]
pub fn of_messages(layout: Layout) -> [Index; 6] {
    let unique = layout == Layout::Fifo;
    [
        Index { lives: Some(0), ..index("ttl", &["e"]) },
        index("active", &["p_q", "k", "c.e"]),
        index("claimed", &["p_q", "c.id", "k", "c.e"]),
        index("counting", &["p_q", "c.e"]),
        Index { unique, ..index("queue_marker", &["k", "p_q"]) },
        index("transaction", &["tx"]),
    ]
}

/// What differs between the indexes there should be and those there are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// The positions of those that are not there.
    pub missing: Vec<usize>,
    /// What is wrong with those that are.
    pub odd: Vec<String>,
}

/// How an index was found.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    Good,
    Missing,
    Odd(String),
}

/// Compares what a collection has with what it should have.
///
/// # Errors
///
/// What the database said, unless that there is no such collection.
pub async fn compare(documents: &Documents, wanted: &[Index]) -> Result<Differences, MongoError> {
    let found: Vec<IndexModel> = match documents.list_indexes().await {
        Ok(cursor) => cursor.try_collect().await?,
        Err(error) if code(&error) == Some(NAMESPACE_NOT_FOUND) => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut differences = Differences::default();
    for (position, wanted) in wanted.iter().enumerate() {
        match wanted.look_for(&found) {
            Finding::Good => {}
            Finding::Odd(odd) => differences.odd.push(odd),
            Finding::Missing => differences.missing.push(position),
        }
    }
    Ok(differences)
}

/// Makes those of `wanted` at these positions, together.
///
/// # Errors
///
/// What the database said.
pub async fn create(
    documents: &Documents,
    wanted: &[Index],
    positions: &[usize],
) -> Result<(), MongoError> {
    let models = positions.iter().map(|&position| wanted[position].model());
    documents.create_indexes(models).await.map(drop)
}

impl Index {
    /// Whether no two documents may agree in all its fields.
    #[must_use]
    pub const fn is_unique(&self) -> bool {
        self.unique
    }

    /// Its fields.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().copied()
    }

    fn model(&self) -> IndexModel {
        let options = IndexOptions::builder()
            .name(self.name.to_owned())
            .unique(self.unique.then_some(true))
            .expire_after(self.lives.map(std::time::Duration::from_secs))
            .build();
        let keys: Document =
            self.keys.iter().map(|key| ((*key).to_owned(), Bson::Int32(1))).collect();
        IndexModel::builder().keys(keys).options(options).build()
    }

    fn look_for(&self, found: &[IndexModel]) -> Finding {
        let Some(there) = found.iter().find(|found| name(found) == self.name) else {
            let twin = found.iter().find(|found| self.has_keys_of(found));
            return twin.map_or(Finding::Missing, |twin| {
                Finding::Odd(format!("{} is called {}", self.name, name(twin)))
            });
        };
        let options = there.options.clone().unwrap_or_default();
        let leaves_out = options.partial_filter_expression.is_some()
            || options.collation.is_some()
            || options.sparse == Some(true);
        let fault = if !self.has_keys_of(there) {
            format!("has the keys {}", there.keys)
        } else if self.unique != (options.unique == Some(true)) {
            format!("is {}unique", if self.unique { "not " } else { "" })
        } else if self.lives != options.expire_after.map(|lives| lives.as_secs()) {
            "has another expireAfterSeconds".to_owned()
        } else if leaves_out {
            "leaves documents out".to_owned()
        } else {
            return Finding::Good;
        };
        Finding::Odd(format!("{} {fault}", self.name))
    }

    fn has_keys_of(&self, found: &IndexModel) -> bool {
        let ascending = |value: &Bson| match value {
            Bson::Int32(order) => *order == 1,
            Bson::Int64(order) => *order == 1,
            Bson::Double(order) => (*order - 1.0).abs() < f64::EPSILON,
            _ => false,
        };
        found.keys.len() == self.keys.len()
            && found
                .keys
                .iter()
                .zip(self.keys)
                .all(|((key, order), own)| key == own && ascending(order))
    }
}

fn name(model: &IndexModel) -> &str {
    model.options.as_ref().and_then(|options| options.name.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_found_by_its_name_and_its_keys() {
        let wanted = of_messages(Layout::Fifo);
        let mut found: Vec<_> = wanted.iter().map(Index::model).collect();
        for index in &wanted {
            assert_eq!(index.look_for(&found), Finding::Good, "{}", index.name);
        }
        found.pop();
        assert_eq!(wanted[5].look_for(&found), Finding::Missing);
    }

    #[test]
    fn an_index_that_zaqar_would_stumble_over_is_odd() {
        let [ttl, active, .., marker, _] = of_messages(Layout::Fifo);
        let [.., plain_marker, _] = of_messages(Layout::Plain);
        let renamed = Index { name: "mine", ..active };
        let other_keys = Index { keys: &["p_q", "k"], ..active };
        let longer = Index { lives: Some(60), ..ttl };
        let eternal = Index { lives: None, ..ttl };
        for (wanted, found, odd) in [
            (active, renamed, "active is called mine"),
            (active, other_keys, "active has the keys { \"p_q\": 1, \"k\": 1 }"),
            (marker, plain_marker, "queue_marker is not unique"),
            (plain_marker, marker, "queue_marker is unique"),
            (ttl, longer, "ttl has another expireAfterSeconds"),
            (ttl, eternal, "ttl has another expireAfterSeconds"),
        ] {
            assert_eq!(wanted.look_for(&[found.model()]), Finding::Odd(odd.to_owned()));
        }
        let mut partial = active.model();
        partial.options.as_mut().unwrap().sparse = Some(true);
        assert_eq!(
            active.look_for(&[partial]),
            Finding::Odd("active leaves documents out".to_owned())
        );
    }
}
