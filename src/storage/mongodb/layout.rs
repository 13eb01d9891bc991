//! Where Zaqar keeps what: names of databases and collections, the scoped name
//! of a queue, and which partition it lives in.

use std::fmt;

use mongodb::options::Hint;

use crate::model::{ProjectId, QueueKey, QueueKind, QueueName};

/// Which of Zaqar's two MongoDB drivers the message databases belong to. They
/// differ in the databases' names and in the order of their writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `mongodb`: the counter is taken first, and a message may become visible
    /// after its successors.
    Plain,
    /// `mongodb.fifo`: a unique index keeps the markers of a queue apart. What
    /// nusku makes itself.
    Fifo,
}

impl Layout {
    /// The name of Zaqar's driver, as in the settings of both.
    #[must_use]
    pub const fn driver(self) -> &'static str {
        match self {
            Self::Plain => "mongodb",
            Self::Fifo => "mongodb.fifo",
        }
    }

    /// The database that holds partition `number` of the messages.
    #[must_use]
    pub fn message_database(self, database: &str, number: u32) -> String {
        match self {
            Self::Plain => format!("{database}_messages_p{number}"),
            Self::Fifo => format!("{database}_messages_fifo_p{number}"),
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.driver())
    }
}

/// What makes a query use the index of that name; the names are Zaqar's.
#[must_use]
pub fn index(name: &str) -> Hint {
    Hint::Name(name.to_owned())
}

/// The database of the queues' records.
#[must_use]
pub fn queue_database(database: &str) -> String {
    format!("{database}_queues")
}

/// The database of the topics' records.
#[must_use]
pub fn topic_database(database: &str) -> String {
    format!("{database}_topics")
}

/// The database of the subscriptions.
#[must_use]
pub fn subscription_database(database: &str) -> String {
    format!("{database}_subscriptions")
}

/// The project as documents spell it. Zaqar gets headers from its web server
/// with every byte a character, and leaves it at that: `zoë` becomes `zoÃ«`.
#[must_use]
pub fn spelled(project: &ProjectId) -> String {
    project.as_str().bytes().map(char::from).collect()
}

/// The project that is spelled like this; `None` if there is none.
fn read(spelled: &str) -> Option<ProjectId> {
    let bytes: Result<Vec<u8>, _> = spelled.chars().map(u8::try_from).collect();
    String::from_utf8(bytes.ok()?).ok().map(|text| ProjectId::new(&text))
}

/// `p_q`: the name of a queue in every document, `project/queue`; of a topic in
/// every document but its record, `project/~topic`.
#[must_use]
pub fn scoped(queue: &QueueKey) -> String {
    format!("{}/{}", spelled(&queue.project), queue.name.as_str())
}

/// The queue or topic with that scoped name; `None` if there can be none. A
/// project may contain slashes, a queue may not: the last one divides.
#[must_use]
pub fn unscoped(p_q: &str) -> Option<QueueKey> {
    key_of(p_q, QueueName::from_stored)
}

/// The topic whose record has that name; `None` if there can be none.
#[must_use]
pub fn topic(p_t: &str) -> Option<QueueKey> {
    key_of(p_t, |name| QueueName::parse_as(QueueKind::Topic, name))
}

fn key_of(name: &str, parse: impl FnOnce(&str) -> Option<QueueName>) -> Option<QueueKey> {
    let (project, name) = name.rsplit_once('/')?;
    Some(QueueKey { project: read(project)?, name: parse(name)? })
}

/// The partition of a queue, of `partitions`: Zaqar's CRC-32 of the project and
/// the name, with nothing in between.
#[must_use]
pub fn partition(queue: &QueueKey, partitions: u32) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(spelled(&queue.project).as_bytes());
    crc.update(queue.name.as_str().as_bytes());
    crc.finalize() % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::{Layout, partition, scoped, unscoped};
    use crate::model::{ProjectId, QueueKey, QueueKind, QueueName};

    fn key(project: &str, name: &str) -> QueueKey {
        QueueKey { project: ProjectId::new(project), name: QueueName::parse(name).unwrap() }
    }

    /// The values were computed with Zaqar's own function.
    #[test]
    fn partitions_are_those_of_zaqar() {
        for (project, name, of_two, of_four, of_ten) in [
            ("acme", "orders", 0, 0, 8),
            ("acme", "invoices", 0, 2, 2),
            ("518b51ea133c4facadae42c328d6b77b", "demo", 1, 1, 1),
            ("p1", "q", 0, 2, 0),
            ("zoë", "caf", 1, 3, 3),
        ] {
            let queue = key(project, name);
            let found = [2, 4, 10].map(|partitions| partition(&queue, partitions));
            assert_eq!(found, [of_two, of_four, of_ten], "{queue}");
        }
    }

    #[test]
    fn scoped_names_read_back_whatever_the_project() {
        for project in ["acme", "", "a/b", "/", "zoë"] {
            let queue = key(project, "q-1");
            assert_eq!(unscoped(&scoped(&queue)), Some(queue), "{project}");
            let name = QueueName::parse_as(QueueKind::Topic, "q-1").unwrap();
            let topic = QueueKey { project: ProjectId::new(project), name };
            assert_eq!(unscoped(&scoped(&topic)), Some(topic.clone()), "{project}");
            let record = format!("{}/q-1", super::spelled(&topic.project));
            assert_eq!(super::topic(&record), Some(topic), "{project}");
        }
        assert_eq!(scoped(&key("zoë", "q")), "zoÃ«/q", "as Zaqar writes it");
        assert_eq!(unscoped("zoë/q"), None);
        assert_eq!(unscoped("acme"), None);
        assert_eq!(unscoped("acme/"), None);
    }

    #[test]
    fn databases_are_named_as_zaqar_names_them() {
        assert_eq!(Layout::Plain.message_database("zaqar", 1), "zaqar_messages_p1");
        assert_eq!(Layout::Fifo.message_database("zaqar", 0), "zaqar_messages_fifo_p0");
    }
}
