//! Bodies in memory: those posted last, for a worker that keeps up with its queue,
//! and the bundles read last, for who takes some messages of one soon takes the next.
//! Neither looks at the file.
//!
//! A body never changes and its number is never used again, so an entry cannot
//! be wrong; it goes when newer ones need the room.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bundle::Texts;
use crate::model::Body;

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

/// One part in so many of the room is for bundles that were read.
const READ_SHARE: usize = 8;

/// The bodies.
#[derive(Debug)]
pub struct RecentBodies {
    posted_max: usize,
    posted: Mutex<LastPosted>,
    read_max: usize,
    read: Mutex<LastRead>,
}

/// By ascending number: commits come in that order.
#[derive(Debug, Default)]
struct LastPosted {
    bodies: VecDeque<Posted>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct LastRead {
    bundles: BTreeMap<u64, Arc<Texts>>,
    /// The keys, the oldest first.
    order: VecDeque<u64>,
    bytes: usize,
}

impl RecentBodies {
    /// Keeps at most so many bytes; none if 0.
    pub fn new(bytes_max: usize) -> Self {
        let read_max = bytes_max / READ_SHARE;
        Self {
            posted_max: bytes_max - read_max,
            posted: Mutex::default(),
            read_max,
            read: Mutex::default(),
        }
    }

    /// Adds what a commit has posted; the oldest make room.
    pub fn add(&self, posted: Vec<Posted>) {
        if self.posted_max == 0 || posted.is_empty() {
            return;
        }
        let mut kept = lock(&self.posted);
        for body in posted {
            kept.bytes += body.body.as_bytes().len() + ENTRY_BYTES;
            kept.bodies.push_back(body);
        }
        while kept.bytes > self.posted_max
            && let Some(oldest) = kept.bodies.pop_front()
        {
            kept.bytes -= oldest.body.as_bytes().len() + ENTRY_BYTES;
        }
    }

    /// The body that was posted under that number, if it is here.
    pub fn posted(&self, number: u64) -> Option<Posted> {
        let kept = lock(&self.posted);
        let at = kept.bodies.binary_search_by_key(&number, |body| body.number).ok()?;
        kept.bodies.get(at).cloned()
    }

    /// Adds a bundle that was read; the oldest make room.
    pub fn keep(&self, texts: &Arc<Texts>) {
        if texts.bytes() > self.read_max {
            return;
        }
        let mut kept = lock(&self.read);
        let first = texts.numbers().start;
        if kept.bundles.insert(first, Arc::clone(texts)).is_none() {
            kept.bytes += texts.bytes();
            kept.order.push_back(first);
        }
        while kept.bytes > self.read_max
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.bytes -= kept.bundles.remove(&oldest).map_or(0, |texts| texts.bytes());
        }
    }

    /// The bundle into which the body with that number was put, if it is here.
    pub fn around(&self, number: u64) -> Option<Arc<Texts>> {
        let kept = lock(&self.read);
        let (_, texts) = kept.bundles.range(..=number).next_back()?;
        texts.numbers().contains(&number).then(|| Arc::clone(texts))
    }
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::body::Written;
    use super::super::bundle::{self, Draft};
    use super::super::slip::Slip;
    use super::*;
    use crate::model::{ClientId, Timestamp};

    fn posted(number: u64) -> Posted {
        Posted { number, body: Body::from("\"0123456789\""), checksum: None }
    }

    #[test]
    fn the_newest_are_found_and_the_oldest_make_room() {
        let recent =
            RecentBodies::new(READ_SHARE * (3 * (12 + ENTRY_BYTES)) / (READ_SHARE - 1) + 1);
        recent.add(vec![posted(1), posted(2), posted(5)]);
        assert!(recent.posted(1).is_some());
        assert!(recent.posted(3).is_none());
        recent.add(vec![posted(9)]);
        assert!(recent.posted(1).is_none());
        assert_eq!(recent.posted(2).unwrap().number, 2);
        assert_eq!(recent.posted(9).unwrap().number, 9);
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let recent = RecentBodies::new(0);
        recent.add(vec![posted(1)]);
        assert!(recent.posted(1).is_none());
        recent.keep(&texts(1, 2));
        assert!(recent.around(1).is_none());
    }

    /// A bundle as read, with `count` texts of a hundred bytes.
    fn texts(first: u64, count: u64) -> Arc<Texts> {
        let mut conn = rusqlite::Connection::open_in_memory().unwrap();
        super::super::schema::prepare(&mut conn, 1).unwrap();
        let new = Slip::new(1, ClientId::parse_any("me"), Timestamp::from_seconds(0));
        let slip = |number| Slip { number, marker: number, ..new.clone() };
        let mut draft = Draft::new(&slip(first));
        for number in first..first + count {
            let text = format!("\"{}\"", "x".repeat(98));
            assert!(draft.add(&slip(number), None, &Written::new(number, &Body::from(&*text))));
        }
        draft.save(&conn).unwrap();
        let bundle = bundle::around(&conn, first).unwrap().unwrap();
        Arc::new(bundle.texts(&conn).unwrap().unwrap())
    }

    #[test]
    fn bundles_are_found_by_any_of_their_numbers_and_the_oldest_make_room() {
        let size = texts(1, 10).bytes();
        let recent = RecentBodies::new(READ_SHARE * 2 * size);
        for first in [21, 1, 1] {
            recent.keep(&texts(first, 10));
        }
        assert!([1, 10, 21, 30].iter().all(|&number| recent.around(number).is_some()));
        assert!([0, 11, 20, 31].iter().all(|&number| recent.around(number).is_none()));
        recent.keep(&texts(41, 10));
        assert!(recent.around(21).is_none(), "it was the oldest");
        assert!(recent.around(1).is_some() && recent.around(41).is_some());
        recent.keep(&texts(100, 200));
        assert!(recent.around(100).is_none(), "larger than all the room");
        assert!(recent.around(1).is_some());
    }
}
