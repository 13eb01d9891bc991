//! A look at the records of queues and topics, and at those that have none.

use mongodb::Client;
use mongodb::bson::{RawBsonRef, RawDocument, doc};

use super::{Findings, InspectResult, Seen, SeenQueues, index_findings};
use crate::config::MongodbSettings;
use crate::storage::mongodb::counter;
use crate::storage::mongodb::indexes::{self, Index};
use crate::storage::mongodb::layout::scoped;
use crate::storage::mongodb::metadata::metadata_of;
use crate::storage::mongodb::records::Records;
use crate::storage::mongodb::store::{Documents, Role};

/// Reads all records, after the messages that were `seen`: a counter that is
/// behind them now was behind them then. Returns how many there are.
pub async fn look(
    client: &Client,
    settings: &MongodbSettings,
    mut seen: SeenQueues,
    findings: &mut Findings,
) -> InspectResult<u64> {
    let [queues, topics] = Role::Main.records(client, settings.queue_database());
    let count = look_at_all(&queues, &indexes::OF_QUEUES, &mut seen, findings).await?;
    look_at_all(&topics, &indexes::OF_TOPICS, &mut seen, findings).await?;
    for (p_q, queue) in seen {
        look_at_orphans(client, &p_q, &queue, findings).await?;
    }
    Ok(count)
}

async fn look_at_all(
    records: &Records,
    indexes: &[Index],
    seen: &mut SeenQueues,
    findings: &mut Findings,
) -> InspectResult<u64> {
    let mut cursor = records.documents.find(doc! {}).await?;
    let mut count = 0;
    while cursor.advance().await? {
        if count == 0 {
            index_findings(&records.documents, indexes, findings).await?;
        }
        count += 1;
        look_at(records, cursor.current(), seen, findings);
    }
    Ok(count)
}

fn look_at(
    records: &Records,
    record: &RawDocument,
    seen: &mut SeenQueues,
    findings: &mut Findings,
) {
    let Ok(name) = record.get_str(records.field) else {
        let id = record.get("_id").map_or_else(|_| "?".to_owned(), |id| format!("{id:?}"));
        let what = format!("records of queues without a name (field {})", records.field);
        return findings.hinders(&what, &id);
    };
    let key = records.key(name);
    if key.is_none() {
        findings.hinders("queues with a name that is none", &format_args!("{name:?}"));
    }
    // What is no name of ours may still be that of messages.
    let p_q = key.as_ref().map_or_else(|| name.to_owned(), scoped);
    let (queue, p_q) = (seen.remove(&p_q), p_q.as_str());
    match counter::value(record) {
        None => findings.hinders("queues without a counter (field c.v): posts to them fail", &p_q),
        Some(next) if queue.is_some_and(|queue| queue.greatest >= next) => {
            let what = "queues whose counter is behind their messages, as after a crash: the next post \
                waits some seconds and moves it";
            findings.differs(what, &p_q);
        }
        Some(_) => {}
    }
    look_at_metadata(record, p_q, findings);
}

fn look_at_metadata(record: &RawDocument, p_q: &str, findings: &mut Findings) {
    let metadata = match record.get("m") {
        Ok(Some(RawBsonRef::Document(metadata))) => metadata,
        Ok(None | Some(RawBsonRef::Null)) => {
            let what = "queues with null for metadata, or nothing, which Zaqar answers with 503: nusku \
                reads it as none";
            return findings.differs(what, &p_q);
        }
        _ => return findings.hinders("queues with metadata that is no document", &p_q),
    };
    if metadata_of(record).is_err() {
        findings.hinders("queues with metadata that is no JSON: nusku reads it as none", &p_q);
    }
    if is_true(metadata, "_enable_encrypt_messages") {
        let what = "queues that are encrypted: nusku reads Zaqar's messages with the setting \
            encryption.zaqar_key and writes its own with encryption.keys, which no Zaqar reads";
        findings.differs(what, &p_q);
    }
    if matches!(metadata.get("_max_claim_count"), Ok(Some(RawBsonRef::Null))) {
        let what = "queues with a _max_claim_count of null, for which Zaqar answers claims with 503: \
            nusku takes it as unset";
        findings.differs(what, &p_q);
    }
}

fn is_true(metadata: &RawDocument, key: &str) -> bool {
    matches!(metadata.get(key), Ok(Some(RawBsonRef::Boolean(true))))
}

/// Messages of a queue without a record, unless they or the queue were on
/// their way while we looked.
async fn look_at_orphans(
    client: &Client,
    p_q: &str,
    queue: &Seen,
    findings: &mut Findings,
) -> InspectResult<()> {
    let messages: Documents = client.database(&queue.database).collection("messages");
    if messages.find_one(doc! { "p_q": p_q }).projection(doc! { "_id": 1 }).await?.is_some() {
        let what = "messages in queues without a record, as dead letter queues may be: nusku shows \
            them once somebody makes the queue";
        findings.add(false, what, queue.messages, &p_q);
    }
    Ok(())
}
