//! What the load asks of every system: a connection that posts, takes and acknowledges.

use std::error::Error;

use bytes::Bytes;

/// A sentence for whoever runs the comparison.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Bytes of a message: a JSON string, since some peers take nothing but JSON.
pub const BODY_BYTES: usize = 1024;

/// Seconds for which whatever was taken is nobody else's. No step takes as long.
pub const LEASE_SECONDS: u32 = 300;

/// Where a peer is and which of its queues is meant.
#[derive(Clone, Debug)]
pub struct Place {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// Letters and digits.
    pub queue: String,
}

/// One connection to one queue of a peer, used for one step at a time. Within a step it
/// does whatever the peer's own clients do to be quick: pipelining, batches, prefetching.
pub trait Peer: Sized + 'static {
    /// Messages in a step that fills a queue: as many as the peer takes gladly.
    const FILL_BATCH: usize;

    /// Connects.
    async fn connect(place: &Place) -> Result<Self>;

    /// Makes the queue, unless there is one.
    async fn create(&mut self) -> Result<()>;

    /// Deletes the queue and all that is in it.
    async fn remove(&mut self) -> Result<()>;

    /// Messages in the queue, by the peer's own count.
    async fn waiting(&mut self) -> Result<u64>;

    /// Whatever an operator does after loading a lot of messages.
    async fn settle(&mut self) -> Result<()> {
        Ok(())
    }

    /// Posts `bodies`; returns when all of them are on disk, as far as the peer says.
    async fn post(&mut self, bodies: &[Bytes]) -> Result<()>;

    /// Takes up to `most` messages, without waiting for any to come, and checks their
    /// size. Returns how many.
    async fn take(&mut self, most: usize) -> Result<usize>;

    /// Acknowledges all that was taken.
    async fn acknowledge(&mut self) -> Result<()>;
}

/// Fails unless `body` has the size of all messages.
pub fn check_size(body: usize) -> Result<()> {
    if body == BODY_BYTES { Ok(()) } else { Err(format!("a message of {body} bytes").into()) }
}

/// Bodies to post, one after the other. They differ, so that a peer that compresses what
/// it stores has no easy time with them.
#[derive(Debug)]
pub struct Bodies {
    pool: Vec<Bytes>,
    next: usize,
}

/// More than fit into what a store compresses at once.
const POOL: usize = 128;

impl Bodies {
    /// Bodies of worker number `worker`.
    pub fn new(worker: usize) -> Self {
        let mut noise = Noise(worker as u64);
        let pool = (0..POOL).map(|_| body(&mut noise)).collect();
        Self { pool, next: 0 }
    }

    /// The next `count` ones.
    pub fn batch(&mut self, count: usize) -> Vec<Bytes> {
        let first = self.next;
        self.next = (first + count) % POOL;
        (first..first + count).map(|index| self.pool[index % POOL].clone()).collect()
    }
}

fn body(noise: &mut Noise) -> Bytes {
    let mut text = Vec::with_capacity(BODY_BYTES);
    text.push(b'"');
    text.extend((2..BODY_BYTES).map(|_| noise.letter()));
    text.push(b'"');
    Bytes::from(text)
}

/// The generator `SplitMix64`: letters without a pattern, the same in every run.
struct Noise(u64);

impl Noise {
    fn letter(&mut self) -> u8 {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        LETTERS[(mixed >> 58) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::{BODY_BYTES, Bodies, POOL, check_size};

    #[test]
    fn bodies_are_json_strings_of_one_size_that_differ() {
        let mut bodies = Bodies::new(7);
        let batch = bodies.batch(POOL);
        for body in &batch {
            check_size(body.len()).unwrap();
            let text: String = serde_json::from_slice(body).unwrap();
            assert_eq!(text.len(), BODY_BYTES - 2);
        }
        let unique: std::collections::HashSet<_> = batch.iter().collect();
        assert_eq!(unique.len(), POOL);
        assert_ne!(Bodies::new(8).batch(1), batch[..1]);
        check_size(BODY_BYTES - 1).unwrap_err();
    }

    #[test]
    fn bodies_begin_again_at_the_end() {
        let mut bodies = Bodies::new(0);
        let first = bodies.batch(POOL + 3);
        assert_eq!(first[..3], first[POOL..]);
        assert_eq!(bodies.batch(1)[0], first[3]);
    }
}
