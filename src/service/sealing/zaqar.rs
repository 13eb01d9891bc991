//! Bodies that Zaqar sealed: opened so that its messages outlive it, never made.
//!
//! Base64 of an initialisation vector and AES-256-CBC, with no key but the hash
//! of a text and no way to tell an altered body for certain.

use aes::Aes256;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, KeyIvInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::unpickle;
use crate::model::JsonText;

/// The key that a Zaqar has whose operator chose none; everybody knows it.
pub(super) const DEFAULT_KEY: &str = "AES256";

const IV_BYTES: usize = 16;

/// What Zaqar makes of its `message_encryption_key`.
#[derive(Clone)]
pub(super) struct ZaqarKey([u8; 32]);

impl ZaqarKey {
    pub(super) fn new(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// The body as it was posted; `None` if it was sealed with another key, was
    /// altered, or is nothing that JSON can say.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<JsonText> {
        let mut bytes = STANDARD.decode(sealed).ok()?;
        let (iv, ciphertext) = bytes.split_at_mut_checked(IV_BYTES)?;
        let cipher = cbc::Decryptor::<Aes256>::new_from_slices(&self.0, iv).ok()?;
        json(cipher.decrypt_padded::<Pkcs7>(ciphertext).ok()?)
    }
}

/// A string is sealed as it is, anything else as a pickle. No UTF-8 begins as a
/// pickle does, so neither is ever taken for the other; Zaqar itself tries the
/// unpickler on strings, which lets whoever posts run code there.
pub(in crate::service) fn json(plaintext: &[u8]) -> Option<JsonText> {
    let json = if plaintext.first() == Some(&unpickle::PROTO) {
        unpickle::json(plaintext)?
    } else {
        serde_json::to_vec(std::str::from_utf8(plaintext).ok()?).ok()?
    };
    Some(JsonText::from_checked(json.into()))
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_KEY, ZaqarKey};

    fn opened(key: &str, sealed: &str) -> Option<String> {
        let body = ZaqarKey::new(key).open(sealed.as_bytes())?;
        Some(String::from_utf8(body.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn what_zaqar_sealed_opens() {
        for (key, sealed, body) in [
            ("blue-lantern", "AAECAwQFBgcICQoLDA0OD5hgE+rGBdHg0pxMfyTzSwo=", "\"hello\""),
            (
                "blue-lantern",
                "AAECAwQFBgcICQoLDA0OD2wuNuneNQ6z8I0g2cRMyQZLgbQxSkvMhbUiYDpOFz/J",
                "{\"total\":42}",
            ),
            (DEFAULT_KEY, "AAECAwQFBgcICQoLDA0OD5+yedgfSv3UNpo/574NZsU=", "\"hello\""),
            (
                DEFAULT_KEY,
                "AAECAwQFBgcICQoLDA0OD7XRr47uN9tHK3hx+A0wXPslha/HMCl92x/tRJi5N7Ts",
                "{\"a\":1}",
            ),
        ] {
            assert_eq!(opened(key, sealed).as_deref(), Some(body));
        }
    }

    #[test]
    fn what_cannot_be_opened_is_no_garbage() {
        let sealed = "AAECAwQFBgcICQoLDA0OD2wuNuneNQ6z8I0g2cRMyQZLgbQxSkvMhbUiYDpOFz/J";
        assert_eq!(opened("green-lantern", sealed), None);
        for odd in ["", "AAECAwQFBgcICQoLDA0ODw==", "AAEC", "no base64!", &sealed[..40], "\u{1}"] {
            assert_eq!(opened("blue-lantern", odd), None, "{odd}");
        }
    }

    #[test]
    fn a_string_that_looks_like_a_pickle_stays_a_string() {
        for text in ["I5\n.", "N.", "", "(", "}", "cos\nsystem\n(S'id'\ntR."] {
            let body = super::json(text.as_bytes()).unwrap();
            assert_eq!(body.as_bytes(), serde_json::to_vec(text).unwrap());
        }
    }
}
