//! Commands of several different updates or deletions, which the client
//! library has no call for.

use mongodb::bson::{Bson, Document, doc};
use mongodb::{ClientSession, Database};

use super::error::{OpResult, check_reply};
use super::store::Partition;

/// Does updates of messages, whether or not one of them fails; answers how many
/// messages they matched, changed or not. Outside a transaction, all that was
/// done lasts once it returns.
pub async fn update(
    partition: &Partition,
    statements: Vec<Document>,
    session: Option<&mut ClientSession>,
) -> OpResult<u64> {
    let command = doc! { "update": "messages", "updates": statements, "ordered": false };
    run(&partition.database, command, session).await
}

/// Does deletions of messages; answers how many there were. As [`update`].
pub async fn delete(
    partition: &Partition,
    statements: Vec<Document>,
    session: Option<&mut ClientSession>,
) -> OpResult<u64> {
    let command = doc! { "delete": "messages", "deletes": statements, "ordered": false };
    run(&partition.database, command, session).await
}

async fn run(
    database: &Database,
    mut command: Document,
    session: Option<&mut ClientSession>,
) -> OpResult<u64> {
    let reply = match session {
        // It is the commit that waits for a majority.
        Some(session) => database.run_command(command).session(session).await?,
        None => {
            command.insert("writeConcern", doc! { "w": "majority" });
            database.run_command(command).await?
        }
    };
    check_reply(&reply)?;
    let matched = reply.get("n").and_then(|n| match *n {
        Bson::Int32(n) => u64::try_from(n).ok(),
        Bson::Int64(n) => u64::try_from(n).ok(),
        _ => None,
    });
    Ok(matched.unwrap_or(0))
}
