//! Claims: create, look at, renew, release.

use serde_json::json;

use super::super::reply::Reply;
use super::{Call, OrReply, Outcome, put_messages};
use crate::service::access::Permit;
use crate::service::access::actions::{CreateClaim, GetClaim, ReleaseClaim, RenewClaim};
use crate::transport::http::wire;

/// Claims messages; nothing to claim is a 204.
pub(super) async fn create(call: &Call<'_>) -> Outcome {
    let queue: Permit<CreateClaim> = call.on_queue()?;
    let (limit, ttl, grace) = (call.integer("limit")?, call.number("ttl"), call.number("grace"));
    let claim = call.service().create_claim(&queue, limit, ttl, grace).await;
    let Some(claim) = claim.reply("Claim could not be created.")? else {
        return Ok(Reply::of(204, json!({"claim_id": null})));
    };
    let mut out = wire::buffer_for(&claim.messages, 64);
    out.extend_from_slice(b"{\"claim_id\":");
    wire::value(&mut out, &claim.id.to_string());
    out.extend_from_slice(b",\"messages\":");
    put_messages(&mut out, &claim.messages, true, call.now());
    out.push(b'}');
    Ok(Reply::new(201, out))
}

/// A claim and what it still holds.
pub(super) async fn get(call: &Call<'_>) -> Outcome {
    let queue: Permit<GetClaim> = call.on_queue()?;
    let claim = call.service().get_claim(&queue, id(call)).await;
    let (claim, now) = (claim.reply("Claim could not be queried.")?, call.now());
    let mut out = wire::buffer_for(&claim.messages, 64);
    out.extend_from_slice(format!("{{\"age\":{},\"ttl\":{}", claim.age(now), claim.ttl).as_bytes());
    out.extend_from_slice(b",\"messages\":");
    put_messages(&mut out, &claim.messages, true, now);
    out.push(b'}');
    Ok(Reply::new(200, out))
}

pub(super) async fn renew(call: &Call<'_>) -> Outcome {
    let queue: Permit<RenewClaim> = call.on_queue()?;
    let (ttl, grace) = (call.number("ttl"), call.number("grace"));
    let renewed = call.service().renew_claim(&queue, id(call), ttl, grace).await;
    renewed.reply("Claim could not be updated.")?;
    Ok(Reply::of(204, json!(format!("Claim {} updated.", id(call)))))
}

pub(super) async fn release(call: &Call<'_>) -> Outcome {
    let queue: Permit<ReleaseClaim> = call.on_queue()?;
    let released = call.service().release_claim(&queue, id(call)).await;
    released.reply("Claim could not be deleted.")?;
    Ok(Reply::of(204, json!(format!("Claim {} deleted.", id(call)))))
}

fn id<'a>(call: &'a Call<'_>) -> &'a str {
    call.text("claim_id").unwrap_or_default()
}
