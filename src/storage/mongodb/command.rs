//! What is done to several messages at once, within a transaction or without:
//! commands of different updates or deletions, which the client library has no
//! call for, and looking them up.

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::Hint;
use mongodb::{ClientSession, Database};

use super::error::{OpResult, check_reply};
use super::store::{Partition, Store};
use super::transaction;

/// Those of the messages named in the filter by their ids that pass it.
pub async fn find_by_ids(
    partition: &Partition,
    filter: Document,
    projection: Document,
    session: Option<&mut ClientSession>,
) -> OpResult<Vec<RawDocumentBuf>> {
    let by_id = Hint::Keys(doc! { "_id": 1 });
    let find = partition.messages.find(filter).projection(projection).hint(by_id);
    let mut found = Vec::new();
    if let Some(session) = session {
        let mut cursor = find.session(&mut *session).await?;
        while cursor.advance(session).await? {
            found.push(cursor.current().to_owned());
        }
    } else {
        let mut cursor = find.await?;
        while cursor.advance().await? {
            found.push(cursor.current().to_owned());
        }
    }
    Ok(found)
}

/// Does updates of messages, whether or not one of them fails; answers how many
/// messages they matched, changed or not. Outside a transaction, all that was
/// done lasts once it returns.
pub async fn update(
    store: &Store,
    partition: &Partition,
    statements: Vec<Document>,
    session: Option<&mut ClientSession>,
) -> OpResult<u64> {
    let command = doc! { "update": "messages", "updates": statements, "ordered": false };
    run(store, &partition.database, command, session).await
}

/// Does deletions of messages; answers how many there were. As [`update`].
pub async fn delete(
    store: &Store,
    partition: &Partition,
    statements: Vec<Document>,
    session: Option<&mut ClientSession>,
) -> OpResult<u64> {
    let command = doc! { "delete": "messages", "deletes": statements, "ordered": false };
    run(store, &partition.database, command, session).await
}

async fn run(
    store: &Store,
    database: &Database,
    mut command: Document,
    session: Option<&mut ClientSession>,
) -> OpResult<u64> {
    let reply = if let Some(session) = session {
        // It is the commit that waits for a majority.
        database.run_command(command).session(session).await?
    } else {
        command.insert("writeConcern", doc! { "w": "majority", "j": true });
        let done = async { Ok(database.run_command(command).await?) };
        transaction::unhindered(store, done).await?
    };
    check_reply(&reply)?;
    Ok(matched(&reply))
}

/// How many documents the statements of a write command matched.
#[must_use]
pub fn matched(reply: &Document) -> u64 {
    let matched = reply.get("n").and_then(|n| match *n {
        Bson::Int32(n) => u64::try_from(n).ok(),
        Bson::Int64(n) => u64::try_from(n).ok(),
        _ => None,
    });
    matched.unwrap_or(0)
}
