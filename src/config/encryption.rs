//! `[encryption]`: the keys of message bodies at rest.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::validate::{Check, check_text, fault};

/// The shortest secret: what a person would make up is shorter, and a random
/// one of 32 bytes is longer, written in hex or Base64.
const SECRET_CHARACTERS_MIN: usize = 32;

/// The longest name of a key; it lies beside every body.
const ID_BYTES_MAX: usize = 64;

/// The keys of message bodies at rest.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EncryptionSettings {
    /// Keys as `ID:SECRET`. The first one seals, all of them open.
    pub keys: Vec<String>,
    /// The `message_encryption_key` of a Zaqar that sealed what is to be opened.
    pub zaqar_key: Option<String>,
}

impl EncryptionSettings {
    /// The keys in their order, each with its id and its secret.
    pub fn named_keys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.keys.iter().filter_map(|key| key.split_once(':'))
    }
}

impl fmt::Debug for EncryptionSettings {
    /// Tells all but the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.named_keys().map(|(id, _)| id).collect();
        let zaqar_key = self.zaqar_key.as_ref().map(|_| "(not shown)");
        f.debug_struct("EncryptionSettings")
            .field("keys", &ids)
            .field("zaqar_key", &zaqar_key)
            .finish()
    }
}

pub(super) fn check(encryption: &EncryptionSettings) -> Check {
    // Whatever was found is a secret or near one, and is not told.
    let refuse = |expected: String| Err(fault("encryption.keys", "", expected));
    let mut ids: Vec<&str> = Vec::new();
    for key in &encryption.keys {
        let is_id = |id: &&str| {
            (1..=ID_BYTES_MAX).contains(&id.len())
                && id.bytes().all(|it| it.is_ascii_alphanumeric() || b"._-".contains(&it))
        };
        let Some((id, secret)) = key.split_once(':').filter(|(id, _)| is_id(id)) else {
            let expected =
                format!("ID:SECRET, the id of 1 to {ID_BYTES_MAX} letters, digits, . _ -");
            return refuse(expected);
        };
        if secret.chars().count() < SECRET_CHARACTERS_MIN {
            let expected = format!("at least {SECRET_CHARACTERS_MIN} characters after {id}:");
            return refuse(expected);
        }
        if ids.contains(&id) {
            return refuse(format!("only one key of the id {id}"));
        }
        ids.push(id);
    }
    check_text("encryption.zaqar_key", encryption.zaqar_key.as_deref())
}
