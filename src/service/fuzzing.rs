//! The readers of sealed bodies, for those who feed them garbage on purpose: the
//! targets in `fuzz/`. Not for anybody else.

use bytes::Bytes;

use super::sealing::Keyring;
use crate::config::EncryptionSettings;
use crate::model::{JsonText, ProjectId, SealedBody};

/// Reads what Zaqar encrypted, once it is decrypted.
#[must_use]
pub fn zaqar_body(plaintext: &[u8]) -> Option<JsonText> {
    super::sealing::zaqar_body(plaintext)
}

/// Opens an encrypted body, whoever made it, with keys that anybody may know.
#[must_use]
pub fn open(sealed: &[u8]) -> Option<JsonText> {
    let keys = vec!["k:00000000000000000000000000000000".to_owned()];
    let settings = EncryptionSettings { keys, zaqar_key: Some("blue-lantern".to_owned()) };
    let body = SealedBody::new(Bytes::copy_from_slice(sealed));
    Keyring::new(&settings).open(&ProjectId::new("p"), &body).ok()
}
