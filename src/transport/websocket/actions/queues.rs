//! Queues: create, list, get, delete, count, purge.

use serde_json::{Map, Value, json};

use super::super::reply::{Reply, invalid};
use super::{Call, OrReply, Outcome};
use crate::model::{MessageHead, Metadata, Namespace, QueueKind};
use crate::service::access::Permit;
use crate::service::access::actions::{
    CreateQueue, DeleteQueue, GetQueue, GetQueueStats, ListQueues, PurgeQueue,
};
use crate::service::{PurgeTargets, QueueListing};

pub(super) async fn create(call: &Call<'_>) -> Outcome {
    let queue: Permit<CreateQueue> = call.on_queue()?;
    let metadata = call.fields().get("metadata").and_then(Value::as_object).cloned();
    let metadata = Metadata::new(metadata.unwrap_or_default());
    if metadata.to_text().len() as u64 > call.service().limits().max_queue_metadata {
        return Err(invalid(call.service().metadata_too_large()));
    }
    let created = call.service().create_queue(&queue, metadata).await;
    let created = created.reply("Queue could not be created.")?;
    let status = if created { 201 } else { 204 };
    Ok(Reply::of(status, json!(format!("Queue {} created.", queue.name))))
}

pub(super) async fn list(call: &Call<'_>) -> Outcome {
    let namespace = Namespace { project: call.project.clone(), kind: QueueKind::Queue };
    let queues: Permit<ListQueues> = call.permit(namespace)?;
    let listing = QueueListing {
        marker: call.text("marker").map(str::to_owned),
        limit: call.integer("limit")?,
        detailed: call.boolean("detailed"),
        as_stored: true,
        ..QueueListing::default()
    };
    let page = call.service().list_queues(&queues, listing).await;
    let page = page.reply("Queues could not be listed.")?;
    let queues = page.queues.into_iter().map(|(name, metadata)| {
        let mut entry = Map::from_iter([("name".to_owned(), json!(name.as_str()))]);
        entry.extend(metadata.map(|metadata| ("metadata".to_owned(), Value::Object(metadata))));
        Value::Object(entry)
    });
    Ok(Reply::of(200, json!({"queues": queues.collect::<Vec<_>>()})))
}

/// The metadata as it is stored; a missing queue has none.
pub(super) async fn get(call: &Call<'_>) -> Outcome {
    let queue: Permit<GetQueue> = call.on_queue()?;
    let metadata = call.service().stored_metadata(&queue).await;
    let metadata = metadata.reply("Queue metadata could not be retrieved.")?;
    let text = metadata.map_or_else(|| "{}".to_owned(), |metadata| metadata.to_text());
    Ok(Reply::new(200, text.into_bytes()))
}

pub(super) async fn delete(call: &Call<'_>) -> Outcome {
    let queue: Permit<DeleteQueue> = call.on_queue()?;
    call.service().delete_queue(&queue).await.reply("Queue could not be deleted.")?;
    Ok(Reply::of(204, json!(format!("Queue {} removed.", queue.name))))
}

/// The counts; unlike with REST, those of a missing queue are a 404.
pub(super) async fn stats(call: &Call<'_>) -> Outcome {
    let queue: Permit<GetQueueStats> = call.on_queue()?;
    let found = call.service().stats_of_known_queue(&queue).await;
    let found = found.reply("Queue stats could not be read.")?;
    let code = if found.is_some() { 200 } else { 404 };
    let stats = found.unwrap_or_default();
    let mut counts = json!({
        "claimed": stats.claimed,
        "free": stats.free,
        "total": stats.claimed + stats.free,
    });
    for (name, end) in [("oldest", &stats.oldest), ("newest", &stats.newest)] {
        if let Some(MessageHead { id, created, .. }) = end {
            let age = call.now().since(*created);
            counts[name] =
                json!({"id": id.to_string(), "age": age, "created": created.to_string()});
        }
    }
    Ok(Reply::of(code, json!({"messages": counts})))
}

/// Empties a queue of what `resource_types` names, of everything if it is not there.
/// What else it names is ignored, as in Zaqar.
pub(super) async fn purge(call: &Call<'_>) -> Outcome {
    let queue: Permit<PurgeQueue> = call.on_queue()?;
    let types = call.fields().get("resource_types").and_then(Value::as_array);
    let names = |name: &str| types.is_none_or(|types| types.iter().any(|it| it == name));
    let targets =
        PurgeTargets { messages: names("messages"), subscriptions: names("subscriptions") };
    call.service().purge_queue(&queue, targets).await.reply("Queue could not be purged.")?;
    Ok(Reply::of(204, json!({})))
}
