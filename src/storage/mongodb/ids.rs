//! Ids of messages and claims.
//!
//! Both look like the object ids of any other client: seconds first, so that
//! they tell when they were made. The id of a message tells its marker too. So
//! whoever pages with the id of the last message they saw can go on where they
//! were, also when that message is gone.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use uuid::Uuid;

use crate::model::{ClaimId, MessageId, Timestamp};

/// Tells apart ids that were made for the same marker in the same second, in
/// different queues. Each process begins somewhere else, and counts in an order
/// of its own: one queue's ids tell nothing of how many there are in others.
static DISTINCTION: LazyLock<Distinction> = LazyLock::new(|| Distinction {
    next: AtomicU32::new(Uuid::new_v4().as_fields().0),
    key: RandomState::new(),
});

/// Gives out all numbers of 24 bits before it repeats one.
struct Distinction {
    next: AtomicU32,
    key: RandomState,
}

impl Distinction {
    /// Halves of the number that its rounds mix, in bits.
    const HALF: u32 = 12;
    const MASK: u32 = (1 << Self::HALF) - 1;
    const ROUNDS: u32 = 6;

    fn next(&self) -> [u8; 3] {
        let [_, bytes @ ..] = self.permute(self.next.fetch_add(1, Ordering::Relaxed)).to_be_bytes();
        bytes
    }

    /// A Feistel network over the lower 24 bits.
    fn permute(&self, number: u32) -> u32 {
        let halves = ((number >> Self::HALF) & Self::MASK, number & Self::MASK);
        let (left, right) = (0..Self::ROUNDS).fold(halves, |(left, right), round| {
            let [.., b0, b1] = self.key.hash_one((round, right)).to_be_bytes();
            (right, left ^ (u32::from(u16::from_be_bytes([b0, b1])) & Self::MASK))
        });
        (left << Self::HALF) | right
    }
}

/// An id for the message that gets this marker: seconds, low half of the marker,
/// a distinction in three bytes, a check byte.
#[must_use]
pub fn new(now: Timestamp, marker: u64) -> MessageId {
    let [.., m0, m1, m2, m3] = marker.to_be_bytes();
    let [d0, d1, d2] = DISTINCTION.next();
    let [s0, s1, s2, s3] = seconds(now).to_be_bytes();
    let rest = [s0, s1, s2, s3, m0, m1, m2, m3, d0, d1, d2];
    let mut bytes = [0; 12];
    bytes[..11].copy_from_slice(&rest);
    bytes[11] = check(&rest);
    MessageId::from_bytes(bytes)
}

/// The marker of the message with this id: the greatest that is at most
/// `newest`, the queue's newest, and fits the id. `None` for the id of a message
/// that Zaqar posted, except for one in 256, which chance makes look like ours.
#[must_use]
pub fn marker(id: MessageId, newest: u64) -> Option<u64> {
    const LOW: u64 = 0xffff_ffff;
    let [rest @ .., last] = id.bytes();
    if check(&rest) != last {
        return None;
    }
    let [_, _, _, _, m0, m1, m2, m3, ..] = rest;
    let low = u64::from(u32::from_be_bytes([m0, m1, m2, m3]));
    let here = (newest & !LOW) | low;
    if here <= newest { Some(here) } else { here.checked_sub(LOW + 1) }
}

/// An id for a claim. Who knows it may act for its holder, so it is made of
/// chance, as far as the moment leaves room.
#[must_use]
pub fn new_claim(now: Timestamp) -> ClaimId {
    // Six bits of a random UUID are fixed: laid over each other like this, none is.
    let (first, second) = Uuid::new_v4().as_u64_pair();
    ClaimId::from_parts(seconds(now), first.rotate_left(32) ^ second)
}

fn seconds(moment: Timestamp) -> u32 {
    u32::try_from(moment.seconds().max(0)).unwrap_or(u32::MAX)
}

fn check(bytes: &[u8; 11]) -> u8 {
    let [.., last] = crc32fast::hash(bytes).to_be_bytes();
    last
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_813_971_106);

    #[test]
    fn an_id_tells_its_marker_and_its_moment() {
        for (posted, newest) in [
            (1, 1),
            (1, 900),
            (0, 0),
            (u64::from(u32::MAX), u64::from(u32::MAX) + 1),
            (1 << 32, (1 << 32) + 5),
            ((1 << 32) - 5, (1 << 32) + 5),
            ((7 << 32) + 9, (8 << 32) + 8),
        ] {
            let id = new(NOW, posted);
            assert_eq!(marker(id, newest), Some(posted), "{posted} of {newest}");
            assert_eq!(i64::from(id.parts().0), NOW.seconds());
        }
        assert_eq!(marker(new(NOW, 8), 7), None, "it was never given out");
    }

    #[test]
    fn ids_differ_also_for_one_marker_in_one_second() {
        let ids: HashSet<_> = (0..1000).map(|_| new(NOW, 1)).collect();
        assert_eq!(ids.len(), 1000);
        let claims: HashSet<_> = (0..1000).map(|_| new_claim(NOW)).collect();
        assert_eq!(claims.len(), 1000);
        assert!(claims.iter().all(|id| i64::from(id.parts().0) == NOW.seconds()));
    }

    #[test]
    fn distinctions_differ_and_count_in_no_order_that_shows() {
        let distinction = Distinction { next: AtomicU32::new(0), key: RandomState::new() };
        let all: HashSet<_> = (0..100_000).map(|number| distinction.permute(number)).collect();
        assert_eq!(all.len(), 100_000);
        assert!(all.iter().all(|&it| it < 1 << 24));
        assert_eq!(distinction.permute(1 << 24), distinction.permute(0), "after all were used");
        let step =
            |number| distinction.permute(number + 1).wrapping_sub(distinction.permute(number));
        let steps: HashSet<_> = (0..1000).map(step).collect();
        assert!(steps.len() > 990, "{}", steps.len());
    }

    #[test]
    fn most_other_ids_tell_no_marker() {
        let others = (0..10_000_u64).map(|number| MessageId::from_parts(0x6c1f_00a2, number << 9));
        let mistaken = others.filter(|id| marker(*id, u64::MAX).is_some()).count();
        assert!(mistaken < 10_000 / 200, "{mistaken}");
    }

    #[test]
    fn moments_beyond_the_field_do_no_harm() {
        for odd in [i64::MIN, -1, i64::MAX] {
            let id = new(Timestamp::from_seconds(odd), 3);
            assert_eq!(marker(id, 3), Some(3));
        }
    }
}
