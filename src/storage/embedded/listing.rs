//! Reading messages: pages, by ids, counts. Runs on a reader's snapshot.

use std::ops::ControlFlow;

use rusqlite::Connection;

use super::body;
use super::ids::Ids;
use super::resume;
use super::slip::{self, ClientColumn, Place, Slip};
use super::writer::Memory;
use crate::model::{ListQuery, Marker, MessageHead, MessageId, Stats, StoredMessage, Timestamp};

/// The messages behind a marker.
pub fn page(
    conn: &Connection,
    queue: i64,
    query: &ListQuery,
    memory: &Memory,
    now: Timestamp,
) -> rusqlite::Result<Vec<StoredMessage>> {
    let behind = match query.marker {
        None => 0,
        Some(Marker::Position(marker)) => marker,
        Some(Marker::Message(id)) => marker_of(conn, queue, &memory.ids, id)?,
    };
    // Beyond what a signed integer holds there is nothing.
    if i64::try_from(behind).is_err() {
        return Ok(Vec::new());
    }
    let without = query.without.clone().map(ClientColumn);
    let wanted =
        |slip: &Slip| slip.expires > now && without.as_ref().is_none_or(|own| *own != slip.client);

    let limit = u64::from(query.limit);
    let mut slips = Vec::new();
    let optional =
        [(Place::Claimed, query.include_claimed), (Place::Delayed, query.include_delayed)];
    let places = optional.into_iter().filter_map(|(place, wanted)| wanted.then_some(place));
    for place in std::iter::once(Place::Ready).chain(places) {
        let mut found = 0;
        place.walk(conn, queue, behind, |slip| {
            if found >= limit {
                return ControlFlow::Break(());
            }
            if wanted(&slip) {
                found += slip.count;
                slips.push(slip);
            }
            ControlFlow::Continue(())
        })?;
    }
    slips.sort_unstable_by_key(|slip| slip.marker);
    slip::truncate(&mut slips, limit);
    body::complete(conn, memory, &slips)
}

/// The marker of a message, or where to go on behind one that is gone.
fn marker_of(conn: &Connection, queue: i64, ids: &Ids, id: MessageId) -> rusqlite::Result<u64> {
    let Some(number) = ids.message_number(id) else { return Ok(u64::MAX) };
    match body::locate(conn, queue, number)? {
        Some(marker) => Ok(marker),
        None => resume::behind(conn, queue, number),
    }
}

/// Those of the `wanted` messages that are there, in the order given.
pub fn by_ids(
    conn: &Connection,
    queue: i64,
    wanted: &[MessageId],
    memory: &Memory,
    now: Timestamp,
) -> rusqlite::Result<Vec<StoredMessage>> {
    let mut slips = Vec::with_capacity(wanted.len());
    for &id in wanted {
        let Some(number) = memory.ids.message_number(id) else { continue };
        let Some(marker) = body::locate(conn, queue, number)? else { continue };
        for place in Place::ALL {
            if let Some(slip) = place.find(conn, queue, marker)? {
                slips.extend((slip.id(&memory.ids) == id && slip.expires > now).then_some(slip));
                break;
            }
        }
    }
    body::complete(conn, memory, &slips)
}

/// Counts a queue.
pub fn stats(conn: &Connection, queue: i64, ids: &Ids, now: Timestamp) -> rusqlite::Result<Stats> {
    let ready = Place::Ready.count(conn, queue, now)?;
    let delayed = Place::Delayed.count(conn, queue, now)?;
    let claimed = Place::Claimed.count(conn, queue, now)?;
    let head = |slip: Slip| MessageHead {
        id: slip.id(ids),
        created: slip.created,
        claim: slip.claim.map(|number| ids.claim(number)),
    };
    let ends = |back: bool| -> rusqlite::Result<Vec<Slip>> {
        let mut found = Vec::new();
        for place in [Place::Ready, Place::Claimed] {
            let first_alive = |slip: Slip| {
                if slip.expires <= now {
                    return ControlFlow::Continue(());
                }
                let end = if back { slip.end() - 1 } else { slip.marker };
                found.push(slip.part(end..end + 1));
                ControlFlow::Break(())
            };
            if back {
                place.walk_back(conn, queue, first_alive)?;
            } else {
                place.walk(conn, queue, slip::START, first_alive)?;
            }
        }
        Ok(found)
    };
    Ok(Stats {
        claimed,
        free: ready + delayed,
        oldest: ends(false)?.into_iter().min_by_key(|slip| slip.marker).map(head),
        newest: ends(true)?.into_iter().max_by_key(|slip| slip.marker).map(head),
    })
}
