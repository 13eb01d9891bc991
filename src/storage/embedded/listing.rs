//! Reading messages: pages, by ids, counts. Runs on a reader's snapshot.

use rusqlite::Connection;

use super::body;
use super::ids::Ids;
use super::resume;
use super::slip::{ClientColumn, Place, Slip};
use crate::model::{ListQuery, Marker, MessageHead, MessageId, Stats, StoredMessage, Timestamp};

/// The messages behind a marker.
pub fn page(
    conn: &Connection,
    queue: i64,
    query: &ListQuery,
    ids: &Ids,
    now: Timestamp,
) -> rusqlite::Result<Vec<StoredMessage>> {
    let behind = match query.marker {
        None => 0,
        Some(Marker::Position(marker)) => marker,
        Some(Marker::Message(id)) => marker_of(conn, queue, ids, id)?,
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
    body::complete(conn, ids, &slips)
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
    ids: &Ids,
    now: Timestamp,
) -> rusqlite::Result<Vec<StoredMessage>> {
    let mut slips = Vec::with_capacity(wanted.len());
    for &id in wanted {
        let Some(number) = ids.message_number(id) else { continue };
        let Some(marker) = body::locate(conn, queue, number)? else { continue };
        for place in Place::ALL {
            if let Some(slip) = place.find(conn, queue, marker)? {
                slips.extend((slip.id(ids) == id && slip.expires > now).then_some(slip));
                break;
            }
        }
    }
    body::complete(conn, ids, &slips)
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
