//! `[notification.webhook]`, `[notification.mail]`, `[notification.trustee]`: the ways
//! to reach subscribers.

use std::fmt;
use std::net::IpAddr;

use hyper::Uri;
use ipnet::IpNet;
use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};

use super::http::network;
use super::validate::{Check, check_text, fault, within};

/// Webhooks.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Longest wait for a connection to one address, in seconds.
    pub connect_timeout: u32,
    /// Longest wait for an answer, everything included, in seconds.
    pub timeout: u32,
    /// Networks that are called although they are not public.
    pub allowed_networks: Vec<String>,
    /// A PEM file with certificates of those who sign webhooks', besides those that
    /// browsers trust.
    pub ca_file: Option<String>,
}

impl WebhookSettings {
    /// The networks of `allowed_networks`; a single address is one of its own.
    #[must_use]
    pub fn allowed(&self) -> Vec<IpNet> {
        self.allowed_networks.iter().filter_map(|text| network(text)).collect()
    }
}

/// Mail. Names are those of Zaqar's `[notification]` where it has them.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MailSettings {
    /// How mail leaves.
    pub smtp_mode: SmtpMode,
    /// The command that takes a mail, its arguments with blanks between them.
    pub smtp_command: String,
    /// The mail server.
    pub smtp_host: Option<String>,
    /// Its port.
    pub smtp_port: Option<u16>,
    /// How the connection to it is encrypted.
    pub smtp_tls: SmtpTls,
    /// A PEM file with certificates of those who sign its, besides those that browsers
    /// trust.
    pub smtp_ca_file: Option<String>,
    /// Who we are there.
    pub smtp_user_name: Option<String>,
    /// What proves it.
    pub smtp_user_password: Option<String>,
    /// Longest wait for a mail to be taken, in seconds.
    pub timeout: u32,
    /// From whom a mail is that says nothing else.
    pub sender: String,
    /// The page that the links in requests for confirmation lead to.
    pub external_confirmation_url: Option<String>,
    /// The mail that asks for confirmation.
    pub subscription_confirmation_email_template: MailTemplate,
    /// The mail that says good-bye.
    pub unsubscribe_confirmation_email_template: MailTemplate,
}

impl fmt::Debug for MailSettings {
    /// Tells how mail leaves, never how we prove who we are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailSettings")
            .field("smtp_mode", &self.smtp_mode)
            .field("smtp_host", &self.smtp_host)
            .field("smtp_user_name", &self.smtp_user_name)
            .finish_non_exhaustive()
    }
}

/// How mail leaves; names are Zaqar's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpMode {
    /// By a command.
    ThirdPart,
    /// By SMTP.
    SelfLocal,
}

/// How the connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    /// From its beginning.
    Implicit,
    /// After a greeting, or not at all.
    Starttls,
    /// It is not.
    None,
}

/// A mail in which `{0}` stands for the queue, `{1}` for the project and `{2}` for the
/// link.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MailTemplate {
    /// The subject.
    pub topic: String,
    /// The text.
    pub body: String,
    /// From whom it is.
    pub sender: String,
}

/// The user that trusts are made out to. Names are those of Zaqar's `[trustee]`.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrusteeSettings {
    /// Where Keystone answers, with or without `/v3`; `auth.keystone.auth_url` if unset.
    pub auth_url: Option<String>,
    /// The user.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// Its domain, by id.
    pub user_domain_id: Option<String>,
    /// The same by name.
    pub user_domain_name: Option<String>,
}

impl fmt::Debug for TrusteeSettings {
    /// Tells who it is, never how that is proved.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrusteeSettings")
            .field("auth_url", &self.auth_url)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

pub(super) fn check_webhook(webhook: &WebhookSettings) -> Check {
    within("notification.webhook.connect_timeout", webhook.connect_timeout, 1..=600)?;
    within("notification.webhook.timeout", webhook.timeout, 1..=600)?;
    check_text("notification.webhook.ca_file", webhook.ca_file.as_deref())?;
    match webhook.allowed_networks.iter().find(|text| network(text).is_none()) {
        None => Ok(()),
        Some(text) => {
            let expected = "networks such as 10.0.0.0/8 or fd00::/8, or single addresses";
            Err(fault("notification.webhook.allowed_networks", format!("{text:?}"), expected))
        }
    }
}

pub(super) fn check_mail(mail: &MailSettings) -> Check {
    within("notification.mail.timeout", mail.timeout, 1..=600)?;
    if mail.smtp_port == Some(0) {
        return Err(fault("notification.mail.smtp_port", 0, "an integer from 1 to 65535"));
    }
    for (key, text) in [
        ("notification.mail.smtp_host", &mail.smtp_host),
        ("notification.mail.smtp_ca_file", &mail.smtp_ca_file),
        ("notification.mail.smtp_user_name", &mail.smtp_user_name),
        ("notification.mail.smtp_user_password", &mail.smtp_user_password),
    ] {
        check_text(key, text.as_deref())?;
    }
    if mail.smtp_command.trim().is_empty() {
        return Err(fault("notification.mail.smtp_command", "blank", "a command"));
    }
    if mail.smtp_user_name.is_some() != mail.smtp_user_password.is_some() {
        let expected = "set together with notification.mail.smtp_user_password";
        return Err(fault("notification.mail.smtp_user_name", "alone", expected));
    }
    let templates = [
        (
            "notification.mail.subscription_confirmation_email_template.sender",
            &mail.subscription_confirmation_email_template.sender,
        ),
        (
            "notification.mail.unsubscribe_confirmation_email_template.sender",
            &mail.unsubscribe_confirmation_email_template.sender,
        ),
    ];
    for (key, sender) in templates.into_iter().chain([("notification.mail.sender", &mail.sender)]) {
        if sender.parse::<Mailbox>().is_err() {
            let expected = "an address such as \"Orders <orders@example.net>\"";
            return Err(fault(key, format!("{sender:?}"), expected));
        }
    }
    let key = "notification.mail.external_confirmation_url";
    check_url(key, mail.external_confirmation_url.as_deref(), "a host")
}

pub(super) fn check_trustee(trustee: &TrusteeSettings) -> Check {
    let key = "notification.trustee.auth_url";
    check_url(key, trustee.auth_url.as_deref(), "a host, no user")?;
    for (key, text) in [
        ("notification.trustee.username", &trustee.username),
        ("notification.trustee.password", &trustee.password),
        ("notification.trustee.user_domain_id", &trustee.user_domain_id),
        ("notification.trustee.user_domain_name", &trustee.user_domain_name),
    ] {
        check_text(key, text.as_deref())?;
    }
    if trustee.username.is_none() {
        return Ok(());
    }
    let domain = trustee.user_domain_id.as_ref().or(trustee.user_domain_name.as_ref());
    for (key, text) in [
        ("notification.trustee.password", trustee.password.as_ref()),
        ("notification.trustee.user_domain_name", domain),
    ] {
        if text.is_none() {
            return Err(fault(key, "unset", "a text where notification.trustee.username is set"));
        }
    }
    Ok(())
}

fn check_url(key: &'static str, url: Option<&str>, with: &str) -> Check {
    let Some(url) = url else { return Ok(()) };
    let fits = url.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|it| !it.as_str().contains('@') && !it.host().is_empty())
    });
    // It may hold a password, which is a reason to refuse it.
    if fits {
        Ok(())
    } else {
        Err(fault(key, "no such address", format!("http:// or https:// with {with}")))
    }
}

/// Whether connections to that host stay on this machine.
#[must_use]
pub fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::is_this_machine;

    fn refusal(toml: &str) -> String {
        Settings::parse("it", toml).expect_err(toml).to_string()
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (toml, expected) in [
            ("[notification.webhook]\ntimeout = 0", "notification.webhook.timeout is 0"),
            ("[notification.webhook]\nallowed_networks = [\"10.0.0.0/99\"]", "10.0.0.0/99"),
            ("[notification.mail]\nsmtp_mode = \"pigeon\"", "notification.mail.smtp_mode"),
            ("[notification.mail]\nsmtp_port = 0", "1 to 65535"),
            ("[notification.mail]\nsmtp_command = \" \"", "a command"),
            ("[notification.mail]\nsmtp_user_name = \"u\"", "smtp_user_password"),
            ("[notification.mail]\nsender = \"nobody\"", "notification.mail.sender is"),
            (
                "[notification.mail]\nexternal_confirmation_url = \"ftp://a\"",
                "external_confirmation_url",
            ),
            ("[notification.trustee]\nusername = \"u\"", "notification.trustee.password is unset"),
            (
                "[notification.trustee]\nusername = \"u\"\npassword = \"p\"",
                "notification.trustee.user_domain_name is unset",
            ),
            ("[notification.trustee]\nauth_url = \"http://u:sesame@a\"", "no user"),
        ] {
            let refusal = refusal(toml);
            assert!(refusal.contains(expected) && !refusal.contains("sesame"), "{refusal}");
        }
    }

    #[test]
    fn hosts_of_this_machine() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.8.0.1", "::1", "[::1]"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["", "localhost.example.net", "10.0.0.1", "mail"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
