//! Signatures by which a webhook knows that a notification is ours: those of the
//! convention "Standard Webhooks".

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, GeneralPurpose};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value};
use sha2::Sha256;

use crate::model::Timestamp;

/// The option of a subscription that holds its secret.
pub const OPTION: &str = "_signing_secret";

/// What a secret begins with that is written in Base64.
const ENCODED: &str = "whsec_";

/// How many bytes a key has.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=256;

/// What is wrong with a secret.
const RULE: &str = "_signing_secret must be a string of 16 to 256 bytes, or \"whsec_\" and as \
    many in Base64.";

/// Base64 with its padding or without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The key that signs what one subscriber is told.
pub struct SigningKey(Vec<u8>);

impl SigningKey {
    /// The key that the options of a subscription name, if they do.
    ///
    /// # Errors
    ///
    /// A sentence for the client, if what they name is none.
    pub fn of(options: &Map<String, Value>) -> Result<Option<Self>, &'static str> {
        let Some(secret) = options.get(OPTION) else { return Ok(None) };
        let secret = secret.as_str().ok_or(RULE)?;
        let key = match secret.strip_prefix(ENCODED) {
            Some(encoded) => LENIENT.decode(encoded).map_err(|_| RULE)?,
            None => secret.as_bytes().to_vec(),
        };
        if LENGTHS.contains(&key.len()) { Ok(Some(Self(key))) } else { Err(RULE) }
    }

    /// The signature of a notification, with the version of the convention before it.
    #[must_use]
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        // A key of any length will do, so this is never the other branch.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(format!("{id}.{}.", at.seconds()).as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(secret: &Value) -> Result<Option<SigningKey>, &'static str> {
        let Value::Object(options) = json!({ OPTION: secret }) else { unreachable!() };
        SigningKey::of(&options)
    }

    #[test]
    fn the_vector_of_the_convention() {
        let key = key(&json!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap().unwrap();
        let at = Timestamp::from_seconds(1_614_265_330);
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, b"{\"test\": 2432232314}");
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_a_text_or_base64() {
        let at = Timestamp::from_seconds(1);
        let plain = key(&json!("0123456789abcdef")).unwrap().unwrap();
        let padded = key(&json!("whsec_MDEyMzQ1Njc4OWFiY2RlZg==")).unwrap().unwrap();
        let bare = key(&json!("whsec_MDEyMzQ1Njc4OWFiY2RlZg")).unwrap().unwrap();
        assert_eq!(plain.sign("a", at, b"b"), padded.sign("a", at, b"b"));
        assert_eq!(plain.sign("a", at, b"b"), bare.sign("a", at, b"b"));
        assert_ne!(plain.sign("a", at, b"b"), plain.sign("c", at, b"b"));
        assert!(SigningKey::of(&Map::new()).unwrap().is_none());
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for odd in [
            json!(null),
            json!(1),
            json!(""),
            json!("short"),
            json!("whsec_"),
            json!("whsec_****************************"),
            json!("whsec_c2hvcnQ="),
            json!("x".repeat(257)),
        ] {
            assert_eq!(key(&odd).err(), Some(RULE), "{odd}");
        }
    }
}
