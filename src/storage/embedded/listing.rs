//! Reading messages: pages, by ids, counts. Runs on a reader's snapshot.

use rusqlite::Connection;

use super::body;
use super::slip::{ClientColumn, Place, Slip, number_in};
use super::tx::claim_id;
use crate::model::{ListQuery, Marker, MessageHead, MessageId, Stats, StoredMessage, Timestamp};

/// The messages behind a marker.
pub fn page(
    conn: &Connection,
    queue: i64,
    query: &ListQuery,
    salt: u64,
    now: Timestamp,
) -> rusqlite::Result<Vec<StoredMessage>> {
    let behind = match query.marker {
        None => 0,
        Some(Marker::Position(marker)) => marker,
        Some(Marker::Message(id)) => marker_of(conn, queue, id)?,
    };
    // Beyond what a signed integer holds there is nothing.
    let Ok(behind) = i64::try_from(behind) else { return Ok(Vec::new()) };
    let without = query.without.clone().map(ClientColumn);
    let wanted =
        |slip: &Slip| slip.expires > now && without.as_ref().is_none_or(|own| *own != slip.client);

    let mut slips = Vec::new();
    let optional =
        [(Place::Claimed, query.include_claimed), (Place::Delayed, query.include_delayed)];
    let places = optional.into_iter().filter_map(|(place, wanted)| wanted.then_some(place));
    for place in std::iter::once(Place::Ready).chain(places) {
        walk(conn, place, (queue, behind), query.limit as usize, wanted, &mut slips)?;
    }
    slips.sort_unstable_by_key(|slip| slip.marker);
    slips.truncate(query.limit as usize);
    body::complete(conn, salt, &slips)
}

fn walk(
    conn: &Connection,
    place: Place,
    start: (i64, i64),
    most: usize,
    wanted: impl Fn(&Slip) -> bool,
    into: &mut Vec<Slip>,
) -> rusqlite::Result<()> {
    let end = into.len() + most;
    let mut statement = place.walk(conn)?;
    let mut rows = statement.query(start)?;
    while into.len() < end
        && let Some(row) = rows.next()?
    {
        let slip = Slip::from_row(row)?;
        if wanted(&slip) {
            into.push(slip);
        }
    }
    Ok(())
}

/// The marker of a message, which may be gone: then it is the one it was
/// posted with.
fn marker_of(conn: &Connection, queue: i64, id: MessageId) -> rusqlite::Result<u64> {
    let Some(number) = number_in(id) else { return Ok(u64::MAX) };
    Ok(match body::locate(conn, number)? {
        Some((owner, marker)) if owner == queue => marker,
        _ => number,
    })
}

/// Those of the messages that are there; `ids` ascend.
pub fn by_ids(
    conn: &Connection,
    queue: i64,
    ids: &[MessageId],
    salt: u64,
    now: Timestamp,
) -> rusqlite::Result<Vec<StoredMessage>> {
    let mut slips = Vec::with_capacity(ids.len());
    for &id in ids {
        let Some(number) = number_in(id) else { continue };
        let Some((owner, marker)) = body::locate(conn, number)? else { continue };
        if owner != queue {
            continue;
        }
        for place in Place::ALL {
            if let Some(slip) = place.find(conn, queue, marker)? {
                slips.extend((slip.id() == id && slip.expires > now).then_some(slip));
                break;
            }
        }
    }
    body::complete(conn, salt, &slips)
}

/// Counts a queue.
pub fn stats(conn: &Connection, queue: i64, salt: u64, now: Timestamp) -> rusqlite::Result<Stats> {
    let ready = Place::Ready.count(conn, queue, now)?;
    let delayed = Place::Delayed.count(conn, queue, now)?;
    let claimed = Place::Claimed.count(conn, queue, now)?;
    let head = |slip: Slip| MessageHead {
        id: slip.id(),
        created: slip.created,
        claim: slip.claim.map(|number| claim_id(salt, number)),
    };
    let ends = |back: bool| -> rusqlite::Result<Vec<Slip>> {
        let mut found = Vec::new();
        for place in [Place::Ready, Place::Claimed] {
            let mut walk = if back { place.walk_back(conn)? } else { place.walk(conn)? };
            let mut rows = walk.query((queue, 0))?;
            while let Some(row) = rows.next()? {
                let slip = Slip::from_row(row)?;
                if slip.expires > now {
                    found.push(slip);
                    break;
                }
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
