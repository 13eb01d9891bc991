//! Ids of messages, claims, subscriptions and callers.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

/// Twelve bytes that print as 24 lowercase hex digits: Zaqar's ids are MongoDB
/// object ids, and clients have come to expect the look.
macro_rules! object_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 12]);

        impl $name {
            /// Length of the printed form.
            pub const HEX_DIGITS: usize = 24;

            /// The id with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 12]) -> Self {
                Self(bytes)
            }

            /// The twelve bytes.
            #[must_use]
            pub const fn bytes(self) -> [u8; 12] {
                self.0
            }

            /// The id of a store that numbers what it creates: `seconds` of its
            /// creation, then its `number`; sorts by both, as an object id does.
            #[must_use]
            pub fn from_parts(seconds: u32, number: u64) -> Self {
                let mut bytes = [0; 12];
                bytes[..4].copy_from_slice(&seconds.to_be_bytes());
                bytes[4..].copy_from_slice(&number.to_be_bytes());
                Self(bytes)
            }

            /// What [`Self::from_parts`] was given.
            #[must_use]
            pub fn parts(self) -> (u32, u64) {
                let [a, b, c, d, rest @ ..] = self.0;
                (u32::from_be_bytes([a, b, c, d]), u64::from_be_bytes(rest))
            }

            /// Reads 24 hex digits of any case; `None` if it is anything else.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let digits: &[u8; 24] = text.as_bytes().try_into().ok()?;
                let (mut bytes, mut seen) = ([0; 12], 0);
                for (byte, [high, low]) in bytes.iter_mut().zip(digits.as_chunks().0) {
                    let (high, low) = (hex_value(*high), hex_value(*low));
                    *byte = high << 4 | low;
                    seen |= high | low;
                }
                (seen != NO_DIGIT).then_some(Self(bytes))
            }

            /// The printed form, without an allocation.
            #[must_use]
            pub fn hex(self) -> [u8; 24] {
                let mut hex = [0; 24];
                for (pair, byte) in hex.as_chunks_mut().0.iter_mut().zip(self.0) {
                    *pair = HEX_PAIRS[usize::from(byte)];
                }
                hex
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // They are ASCII digits.
                f.write_str(std::str::from_utf8(&self.hex()).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

/// What stands for every byte that is no hex digit: all bits, so that it shows in
/// whatever it is combined with.
const NO_DIGIT: u8 = 0xff;

/// The two lowercase digits of every byte.
const HEX_PAIRS: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// The value of every hex digit.
const HEX_VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        let [_, digit] = HEX_PAIRS[value as usize];
        values[digit as usize] = value;
        values[digit.to_ascii_uppercase() as usize] = value;
        value += 1;
    }
    values
};

const fn hex_value(digit: u8) -> u8 {
    HEX_VALUES[digit as usize]
}

object_id! {
    /// Names a message for as long as it lives, also in a dead letter queue.
    MessageId
}

object_id! {
    /// Names a claim; who knows it may renew it, release it and delete its messages.
    ClaimId
}

object_id! {
    /// Names a subscription. Its first half tells when it was made.
    SubscriptionId
}

/// Who is calling: the `Client-ID` header. A listing leaves out its own
/// messages unless it asks for the echo.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ClientId {
    /// The usual case; the same 128 bits are the same client, however written.
    Uuid(Uuid),
    /// Any other text, allowed only with `client_id_uuid_safe = "off"`.
    Name(Arc<str>),
}

/// The text is not a UUID in any of the forms Zaqar takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Malformed hexadecimal UUID.")]
pub struct MalformedClientId;

impl ClientId {
    /// Reads a UUID as Python's `uuid.UUID` does: `urn:` and `uuid:` anywhere,
    /// braces at the ends and any hyphens are dropped; 32 hex digits must remain.
    ///
    /// # Errors
    ///
    /// [`MalformedClientId`] for anything else.
    pub fn parse_uuid(text: &str) -> Result<Self, MalformedClientId> {
        if let Ok(uuid) = Uuid::try_parse(text) {
            return Ok(Self::Uuid(uuid));
        }
        let bare = text.replace("urn:", "").replace("uuid:", "");
        let digits = bare.trim_matches(['{', '}']).replace('-', "");
        if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(MalformedClientId);
        }
        Uuid::try_parse(&digits).map(Self::Uuid).map_err(|_| MalformedClientId)
    }

    /// Any text is a client; a UUID is still known by its value.
    #[must_use]
    pub fn parse_any(text: &str) -> Self {
        Self::parse_uuid(text).unwrap_or_else(|_| Self::Name(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::{ClientId, MessageId};

    #[test]
    fn ids_print_and_read_back() {
        let id = MessageId::from_parts(0x6c1f_00a2, 42);
        assert_eq!(id.to_string(), "6c1f00a2000000000000002a");
        assert_eq!(MessageId::parse(&id.to_string()), Some(id));
        assert_eq!(MessageId::parse("6C1F00A2000000000000002A"), Some(id));
        assert_eq!(id.parts(), (0x6c1f_00a2, 42));
        for odd in [
            "",
            "6c1f",
            "6c1f00a2000000000000002g",
            "6c1f00a2000000000000002a0",
            "é".repeat(12).as_str(),
        ] {
            assert_eq!(MessageId::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn client_ids_are_their_128_bits() {
        let canonical = ClientId::parse_uuid("3381af92-2b9e-11e3-b191-71861300734c").unwrap();
        for same in [
            "3381AF922B9E11E3B19171861300734C",
            "{3381af92-2b9e-11e3-b191-71861300734c}",
            "urn:uuid:3381af92-2b9e-11e3-b191-71861300734c",
            "3-3-8-1af922b9e11e3b19171861300734c",
        ] {
            assert_eq!(ClientId::parse_uuid(same).unwrap(), canonical, "{same}");
            assert_eq!(ClientId::parse_any(same), canonical, "{same}");
        }
        for odd in [
            "",
            "me",
            "3381af92-2b9e-11e3-b191-71861300734",
            "é381af92-2b9e-11e3-b191-71861300734c",
        ] {
            assert!(ClientId::parse_uuid(odd).is_err(), "{odd}");
        }
    }
}
