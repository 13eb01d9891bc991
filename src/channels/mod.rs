//! The ways to reach subscribers by their URIs: webhooks, mail, webhooks with a token.
//!
//! A channel makes one attempt in bounded time and says what came of it. Who is told
//! what, when and how often is none of its business, and no subscriber may make it
//! reach what is not everybody's ([`guard`]).

mod address;
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod headers;
mod mail;
mod template;
#[cfg(test)]
mod tests;
mod trust;
mod webhook;

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::{Settings, SubscriberType};
use crate::http_client::ClientError;
use crate::service::notification::Channels;
use crate::service::notification::channel::Channel;

pub use self::mail::Mail;
pub use self::trust::Trusting;
pub use self::webhook::Webhook;

/// Why subscribers cannot be reached; every text is one clear sentence.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// About webhooks.
    #[error("cannot call webhooks: {0}")]
    Webhook(ClientError),
    /// About mail.
    #[error("cannot send mail: {0}")]
    Mail(#[from] mail::SetupError),
    /// About trusts.
    #[error("cannot ask Keystone for trusts: {0}")]
    Trust(ClientError),
}

/// The channels that `settings` describe. Nobody is called, written to or asked yet.
///
/// # Errors
///
/// [`SetupError`], most likely about a file of certificates.
pub fn open(settings: &Settings, clock: Clock) -> Result<Channels, SetupError> {
    let notification = &settings.notification;
    let webhook = Webhook::new(&notification.webhook).map_err(SetupError::Webhook)?;
    let trust = Trusting::new(webhook.clone(), notification, &settings.auth.keystone, clock)
        .map_err(SetupError::Trust)?;
    let webhook: Arc<dyn Channel> = Arc::new(webhook);
    let trust: Arc<dyn Channel> = Arc::new(trust);
    let mail: Arc<dyn Channel> = Arc::new(Mail::new(&notification.mail)?);
    Ok(Channels::new(|kind| match kind {
        SubscriberType::Http | SubscriberType::Https => Arc::clone(&webhook),
        SubscriberType::Mailto => Arc::clone(&mail),
        SubscriberType::TrustHttp | SubscriberType::TrustHttps => Arc::clone(&trust),
    }))
}
