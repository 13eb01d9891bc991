//! Subscriptions, of connections and of others.

use serde_json::{Value, json};

use super::super::reply::{Reply, invalid};
use super::{Call, OrReply, Outcome};
use crate::model::{QueueName, SubscriptionId};
use crate::service::access::Permit;
use crate::service::access::actions::{
    CreateSubscription, DeleteSubscription, GetSubscription, ListSubscriptions,
};
use crate::service::{ConnectionSubscription, Error, Result as ServiceResult};
use crate::transport::http::wire;

/// Subscribes whom the request names. If it names nobody, the connection is meant.
pub(super) async fn create(call: &Call<'_>, held: &mut Vec<ConnectionSubscription>) -> Outcome {
    let queue: Permit<CreateSubscription> = call.on_queue()?;
    let document = Value::Object(call.fields().clone());
    if call.text("subscriber").is_some_and(|subscriber| !subscriber.is_empty()) {
        let service = call.service();
        let created = service.create_only_subscription(&queue, &document, &call.caller).await;
        return created_or_not(&queue.name, created);
    }
    held.retain(|subscription| !subscription.has_expired(call.now()));
    let max = call.hub.settings.max_subscriptions_per_connection;
    if held.len() >= max {
        return Err(invalid(format!("A connection may have {max} subscriptions at most.")));
    }
    let subscriber = call.hub.subscriber(call.connection);
    let worker = call.hub.worker;
    let service = call.service();
    let created = service.subscribe_connection(&queue, &document, subscriber, worker).await;
    let created = created.map(|subscription| {
        let id = subscription.id();
        held.push(subscription);
        id
    });
    created_or_not(&queue.name, created)
}

/// The answer to a wish to subscribe; a second one is refused with a sentence of its
/// own.
fn created_or_not(queue: &QueueName, created: ServiceResult<SubscriptionId>) -> Outcome {
    let id = match created {
        Err(Error::Conflict(_)) => {
            let sentence = format!("Subscription {queue} not created.");
            return Ok(Reply::of(409, json!(sentence)));
        }
        created => created.reply("Subscription could not be created.")?,
    };
    let message = format!("Subscription {queue} created.");
    let body = json!({"subscription_id": id.to_string(), "message": message});
    Ok(Reply::of(201, body))
}

pub(super) async fn list(call: &Call<'_>) -> Outcome {
    let queue: Permit<ListSubscriptions> = call.on_queue()?;
    let (marker, limit) = (call.text("marker"), call.integer("limit")?);
    let page = call.service().list_subscriptions(&queue, marker, limit).await;
    let page = page.reply("Subscriptions could not be listed.")?;
    let (mut out, now) = (b"{\"subscriptions\":".to_vec(), call.now());
    wire::array(&mut out, &page, |out, each| wire::subscription(out, &queue.name, each, now));
    out.push(b'}');
    Ok(Reply::new(200, out))
}

pub(super) async fn get(call: &Call<'_>) -> Outcome {
    let queue: Permit<GetSubscription> = call.on_queue()?;
    let found = call.service().get_subscription(&queue, id(call)).await;
    let found = found.reply("Subscription could not be retrieved.")?;
    let mut out = Vec::with_capacity(256);
    wire::subscription(&mut out, &queue.name, &found, call.now());
    Ok(Reply::new(200, out))
}

pub(super) async fn delete(call: &Call<'_>, held: &mut Vec<ConnectionSubscription>) -> Outcome {
    let queue: Permit<DeleteSubscription> = call.on_queue()?;
    let deleted = call.service().delete_subscription(&queue, id(call)).await;
    deleted.reply("Subscription could not be deleted.")?;
    let gone = SubscriptionId::parse(id(call));
    held.retain(|subscription| !gone.is_some_and(|gone| subscription.is(&queue, gone)));
    Ok(Reply::of(204, json!(format!("Subscription {} removed.", id(call)))))
}

fn id<'a>(call: &'a Call<'_>) -> &'a str {
    call.text("subscription_id").unwrap_or_default()
}
