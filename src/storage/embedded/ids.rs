//! Ids of messages and claims: what clients see of the store's numbers.
//!
//! A number counts what everybody does. So an id shows it only under a key that
//! never leaves the store: ids are as unique as the numbers, and who knows some
//! learns nothing about others.

use rusqlite::Connection;
use speck_cipher::Speck64_128;
use speck_cipher::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

use crate::model::{ClaimId, MessageId, Timestamp};

/// Bytes of the key.
const KEY_BYTES: usize = 16;

/// Turns numbers into ids and back.
#[derive(Debug)]
pub struct Ids {
    /// A permutation of 64 bits: small, fast, and no number comes out twice.
    cipher: Speck64_128,
    /// Numbers below this were given out before there was a key; the ids they
    /// had then are theirs for life.
    plain_below: u64,
    /// What the ids of claims were mixed with then.
    salt: u64,
}

impl Ids {
    /// Reads the key of the store.
    pub fn load(conn: &Connection) -> rusqlite::Result<Self> {
        conn.query_row("SELECT id_key, plain_below, salt FROM sequence", [], |row| {
            let key: [u8; KEY_BYTES] = row.get(0)?;
            Ok(Self::new(key, row.get(1)?, row.get::<_, i64>(2)?.cast_unsigned()))
        })
    }

    fn new(key: [u8; KEY_BYTES], plain_below: u64, salt: u64) -> Self {
        Self { cipher: Speck64_128::new(&Array(key)), plain_below, salt }
    }

    /// The id of the message with that number, posted at `created`.
    pub fn message(&self, created: Timestamp, number: u64) -> MessageId {
        // Seconds have fitted 32 bits since 1970 and do until 2106.
        let seconds = u32::try_from(created.seconds()).unwrap_or(0);
        MessageId::from_parts(seconds, self.hide(number))
    }

    /// The number of the message with that id, if any message can have it.
    pub fn message_number(&self, id: MessageId) -> Option<u64> {
        self.reveal(id.parts().1)
    }

    /// The id of a claim. Who knows it may act for its holder: neither half can
    /// be guessed.
    pub fn claim(&self, number: u64) -> ClaimId {
        ClaimId::from_parts(self.claim_proof(number), self.hide(number))
    }

    /// The number of the claim, if that is its id.
    pub fn claim_number(&self, id: ClaimId) -> Option<u64> {
        let (proof, hidden) = id.parts();
        self.reveal(hidden).filter(|&number| self.claim_proof(number) == proof)
    }

    fn claim_proof(&self, number: u64) -> u32 {
        // No number has the bits of another one's complement.
        let mixed =
            if number < self.plain_below { mix(number ^ self.salt) } else { self.encrypt(!number) };
        u32::try_from(mixed >> 32).unwrap_or(0)
    }

    /// Permutes the numbers from `plain_below` on: what lands below it is
    /// permuted again until it does not.
    fn hide(&self, number: u64) -> u64 {
        if number < self.plain_below {
            return number;
        }
        let mut hidden = self.encrypt(number);
        while hidden < self.plain_below {
            hidden = self.encrypt(hidden);
        }
        hidden
    }

    /// What was hidden, unless no number can be behind it: the file's integers
    /// are signed.
    fn reveal(&self, hidden: u64) -> Option<u64> {
        if hidden < self.plain_below {
            return Some(hidden);
        }
        let mut number = self.decrypt(hidden);
        while number < self.plain_below {
            number = self.decrypt(number);
        }
        i64::try_from(number).is_ok().then_some(number)
    }

    fn encrypt(&self, number: u64) -> u64 {
        let mut block = Array(number.to_be_bytes());
        self.cipher.encrypt_block(&mut block);
        u64::from_be_bytes(block.0)
    }

    fn decrypt(&self, number: u64) -> u64 {
        let mut block = Array(number.to_be_bytes());
        self.cipher.decrypt_block(&mut block);
        u64::from_be_bytes(block.0)
    }
}

/// How the first layout made ids of claims hard to guess.
const fn mix(salted: u64) -> u64 {
    let mixed = salted.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const SALT: u64 = 0x4d;
    /// 999, an old number.
    const OLD: u64 = 0x3e7;
    const NOW: Timestamp = Timestamp::from_seconds(1_813_971_106);

    fn ids(plain_below: u64) -> Ids {
        Ids::new(*b"sixteen bytes of", plain_below, SALT)
    }

    #[test]
    fn an_id_tells_its_number_to_the_store_and_to_nobody_else() {
        let ids = ids(1);
        let all: Vec<_> = (1..2000).map(|number| ids.message(NOW, number)).collect();
        for (number, &id) in (1..).zip(&all) {
            assert_eq!(ids.message_number(id), Some(number));
            assert_eq!(i64::from(id.parts().0), NOW.seconds());
            assert_eq!(ids.claim_number(ids.claim(number)), Some(number));
        }
        let steps: HashSet<_> =
            all.windows(2).map(|pair| pair[1].parts().1.wrapping_sub(pair[0].parts().1)).collect();
        assert_eq!(steps.len(), all.len() - 1, "no two steps are alike");
        let other = Ids::new(*b"some other store", 1, SALT);
        assert_ne!(other.message_number(all[0]), Some(1));
    }

    #[test]
    fn ids_from_before_there_was_a_key_stay() {
        let ids = ids(1000);
        assert_eq!(ids.message(NOW, 999), MessageId::from_parts(1_813_971_106, 999));
        assert_eq!(ids.message_number(MessageId::from_parts(1, 999)), Some(999));
        let old = ClaimId::from_parts(u32::try_from(mix(OLD ^ SALT) >> 32).unwrap(), OLD);
        assert_eq!(ids.claim(999), old);
        assert_eq!(ids.claim_number(old), Some(999));
        assert_ne!(ids.message(NOW, 1000).parts().1, 1000);
    }

    /// A boundary that most of the permuted numbers lie below.
    #[test]
    fn no_number_gets_the_id_of_an_old_one() {
        let ids = ids(1 << 63);
        for number in (1 << 63)..(1 << 63) + 1000 {
            let hidden = ids.hide(number);
            assert!(hidden >= 1 << 63);
            assert_eq!(ids.reveal(hidden), None, "beyond what the file can hold");
            assert_eq!(ids.decrypt(ids.encrypt(number)), number);
        }
    }

    #[test]
    fn made_up_ids_name_nothing() {
        let ids = ids(1);
        let wrong = ids.claim(5).parts();
        assert_eq!(ids.claim_number(ClaimId::from_parts(wrong.0 ^ 1, wrong.1)), None);
        assert_eq!(ids.claim_number(ClaimId::from_parts(0, 5)), None);
        let likely = (1..100_000).filter(|&it| ids.reveal(it).is_some_and(|it| it < 1 << 40));
        assert_eq!(likely.count(), 0);
    }
}
