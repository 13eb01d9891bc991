//! What a client can ask for: unpack, one call of the service, pack. A file for each
//! kind of thing.

mod claims;
mod messages;
mod queues;
mod subscriptions;

use actix_web::http::StatusCode;
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

use super::hub::Hub;
use super::reply::{Reply, invalid};
use super::request::Request;
use super::schema::Action;
use crate::model::{Message, ProjectId, QueueKey, QueueName, Timestamp};
use crate::service::access::{self, Permit};
use crate::service::{Caller, ConnectionSubscription, Field, MALFORMED_QUEUE, Service};
use crate::transport::http::error::{ApiError, During};
use crate::transport::http::wire;

/// What came of an action.
type Outcome = Result<Reply, Reply>;

/// A request that somebody known makes.
pub(super) struct Call<'a> {
    pub(super) hub: &'a Arc<Hub>,
    pub(super) caller: Caller,
    pub(super) project: ProjectId,
    pub(super) request: &'a Request,
    /// The connection it came on.
    pub(super) connection: Uuid,
}

/// Does what a request asks for. `held` is what the connection has subscribed to.
pub(super) async fn perform(call: &Call<'_>, held: &mut Vec<ConnectionSubscription>) -> Reply {
    let outcome = match call.request.action {
        Action::QueueCreate => queues::create(call).await,
        Action::QueueList => queues::list(call).await,
        Action::QueueGet => queues::get(call).await,
        Action::QueueDelete => queues::delete(call).await,
        Action::QueueGetStats => queues::stats(call).await,
        Action::QueuePurge => queues::purge(call).await,
        Action::MessagePost => messages::post(call).await,
        Action::MessageList => messages::list(call).await,
        Action::MessageGet => messages::get(call).await,
        Action::MessageGetMany => messages::get_many(call).await,
        Action::MessageDelete => messages::delete(call).await,
        Action::MessageDeleteMany => messages::delete_many(call).await,
        Action::ClaimCreate => claims::create(call).await,
        Action::ClaimGet => claims::get(call).await,
        Action::ClaimUpdate => claims::renew(call).await,
        Action::ClaimDelete => claims::release(call).await,
        Action::SubscriptionCreate => subscriptions::create(call, held).await,
        Action::SubscriptionList => subscriptions::list(call).await,
        Action::SubscriptionGet => subscriptions::get(call).await,
        Action::SubscriptionDelete => subscriptions::delete(call, held).await,
        // The connection answers this itself.
        Action::Authenticate => Err(ApiError::bare(StatusCode::BAD_REQUEST).into()),
    };
    outcome.unwrap_or_else(|refusal| refusal)
}

impl Call<'_> {
    fn service(&self) -> &Arc<Service> {
        &self.hub.service
    }

    fn now(&self) -> Timestamp {
        self.hub.service.now()
    }

    /// The right to do `A` to the queue that the request names.
    fn on_queue<A: access::Action<Scope = QueueKey>>(&self) -> Result<Permit<A>, Reply> {
        let name = QueueName::parse(self.text("queue_name").unwrap_or_default());
        let name = name.filter(|_| !self.project.is_too_long());
        let name = name.ok_or_else(|| invalid(MALFORMED_QUEUE))?;
        self.permit(QueueKey { project: self.project.clone(), name })
    }

    fn permit<A: access::Action>(&self, scope: A::Scope) -> Result<Permit<A>, Reply> {
        let permit = self.hub.service.authorize(scope, || Arc::clone(&self.caller.identity));
        permit.reply("The policy could not be asked.")
    }

    fn fields(&self) -> &Map<String, Value> {
        &self.request.fields
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.fields().get(name)?.as_str()
    }

    fn boolean(&self, name: &str) -> bool {
        self.fields().get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// An integer, as its schema wants it.
    fn integer(&self, name: &str) -> Result<Option<i64>, Reply> {
        let number = |value: &Value| {
            value.as_i64().ok_or_else(|| invalid(format!("{name} must be an integer.")))
        };
        self.fields().get(name).map(number).transpose()
    }

    fn number(&self, name: &str) -> Field {
        match self.fields().get(name) {
            None => Field::Missing,
            Some(value) => value.as_i64().map_or(Field::Other, Field::Integer),
        }
    }

    /// A list of strings.
    fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Reply> {
        let Some(items) = self.fields().get(name).and_then(Value::as_array) else {
            return Ok(None);
        };
        let texts = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        let texts: Option<Vec<_>> = texts;
        texts.map(Some).ok_or_else(|| invalid(format!("{name} must be a list of strings.")))
    }
}

/// Turns what the service says into a reply.
trait OrReply<T> {
    /// `failure` is the sentence for when the store is to blame.
    fn reply(self, failure: &'static str) -> Result<T, Reply>;
}

impl<T> OrReply<T> for crate::service::Result<T> {
    fn reply(self, failure: &'static str) -> Result<T, Reply> {
        self.during(failure).map_err(Reply::from)
    }
}

/// Writes messages as listed and read. Whose claim holds one is told only where it
/// is asked for by that claim.
fn put_messages(out: &mut Vec<u8>, messages: &[Message], is_claim: bool, now: Timestamp) {
    wire::array(out, messages, |out, message| put_message(out, message, is_claim, now));
}

fn put_message(out: &mut Vec<u8>, message: &Message, is_claim: bool, now: Timestamp) {
    let claim = message.claim.filter(|_| is_claim).map(|claim| claim.to_string());
    out.extend_from_slice(b"{\"id\":\"");
    out.extend_from_slice(&message.id.hex());
    out.extend_from_slice(b"\",\"claim_id\":");
    wire::value(out, &claim);
    out.extend_from_slice(b",\"ttl\":");
    wire::value(out, &message.ttl);
    out.extend_from_slice(b",\"age\":");
    wire::value(out, &now.since(message.created));
    out.extend_from_slice(b",\"body\":");
    out.extend_from_slice(message.body.as_bytes());
    out.push(b'}');
}
