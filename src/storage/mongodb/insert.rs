//! Inserting many messages, or due messages, with one command.

use mongodb::ClientSession;
use mongodb::bson::raw::cstr;
use mongodb::bson::{RawArrayBuf, RawDocumentBuf, rawdoc};

use super::error::{OpResult, check_reply};
use super::store::Partition;

/// Inserts all of `documents` into a collection of the partition, in order, or as
/// many as there are before the first that cannot be; within a transaction all or
/// none.
pub async fn insert<'a>(
    partition: &Partition,
    collection: &str,
    session: Option<&mut ClientSession>,
    documents: impl IntoIterator<Item = &'a RawDocumentBuf>,
) -> OpResult<()> {
    let mut array = RawArrayBuf::new();
    for document in documents {
        array.push(document.as_ref());
    }
    let mut command = rawdoc! {
        "insert": collection,
        "ordered": true,
        "bypassDocumentValidation": true,
        "documents": array,
    };
    let reply = if let Some(session) = session {
        partition.database.run_raw_command(command).session(session).await?
    } else {
        command.append(cstr!("writeConcern"), rawdoc! { "w": "majority", "j": true });
        partition.database.run_raw_command(command).await?
    };
    check_reply(&reply)
}
