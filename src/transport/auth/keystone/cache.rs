//! What Keystone said lately.
//!
//! Tokens are known by their SHA-256 alone: whoever gets to see this memory
//! cannot use them.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::clock::Clock;
use crate::config::KeystoneSettings;
use crate::keystone::token::Token;
use crate::model::Timestamp;
use crate::transport::auth::Vouched;

/// A token that was asked about, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    digest: [u8; 32],
    allow_expired: bool,
}

impl Key {
    pub(super) fn of(token: &str, allow_expired: bool) -> Self {
        Self { digest: Sha256::digest(token.as_bytes()).into(), allow_expired }
    }

    /// Whether a token that ended lately is taken.
    pub(super) fn allows_expired(&self) -> bool {
        self.allow_expired
    }
}

/// Whose a token is, `None` for nobody's.
pub(super) type Verdict = Option<Vouched>;

/// The verdicts that hold for a while.
#[derive(Debug)]
pub(super) struct Verdicts {
    // Apart from each other, so that no flood of nonsense pushes anybody out.
    known: Cache<Key, (Vouched, Timestamp)>,
    unknown: Cache<Key, Timestamp>,
    clock: Clock,
    known_time: u32,
    unknown_time: u32,
}

impl Verdicts {
    pub(super) fn new(settings: &KeystoneSettings, clock: Clock) -> Self {
        let size = settings.token_cache_size;
        let (known_time, unknown_time) = (settings.token_cache_time, settings.negative_cache_time);
        // What is over by the clock is never used; this lets go of the memory.
        let life = |seconds: u32| Duration::from_secs(u64::from(seconds) + 1);
        Self {
            known: Cache::builder().max_capacity(size).time_to_live(life(known_time)).build(),
            unknown: Cache::builder().max_capacity(size).time_to_live(life(unknown_time)).build(),
            clock,
            known_time,
            unknown_time,
        }
    }

    /// The verdict about a token, if there is one that still holds.
    pub(super) fn get(&self, key: &Key) -> Option<Verdict> {
        let now = self.clock.now();
        if let Some((vouched, until)) = self.known.get(key)
            && now < until
        {
            return Some(Some(vouched));
        }
        self.unknown.get(key).filter(|until| now < *until).map(|_| None)
    }

    /// Keeps what Keystone said about a token that it was asked about at `asked`.
    /// One that ended in the meantime is nobody's.
    pub(super) fn put(&self, key: Key, asked: Timestamp, token: Option<Token>) -> Verdict {
        let token = token.filter(|token| key.allow_expired || self.clock.now() < token.expires);
        let Some(Token { identity, expires }) = token else {
            self.known.invalidate(&key);
            self.unknown.insert(key, asked.plus(self.unknown_time));
            return None;
        };
        let vouched = Vouched { identity: Arc::new(identity), expires: Some(expires) };
        let until = asked.plus(self.known_time);
        let until = if key.allow_expired { until } else { until.min(expires) };
        self.known.insert(key, (vouched.clone(), until));
        Some(vouched)
    }
}
