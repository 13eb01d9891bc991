//! The keys of bodies: which one seals, and which one opens what.

use bytes::Bytes;

use super::envelope::{Envelope, NoRandomness, Secret, VERSION};
use super::zaqar::{DEFAULT_KEY, ZaqarKey};
use crate::config::EncryptionSettings;
use crate::model::{JsonText, ProjectId, SealedBody};

/// The keys of an operator.
pub(in crate::service) struct Keyring {
    /// The first one seals, all of them open.
    keys: Vec<(String, Secret)>,
    zaqar: Option<ZaqarKey>,
}

/// Why a body stays closed; for the log, never for a client.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::service) enum Unreadable {
    #[error("there is no key {0} in encryption.keys")]
    NoKey(String),
    #[error("it looks like one of Zaqar's, and encryption.zaqar_key is not set")]
    NoZaqarKey,
    #[error("encryption.zaqar_key does not open it: it is another one, or the body is damaged")]
    NotZaqars,
    #[error("the key {0} does not open it: its secret is another one, or the body is damaged")]
    Damaged(String),
    #[error("it is damaged: nothing that was ever sealed looks like it")]
    Broken,
}

impl Keyring {
    /// The keys in `settings`, which were checked.
    pub(in crate::service) fn new(settings: &EncryptionSettings) -> Self {
        if settings.zaqar_key.as_deref() == Some(DEFAULT_KEY) {
            tracing::warn!(
                "encryption.zaqar_key is Zaqar's default: everybody can read what was sealed with it"
            );
        }
        let keys = settings.named_keys();
        Self {
            keys: keys.filter_map(|(id, it)| Some((id.to_owned(), Secret::new(it)?))).collect(),
            zaqar: settings.zaqar_key.as_deref().map(ZaqarKey::new),
        }
    }

    /// The body encrypted; `None` if there is no key.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`].
    pub(super) fn seal(
        &self,
        project: &ProjectId,
        body: &JsonText,
    ) -> Result<Option<SealedBody>, NoRandomness> {
        let Some((id, secret)) = self.keys.first() else { return Ok(None) };
        let sealed = secret.seal(id, project, body.as_bytes())?;
        Ok(Some(SealedBody::new(sealed.into())))
    }

    /// The body as it was posted.
    ///
    /// # Errors
    ///
    /// [`Unreadable`].
    pub(in crate::service) fn open(
        &self,
        project: &ProjectId,
        body: &SealedBody,
    ) -> Result<JsonText, Unreadable> {
        let bytes = body.as_bytes();
        if bytes.first() != Some(&VERSION) {
            let key = self.zaqar.as_ref().ok_or(Unreadable::NoZaqarKey)?;
            return key.open(bytes).ok_or(Unreadable::NotZaqars);
        }
        let envelope = Envelope::parse(bytes).ok_or(Unreadable::Broken)?;
        let id = envelope.key_id;
        let found = self.keys.iter().find(|(known, _)| known == id);
        let (_, secret) = found.ok_or_else(|| Unreadable::NoKey(id.to_owned()))?;
        let text = secret.open(&envelope, project);
        let text = text.ok_or_else(|| Unreadable::Damaged(id.to_owned()))?;
        Ok(JsonText::from_checked(Bytes::from(text)))
    }

    /// Whether there is a key to seal with.
    pub(in crate::service) fn can_seal(&self) -> bool {
        !self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(keys: &[&str], zaqar_key: Option<&str>) -> Keyring {
        let keys = keys.iter().map(|id| format!("{id}:{}", id.repeat(32))).collect();
        Keyring::new(&EncryptionSettings { keys, zaqar_key: zaqar_key.map(str::to_owned) })
    }

    fn project() -> ProjectId {
        ProjectId::new("acme")
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let body: JsonText = "[1]".into();
        let sealed = keyring(&["old"], None).seal(&project(), &body).unwrap().unwrap();
        for keys in [&["old"][..], &["new", "old"]] {
            assert_eq!(keyring(keys, None).open(&project(), &sealed), Ok(body.clone()));
        }
        let fresh = keyring(&["new", "old"], None).seal(&project(), &body).unwrap().unwrap();
        let opened = keyring(&["old"], None).open(&project(), &fresh);
        assert_eq!(opened, Err(Unreadable::NoKey("new".into())));
    }

    #[test]
    fn every_failure_says_what_is_missing() {
        let own = keyring(&["own"], None);
        let sealed = own.seal(&project(), &"1".into()).unwrap().unwrap();
        let open = |keyring: &Keyring, bytes: &[u8]| {
            keyring.open(&project(), &SealedBody::new(Bytes::copy_from_slice(bytes))).unwrap_err()
        };
        let mut altered = sealed.as_bytes().to_vec();
        *altered.last_mut().unwrap() ^= 1;
        assert_eq!(open(&own, &altered), Unreadable::Damaged("own".into()));
        assert_eq!(open(&own, &altered[..20]), Unreadable::Broken);
        assert_eq!(open(&own, b"AAEC"), Unreadable::NoZaqarKey);
        assert_eq!(open(&own, b""), Unreadable::NoZaqarKey);
        assert_eq!(open(&keyring(&[], Some("x")), b"AAEC"), Unreadable::NotZaqars);
        assert!(!keyring(&[], Some("x")).can_seal());
        assert_eq!(keyring(&[], Some("x")).seal(&project(), &"1".into()).unwrap(), None);
    }
}
