//! Write commands of many statements, and what they came to.
//!
//! The client library has no call for several different updates in one
//! command; it neither adds a write concern to a command of ours nor looks for
//! errors within its reply.

use mongodb::bson::{Bson, Document, deserialize_from_document, doc};
use mongodb::error::{Error as MongoError, ErrorKind, WriteConcernError, WriteError, WriteFailure};
use mongodb::{ClientSession, Database};

use super::error::OpResult;
use super::store::Partition;

/// Does updates of messages; answers how many messages they matched, changed
/// or not. Outside a transaction, all that was done lasts once it returns.
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
    Ok(outcome(reply)?)
}

fn outcome(mut reply: Document) -> Result<u64, MongoError> {
    if let Some(Bson::Array(errors)) = reply.remove("writeErrors")
        && let Some(Bson::Document(first)) = errors.into_iter().next()
    {
        let error: WriteError = deserialize_from_document(first)?;
        return Err(ErrorKind::Write(WriteFailure::WriteError(error)).into());
    }
    if let Some(Bson::Document(error)) = reply.remove("writeConcernError") {
        let error: WriteConcernError = deserialize_from_document(error)?;
        return Err(ErrorKind::Write(WriteFailure::WriteConcernError(error)).into());
    }
    match reply.get("n") {
        Some(&Bson::Int32(n)) => Ok(u64::try_from(n).unwrap_or(0)),
        Some(&Bson::Int64(n)) => Ok(u64::try_from(n).unwrap_or(0)),
        _ => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::super::error::{DUPLICATE_KEY, code, is_passing};
    use super::outcome;

    #[test]
    fn a_reply_tells_how_many_documents_matched() {
        assert_eq!(outcome(doc! { "n": 3, "nModified": 1, "ok": 1.0 }).unwrap(), 3);
        assert_eq!(outcome(doc! { "n": 3_i64, "ok": 1.0 }).unwrap(), 3);
    }

    #[test]
    fn errors_within_a_reply_are_found() {
        let refused = doc! { "index": 1, "code": DUPLICATE_KEY, "errmsg": "E11000 duplicate" };
        let error = outcome(doc! { "n": 1, "writeErrors": [refused], "ok": 1.0 }).unwrap_err();
        assert_eq!(code(&error), Some(DUPLICATE_KEY));
        assert!(!is_passing(&error));

        let unsure = doc! { "code": 91, "codeName": "ShutdownInProgress", "errmsg": "stopping" };
        let error = outcome(doc! { "n": 1, "writeConcernError": unsure, "ok": 1.0 }).unwrap_err();
        assert_eq!(code(&error), Some(91));
        assert!(is_passing(&error));
    }
}
