//! The bytes of a body that this server sealed.
//!
//! ```text
//! version 1 | length of the id 1 | id of the key | salt 16 | nonce 12 | ciphertext, tag 16
//! ```
//!
//! AES-256-GCM under a key of the body's own, HMAC-SHA256 of the salt under the
//! secret: with random nonces alone, one key would be spent after 2^32 bodies.
//! What is authenticated beside the text is all that stands before the salt, and
//! the project: a body that was moved to another project does not open. The
//! queue is left out, for dead letters change theirs.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::model::ProjectId;

/// What every envelope of this kind begins with. Zaqar's are Base64 and never do.
pub(super) const VERSION: u8 = 1;

const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
const RANDOM_BYTES: usize = SALT_BYTES + NONCE_BYTES;

/// What the secret is used for; another use would have another label.
const LABEL: &[u8] = b"nusku message body 1";

/// A secret, ready to make the keys of bodies.
#[derive(Clone)]
pub(super) struct Secret(Hmac<Sha256>);

/// There is no randomness to be had, so nothing can be sealed.
#[derive(Debug)]
pub(super) struct NoRandomness;

impl Secret {
    /// A key of any length will do; the settings see to it that it is long.
    pub(super) fn new(secret: &str) -> Option<Self> {
        let mut mac = Hmac::new_from_slice(secret.as_bytes()).ok()?;
        mac.update(LABEL);
        Some(Self(mac))
    }

    fn cipher(&self, salt: &[u8]) -> Aes256Gcm {
        let mut mac = self.0.clone();
        mac.update(salt);
        Aes256Gcm::new(&mac.finalize().into_bytes())
    }

    /// The envelope of `text`, for whoever has the secret of that id.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`].
    pub(super) fn seal(
        &self,
        id: &str,
        project: &ProjectId,
        text: &[u8],
    ) -> Result<Vec<u8>, NoRandomness> {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(|_| NoRandomness)?;
        self.seal_with(&random, id, project, text).ok_or(NoRandomness)
    }

    fn seal_with(
        &self,
        random: &[u8; RANDOM_BYTES],
        id: &str,
        project: &ProjectId,
        text: &[u8],
    ) -> Option<Vec<u8>> {
        let (salt, nonce) = random.split_at(SALT_BYTES);
        let mut sealed = vec![VERSION, u8::try_from(id.len()).ok()?];
        sealed.extend_from_slice(id.as_bytes());
        let aad = [&sealed, project.as_str().as_bytes()].concat();
        let payload = Payload { msg: text, aad: &aad };
        let nonce = Nonce::try_from(nonce).ok()?;
        let ciphertext = self.cipher(salt).encrypt(&nonce, payload).ok()?;
        sealed.extend_from_slice(random);
        sealed.extend_from_slice(&ciphertext);
        Some(sealed)
    }

    /// The text in `envelope`, unless it was sealed otherwise or altered.
    pub(super) fn open(&self, envelope: &Envelope<'_>, project: &ProjectId) -> Option<Vec<u8>> {
        let aad = [envelope.head, project.as_str().as_bytes()].concat();
        let payload = Payload { msg: envelope.ciphertext, aad: &aad };
        let nonce = Nonce::try_from(envelope.nonce).ok()?;
        self.cipher(envelope.salt).decrypt(&nonce, payload).ok()
    }
}

/// The parts of an envelope.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Envelope<'a> {
    head: &'a [u8],
    /// The id of the key that sealed it.
    pub(super) key_id: &'a str,
    salt: &'a [u8],
    nonce: &'a [u8],
    ciphertext: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Takes an envelope apart; `None` if it is none.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&[version, id_bytes], _) = bytes.split_first_chunk()?;
        if version != VERSION {
            return None;
        }
        let (head, rest) = bytes.split_at_checked(2 + usize::from(id_bytes))?;
        let key_id = std::str::from_utf8(&head[2..]).ok()?;
        let (salt, rest) = rest.split_at_checked(SALT_BYTES)?;
        let (nonce, ciphertext) = rest.split_at_checked(NONCE_BYTES)?;
        Some(Self { head, key_id, salt, nonce, ciphertext })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Envelope, RANDOM_BYTES, Secret};
    use crate::model::ProjectId;

    fn secret(text: &str) -> Secret {
        Secret::new(text).unwrap()
    }

    /// Whoever changes the format must leave the old one readable.
    #[test]
    fn the_first_version_stays_as_it_is() {
        let random: [u8; RANDOM_BYTES] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let (secret, project) =
            (secret("blue-lantern-blue-lantern-blue-lantern"), ProjectId::new("acme"));
        let sealed = secret.seal_with(&random, "2026-11", &project, b"\"hello\"").unwrap();
        assert_eq!(crate::service::hex::hex(&sealed), VECTOR);
        let envelope = Envelope::parse(&sealed).unwrap();
        assert_eq!(envelope.key_id, "2026-11");
        assert_eq!(secret.open(&envelope, &project).unwrap(), b"\"hello\"");
    }

    /// Made by another implementation of HMAC and AES-GCM.
    const VECTOR: &str = "0107323032362d3131000102030405060708090a0b0c0d0e0f101112131415161718191a\
                          1bff5b7cc9365e9a2b2f5294258f5df222705ae7d2072777";

    #[test]
    fn a_body_opens_for_its_own_project_and_secret_only() {
        let (own, project) = (secret("a"), ProjectId::new("acme"));
        let sealed = own.seal("k", &project, b"1").unwrap();
        let envelope = Envelope::parse(&sealed).unwrap();
        assert!(own.open(&envelope, &project).is_some());
        assert!(own.open(&envelope, &ProjectId::new("acm")).is_none());
        assert!(secret("b").open(&envelope, &project).is_none());
        assert_ne!(own.seal("k", &project, b"1").unwrap(), sealed, "never the same twice");
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_and_what_was_altered_does_not(
            text in prop::collection::vec(any::<u8>(), 0..200),
            project in ".{0,20}",
            id in "[a-z0-9._-]{1,64}",
            at in any::<prop::sample::Index>(),
            flip in 1_u8..,
        ) {
            let (own, project) = (secret("s"), ProjectId::new(&project));
            let mut sealed = own.seal(&id, &project, &text).unwrap();
            let envelope = Envelope::parse(&sealed).unwrap();
            prop_assert_eq!(envelope.key_id, id);
            prop_assert_eq!(own.open(&envelope, &project), Some(text));
            let at = at.index(sealed.len());
            sealed[at] ^= flip;
            let opened = Envelope::parse(&sealed).and_then(|it| own.open(&it, &project));
            prop_assert_eq!(opened, None);
        }

        #[test]
        fn any_bytes_are_taken_apart_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            if let Some(envelope) = Envelope::parse(&bytes) {
                prop_assert_eq!(secret("s").open(&envelope, &ProjectId::new("p")), None);
            }
        }
    }
}
