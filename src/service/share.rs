//! Pre-signed URLs: lending a queue to somebody without a token.
//!
//! Signatures are made over HTTP paths and methods, whatever protocol asks for
//! them, because HTTP is where they are shown.

use chrono::{DateTime, NaiveDateTime};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::access::Permit;
use super::access::actions::ShareQueue;
use super::{Error, Result, Service, hex, iso8601, python};
use crate::model::{ProjectId, QueueKey, SubscriptionId, Timestamp};

/// How long a permission lasts that names no end, in seconds: a day.
const LIFE_DEFAULT: u32 = 86_400;
/// What can be lent.
const SUB_RESOURCES: [&str; 3] = ["claims", "messages", "subscriptions"];
/// What stands between the parts of the signed text: a backslash and an `n`,
/// not a newline. Zaqar's source escapes it once too often.
const SEPARATOR: &str = "\\n";

/// How the end of a permission is printed, and signed.
const DATE_FORMAT: &str = "%Y-%m-%dT%H:%M:%S";

/// What to sign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShareRequest {
    /// Sub-resources of the queue; `messages` if empty.
    pub paths: Vec<String>,
    /// HTTP methods; `GET` if empty.
    pub methods: Vec<String>,
    /// End of the permission, ISO 8601; a day from now if `None`.
    pub expires: Option<String>,
}

/// A permission, and the proof that this service gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedUrl {
    /// Absolute paths, sorted.
    pub paths: Vec<String>,
    /// Methods, sorted.
    pub methods: Vec<String>,
    /// `YYYY-MM-DDTHH:MM:SS`, UTC.
    pub expires: String,
    /// Hex HMAC-SHA256.
    pub signature: String,
}

impl Service {
    /// Signs a permission for sub-resources of `queue`, which need not exist.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for an unknown sub-resource, a server without
    /// a secret key, and an end that is no date or not ahead; in this order.
    pub fn share_queue(
        &self,
        queue: &Permit<ShareQueue>,
        request: ShareRequest,
    ) -> Result<SignedUrl> {
        let paths = paths(queue, request.paths)?;
        let signer = self
            .signer()
            .ok_or_else(|| Error::InvalidRequest("The `key` can't be None".to_owned()))?;
        let mut methods = request.methods;
        if methods.is_empty() {
            methods.push("GET".to_owned());
        }
        methods.sort();
        let now = self.now();
        let expires = match request.expires {
            Some(text) => end_of_permission(&text)?,
            None => moment(now.plus(LIFE_DEFAULT)),
        };
        if expires <= moment(now) {
            return Err(Error::InvalidRequest(
                "`expires` is lower than the current time".to_owned(),
            ));
        }
        Ok(sign(signer, &queue.project, paths, methods, expires))
    }

    /// Signs the permission to confirm a subscription, or to take that back, until
    /// `expires`; `None` without a secret key.
    pub(super) fn share_confirmation(
        &self,
        queue: &QueueKey,
        subscription: SubscriptionId,
        expires: Timestamp,
    ) -> Option<SignedUrl> {
        let (kind, name) = (queue.name.kind().plural(), &queue.name);
        let path = format!("/v2/{kind}/{name}/subscriptions/{subscription}/confirm");
        let methods = vec!["PUT".to_owned()];
        Some(sign(self.signer()?, &queue.project, vec![path], methods, moment(expires)))
    }

    /// Whether this service gave that permission, for `project`, and it has not
    /// ended. The order of paths and methods does not matter; the comparison
    /// takes the same time wherever the signatures differ.
    #[must_use]
    pub fn is_signed(&self, project: &ProjectId, url: &SignedUrl) -> bool {
        let Some(signer) = self.signer() else { return false };
        let Some(expires) = iso8601::parse(&url.expires) else { return false };
        let Some(signature) = hex::bytes(&url.signature) else { return false };
        let (mut paths, mut methods) = (url.paths.clone(), url.methods.clone());
        paths.sort();
        methods.sort();
        let date = expires.format(DATE_FORMAT).to_string();
        let mac = signer.chain_update(signed_text(&paths, &methods, project, &date));
        mac.verify_slice(&signature).is_ok() && expires > moment(self.now())
    }

    /// What signs with the secret key; `None` if there is none. An empty key
    /// is none: anybody could sign with it.
    fn signer(&self) -> Option<Hmac<Sha256>> {
        let key = self.signing_key.as_deref().filter(|key| !key.is_empty())?;
        // Keys of any length will do, so this is never an error.
        Hmac::new_from_slice(key.as_bytes()).ok()
    }
}

/// Signs a permission; `paths` and `methods` must be sorted.
fn sign(
    signer: Hmac<Sha256>,
    project: &ProjectId,
    paths: Vec<String>,
    methods: Vec<String>,
    expires: NaiveDateTime,
) -> SignedUrl {
    let expires = expires.format(DATE_FORMAT).to_string();
    let mac = signer.chain_update(signed_text(&paths, &methods, project, &expires));
    let signature = hex::hex(&mac.finalize().into_bytes());
    SignedUrl { paths, methods, expires, signature }
}

/// The absolute paths of these sub-resources, sorted.
fn paths(queue: &QueueKey, mut names: Vec<String>) -> Result<Vec<String>> {
    if names.is_empty() {
        names.push("messages".to_owned());
    }
    names.sort();
    let mut unknown: Vec<_> = names.iter().map(String::as_str).collect();
    unknown.retain(|name| !SUB_RESOURCES.contains(name));
    unknown.dedup();
    if !unknown.is_empty() {
        return Err(Error::InvalidRequest(format!("Invalid paths: {}", python::set(unknown))));
    }
    Ok(names.iter().map(|name| format!("/v2/queues/{}/{name}", queue.name)).collect())
}

/// Reads the end of a permission. A number is refused even where it could be
/// read as a year or a date: in Zaqar it once meant seconds.
fn end_of_permission(text: &str) -> Result<NaiveDateTime> {
    if let Some(number) = python::integer_text(text).filter(|number| number != "0") {
        return Err(Error::InvalidRequest(format!(
            "`expires` should be date format, for example 2016-01-01T00:00:00, \
             not integer value: {number}"
        )));
    }
    iso8601::parse(text).ok_or_else(|| {
        Error::InvalidRequest(format!("Unable to parse date string {}", python::repr(text)))
    })
}

fn moment(time: Timestamp) -> NaiveDateTime {
    DateTime::from_timestamp(time.seconds(), 0).unwrap_or(DateTime::UNIX_EPOCH).naive_utc()
}

/// What the signature is made of; `paths` and `methods` must be sorted.
fn signed_text(paths: &[String], methods: &[String], project: &ProjectId, expires: &str) -> String {
    let (paths, methods) = (paths.join(","), methods.join(","));
    [paths.as_str(), methods.as_str(), project.as_str(), expires].join(SEPARATOR)
}
