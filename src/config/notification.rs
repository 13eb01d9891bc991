//! Telling subscribers of messages.

use serde::{Deserialize, Serialize};

use super::channels::{self, MailSettings, TrusteeSettings, WebhookSettings};
use super::validate::{Check, check_text, fault, within};

/// How subscribers are told, whatever the way.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NotificationSettings {
    /// Whether this server tells them.
    pub enabled: bool,
    /// Whether a subscriber is told of nothing before it has confirmed.
    pub require_confirmation: bool,
    /// Where subscribers reach the API, to confirm.
    pub confirmation_endpoint: Option<String>,
    /// Most attempts at once.
    pub max_notifier_workers: u32,
    /// Most attempts at once with the same target.
    pub max_per_target: u32,
    /// Most notifications of one subscription that are under way at once.
    pub subscriber_window: u32,
    /// Seconds between looks for what nobody works on.
    pub orphan_interval: u32,
    /// Webhooks.
    pub webhook: WebhookSettings,
    /// Mail.
    pub mail: MailSettings,
    /// The user that trusts are made out to.
    pub trustee: TrusteeSettings,
}

pub(super) fn check(notification: &NotificationSettings) -> Check {
    let key = "notification.confirmation_endpoint";
    let endpoint = notification.confirmation_endpoint.as_deref();
    check_text(key, endpoint)?;
    if let Some(endpoint) = endpoint
        && !["http://", "https://"].iter().any(|it| is_host_behind(endpoint, it))
    {
        return Err(fault(key, format!("{endpoint:?}"), "http://HOST or https://HOST"));
    }
    let key = "notification.max_notifier_workers";
    within(key, notification.max_notifier_workers, 1..=10_000)?;
    within("notification.max_per_target", notification.max_per_target, 1..=10_000)?;
    within("notification.subscriber_window", notification.subscriber_window, 1..=1_000)?;
    within("notification.orphan_interval", notification.orphan_interval, 1..=3_600)?;
    channels::check_webhook(&notification.webhook)?;
    channels::check_mail(&notification.mail)?;
    channels::check_trustee(&notification.trustee)
}

fn is_host_behind(url: &str, scheme: &str) -> bool {
    let rest = url.strip_prefix(scheme).unwrap_or_default();
    !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace)
}
