//! What a store keeps of a message: its body, readable or not.

use std::fmt;

use bytes::Bytes;

use super::JsonText;

/// A body as a store keeps it. Stores hand it back as they got it; only the
/// service can tell what is in a sealed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The JSON that was posted.
    Json(JsonText),
    /// The same, encrypted.
    Sealed(SealedBody),
}

impl Body {
    /// What is kept: the text, or the sealed bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Json(text) => text.as_bytes(),
            Self::Sealed(body) => body.as_bytes(),
        }
    }

    /// The same body with a buffer of its own: it no longer keeps the whole
    /// request it came with in memory.
    #[must_use]
    pub fn detached(&self) -> Self {
        match self {
            Self::Json(text) => Self::Json(text.detached()),
            Self::Sealed(body) => Self::Sealed(SealedBody(Bytes::copy_from_slice(&body.0))),
        }
    }
}

impl From<JsonText> for Body {
    fn from(text: JsonText) -> Self {
        Self::Json(text)
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self::Json(text.into())
    }
}

/// An encrypted body: bytes that mean nothing to whoever has no key.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedBody(Bytes);

impl SealedBody {
    /// Wraps what an encryption made, or a store kept of it.
    #[must_use]
    pub const fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SealedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} sealed bytes)", self.0.len())
    }
}
