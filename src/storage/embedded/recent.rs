//! The bodies posted last, in memory: a worker that keeps up with its queue
//! gets them without a look at the file.
//!
//! A body never changes and its number is never used again, so an entry cannot
//! be wrong; it goes when newer ones need the room.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::body;
use super::ids::Ids;
use super::slip::Slip;
use crate::model::{Body, StoredMessage};

/// A body as posted.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The message's number.
    pub number: u64,
    /// What was posted.
    pub body: Body,
    /// Its checksum.
    pub checksum: Option<String>,
}

/// Bytes an entry costs beside its text.
const ENTRY_BYTES: usize = size_of::<Posted>() + 64;

/// The bodies, by ascending number: commits come in that order.
#[derive(Debug)]
pub struct RecentBodies {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bodies: VecDeque<Posted>,
    bytes: usize,
}

impl RecentBodies {
    /// Keeps at most so many bytes; none if 0.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Mutex::default() }
    }

    /// Adds what a commit has posted; the oldest make room.
    pub fn add(&self, posted: Vec<Posted>) {
        if self.bytes_max == 0 || posted.is_empty() {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for body in posted {
            kept.bytes += body.body.as_bytes().len() + ENTRY_BYTES;
            kept.bodies.push_back(body);
        }
        while kept.bytes > self.bytes_max
            && let Some(oldest) = kept.bodies.pop_front()
        {
            kept.bytes -= oldest.body.as_bytes().len() + ENTRY_BYTES;
        }
    }

    /// The whole messages that belong to `slips`, if all their bodies are here.
    pub fn complete(&self, ids: &Ids, slips: &[Slip]) -> Option<Vec<StoredMessage>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let find = |(slip, place): (&Slip, u64)| {
            let number = slip.number + place;
            let at = kept.bodies.binary_search_by_key(&number, |body| body.number).ok()?;
            let Posted { body, checksum, .. } = kept.bodies.get(at)?;
            Some(body::message(slip, place, ids, body.clone(), checksum.clone()))
        };
        slips
            .iter()
            .flat_map(|slip| (0..slip.count).map(move |place| (slip, place)))
            .map(find)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ClientId, Timestamp};

    fn ids() -> Ids {
        let mut conn = rusqlite::Connection::open_in_memory().unwrap();
        super::super::schema::prepare(&mut conn, 1).unwrap();
        Ids::load(&conn).unwrap()
    }

    fn posted(number: u64) -> Posted {
        Posted { number, body: Body::from("\"0123456789\""), checksum: None }
    }

    fn slip(number: u64) -> Slip {
        let client = ClientId::parse_any("somebody");
        Slip { number, marker: number, ..Slip::new(1, client, Timestamp::from_seconds(0)) }
    }

    #[test]
    fn the_newest_are_found_and_the_oldest_make_room() {
        let (ids, recent) = (ids(), RecentBodies::new(3 * (12 + ENTRY_BYTES)));
        recent.add(vec![posted(1), posted(2), posted(5)]);
        assert_eq!(recent.complete(&ids, &[slip(5), slip(1)]).unwrap().len(), 2);
        recent.add(vec![posted(9)]);
        assert!(recent.complete(&ids, &[slip(1)]).is_none());
        assert!(recent.complete(&ids, &[slip(9), slip(3)]).is_none());
        assert_eq!(recent.complete(&ids, &[slip(2), slip(5), slip(9)]).unwrap().len(), 3);
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let (ids, recent) = (ids(), RecentBodies::new(0));
        recent.add(vec![posted(1)]);
        assert!(recent.complete(&ids, &[slip(1)]).is_none());
    }
}
