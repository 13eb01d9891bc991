//! Which subscribers there can be.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of subscriber, by the scheme of its URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SubscriberType {
    /// A webhook.
    Http,
    /// A webhook behind TLS.
    Https,
    /// A mailbox.
    Mailto,
    /// A webhook that gets a token with which it can act for the subscriber.
    #[serde(rename = "trust+http")]
    TrustHttp,
    /// The same behind TLS.
    #[serde(rename = "trust+https")]
    TrustHttps,
}

impl SubscriberType {
    /// All there are.
    pub const ALL: [Self; 5] =
        [Self::Http, Self::Https, Self::Mailto, Self::TrustHttp, Self::TrustHttps];

    /// The kind that a URI is of, by its scheme in capitals or not.
    #[must_use]
    pub fn of(uri: &str) -> Option<Self> {
        let (scheme, _) = uri.split_once(':')?;
        Self::ALL.into_iter().find(|kind| kind.scheme().eq_ignore_ascii_case(scheme))
    }

    /// The scheme, in lower case.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Mailto => "mailto",
            Self::TrustHttp => "trust+http",
            Self::TrustHttps => "trust+https",
        }
    }
}

impl fmt::Display for SubscriberType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme())
    }
}
