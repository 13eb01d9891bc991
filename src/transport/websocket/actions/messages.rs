//! Messages: post, list, get, delete, pop.

use serde_json::{Value, json};

use super::super::reply::{Reply, invalid};
use super::{Call, OrReply, Outcome, put_message, put_messages};
use crate::model::{ClientId, Message};
use crate::service::access::Permit;
use crate::service::access::actions::{
    DeleteMessage, DeleteMessages, GetMessage, ListMessages, PostMessages,
};
use crate::service::{self, Deletion, Error, MessageListing};
use crate::transport::http::v2::posted;
use crate::transport::http::wire;

const NOT_FETCHED: &str = "Message could not be retrieved.";

pub(super) async fn post(call: &Call<'_>) -> Outcome {
    const FAILURE: &str = "Messages could not be enqueued.";
    let queue: Permit<PostMessages> = call.on_queue()?;
    let size = call.service().post_size(&queue).await.reply(FAILURE)?;
    size.check(call.request.messages_bytes).reply(FAILURE)?;
    let drafts = posted::parse(&call.request.body).map_err(Reply::from)?;
    let client = client(call)?;
    let ids = call.service().post_messages(&queue, &client, drafts).await.reply(FAILURE)?;
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    Ok(Reply::of(201, json!({"message_ids": ids})))
}

/// A page; the next one lies behind the id of its last message.
pub(super) async fn list(call: &Call<'_>) -> Outcome {
    let queue: Permit<ListMessages> = call.on_queue()?;
    let listing = MessageListing {
        marker: call.text("marker").map(str::to_owned),
        limit: call.integer("limit")?,
        echo: call.boolean("echo"),
        include_claimed: call.boolean("include_claimed"),
        include_delayed: call.fields().get("include_delayed").is_some_and(says_yes),
    };
    let client = client(call)?;
    let page = call.service().list_messages(&queue, &client, listing).await;
    let page = page.reply("Messages could not be listed.")?;
    Ok(messages(call, &page.messages))
}

pub(super) async fn get(call: &Call<'_>) -> Outcome {
    let queue: Permit<GetMessage> = call.on_queue()?;
    let id = call.text("message_id").unwrap_or_default();
    let message = call.service().get_message(&queue, id).await.reply(NOT_FETCHED)?;
    let mut out = wire::buffer_for(std::slice::from_ref(&message), 16);
    out.extend_from_slice(b"{\"messages\":");
    put_message(&mut out, &message, false, call.now());
    out.push(b'}');
    Ok(Reply::new(200, out))
}

/// Those that are there; none at all is no error here.
pub(super) async fn get_many(call: &Call<'_>) -> Outcome {
    let queue: Permit<ListMessages> = call.on_queue()?;
    let ids = call.texts("message_ids")?.unwrap_or_default();
    let found = match call.service().get_messages(&queue, &ids).await {
        Err(Error::MessagesDoNotExist(_)) => Vec::new(),
        found => found.reply(NOT_FETCHED)?,
    };
    Ok(messages(call, &found))
}

pub(super) async fn delete(call: &Call<'_>) -> Outcome {
    let queue: Permit<DeleteMessage> = call.on_queue()?;
    let id = call.text("message_id").unwrap_or_default();
    let deleted = call.service().delete_message(&queue, id, call.text("claim_id")).await;
    deleted.reply("Message could not be deleted.")?;
    Ok(Reply::of(204, json!({})))
}

/// Deletes the messages that `message_ids` names, or pops as many as `pop` says. A
/// list without ids, and a pop of none, count as absent.
pub(super) async fn delete_many(call: &Call<'_>) -> Outcome {
    const FAILURE: &str = "Messages could not be deleted.";
    let queue: Permit<DeleteMessages> = call.on_queue()?;
    let ids = call.texts("message_ids")?.filter(|ids| !ids.is_empty());
    let claims = call.texts("claim_ids")?;
    match Deletion::new(ids, call.integer("pop")?).reply(FAILURE)? {
        Deletion::Messages(ids) => {
            let deleted = call.service().delete_messages(&queue, &ids, claims.as_deref()).await;
            deleted.reply(FAILURE)?;
            Ok(Reply::of(204, json!({})))
        }
        Deletion::Pop(count) => {
            let popped = call.service().pop_messages(&queue, count, claims.as_deref()).await;
            let popped = popped.reply("Messages could not be popped.")?;
            let mut out = wire::buffer_for(&popped, 16);
            out.extend_from_slice(b"{\"messages\":");
            let now = call.now();
            wire::array(&mut out, &popped, |out, message| wire::popped(out, message, now));
            out.push(b'}');
            Ok(Reply::new(200, out))
        }
    }
}

fn messages(call: &Call<'_>, messages: &[Message]) -> Reply {
    let mut out = wire::buffer_for(messages, 16);
    out.extend_from_slice(b"{\"messages\":");
    put_messages(&mut out, messages, false, call.now());
    out.push(b'}');
    Reply::new(200, out)
}

/// Who posts, and whose messages a listing leaves out: only there it matters.
fn client(call: &Call<'_>) -> Result<ClientId, Reply> {
    let text = call.request.headers.get("Client-ID").and_then(Value::as_str).unwrap_or_default();
    let client = service::client_id(text, call.service().limits());
    client.map_err(|error| invalid(error.to_string()))
}

/// Whether a value of any type means yes, as Zaqar reads it.
fn says_yes(value: &Value) -> bool {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    ["1", "t", "true", "on", "y", "yes"].contains(&text.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::says_yes;

    #[test]
    fn yes_has_many_forms() {
        for yes in [json!(true), json!(1), json!("1"), json!(" Yes "), json!("on"), json!("T")] {
            assert!(says_yes(&yes), "{yes}");
        }
        for no in [json!(false), json!(0), json!(2), json!(null), json!("off"), json!([true])] {
            assert!(!says_yes(&no), "{no}");
        }
    }
}
