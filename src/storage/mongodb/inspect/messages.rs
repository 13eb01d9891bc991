//! A look at every message of a partition, with the eyes of the driver.

use mongodb::bson::{RawBsonRef, RawDocument, doc, spec::BinarySubtype};

use super::{Findings, InspectResult, SeenQueues};
use crate::storage::mongodb::document::{decode, integer};
use crate::storage::mongodb::layout::{partition, unscoped};
use crate::storage::mongodb::store::Documents;

/// A partition and how many there should be.
pub struct Place<'a> {
    pub database: &'a str,
    pub number: u32,
    pub of: u32,
}

/// Reads all messages; returns how many there are.
pub async fn look(
    messages: &Documents,
    place: &Place<'_>,
    seen: &mut SeenQueues,
    findings: &mut Findings,
) -> InspectResult<u64> {
    let mut cursor = messages.find(doc! {}).await?;
    let mut count = 0;
    while cursor.advance().await? {
        count += 1;
        look_at(cursor.current(), place, seen, findings);
    }
    Ok(count)
}

fn look_at(
    document: &RawDocument,
    place: &Place<'_>,
    seen: &mut SeenQueues,
    findings: &mut Findings,
) {
    let name = |document: &RawDocument| match document.get_object_id("_id") {
        Ok(id) => format!("{id} ({})", place.database),
        Err(_) => format!("? ({})", place.database),
    };
    let Ok(p_q) = document.get_str("p_q") else {
        return findings
            .hinders("messages of no queue (field p_q), which nobody is shown", &name(document));
    };
    let queue = seen.entry(p_q.to_owned()).or_default();
    queue.messages += 1;
    queue.greatest = queue.greatest.max(integer(document, "k").unwrap_or(0));
    place.database.clone_into(&mut queue.database);
    if unscoped(p_q).is_some_and(|key| partition(&key, place.of) != place.number) {
        let what = "messages in a partition in which their queue is not looked for";
        findings.hinders(what, &name(document));
    }
    if let Err(foreign) = decode(document) {
        let what = format!(
            "messages whose field {} is missing or of an unknown type: nusku skips them",
            foreign.field
        );
        return findings.hinders(&what, &name(document));
    }
    if has_binary_body(document) {
        let what = "messages that are encrypted: nusku reads them with encryption.zaqar_key, or if \
            it wrote them with the key that encryption.keys had then";
        findings.differs(what, &name(document));
    }
    if !has_poster(document) {
        let what =
            "messages without a poster (field u): Zaqar leaves them out of claims, nusku does not";
        findings.differs(what, &name(document));
    }
    if !matches!(document.get("tx"), Ok(None | Some(RawBsonRef::Null))) {
        findings.differs(
            "messages in a transaction (field tx), which Zaqar neither lists nor claims",
            &name(document),
        );
    }
}

fn has_binary_body(document: &RawDocument) -> bool {
    matches!(document.get("b"), Ok(Some(RawBsonRef::Binary(_))))
}

fn has_poster(document: &RawDocument) -> bool {
    match document.get("u") {
        Ok(Some(RawBsonRef::Binary(id))) => {
            matches!(id.subtype, BinarySubtype::Uuid | BinarySubtype::UuidOld)
        }
        _ => false,
    }
}
