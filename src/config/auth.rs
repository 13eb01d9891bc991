//! Who is believed to be who.

use std::fmt;
use std::path::PathBuf;

use hyper::Uri;
use serde::{Deserialize, Serialize};

use super::validate::{Check, check_text, fault, within};

/// How callers prove who they are.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AuthSettings {
    /// What is asked of a caller.
    pub strategy: AuthStrategy,
    /// Keystone.
    pub keystone: KeystoneSettings,
    /// Tokens of our own.
    pub tokens: TokenSettings,
}

/// What is asked of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthStrategy {
    /// Nothing: the headers are believed.
    Noauth,
    /// A token that Keystone knows.
    Keystone,
    /// A token from a file.
    Tokens,
}

/// Keystone. Names are those of `[keystone_authtoken]` where it has them.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeystoneSettings {
    /// Where Keystone answers us, with or without `/v3`.
    pub auth_url: Option<String>,
    /// Where clients are sent that have no token; `auth_url` if unset.
    pub www_authenticate_uri: Option<String>,
    /// The service user.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// The domain of the service user, by id.
    pub user_domain_id: Option<String>,
    /// The same by name.
    pub user_domain_name: Option<String>,
    /// The project in which the service user may validate tokens.
    pub project_name: Option<String>,
    /// The domain of that project, by id.
    pub project_domain_id: Option<String>,
    /// The same by name.
    pub project_domain_name: Option<String>,
    /// An application credential in place of user and password.
    pub application_credential_id: Option<String>,
    /// Its secret.
    pub application_credential_secret: Option<String>,
    /// A PEM file with the certificates of those who sign Keystone's.
    pub cafile: Option<String>,
    /// Whether any certificate will do.
    pub insecure: bool,
    /// Longest wait for a connection, in seconds.
    pub http_connect_timeout: u32,
    /// Longest wait for a validation, everything included, in seconds.
    pub http_request_timeout: u32,
    /// Most validations at a time.
    pub max_requests: usize,
    /// How long a valid token is believed without asking again, in seconds.
    pub token_cache_time: u32,
    /// How long a token that Keystone does not know is refused without asking
    /// again, in seconds.
    pub negative_cache_time: u32,
    /// Most valid tokens that are remembered, and as many unknown ones.
    pub token_cache_size: u64,
    /// Roles of which a service has one.
    pub service_token_roles: Vec<String>,
    /// Whether the token of a service without such a role is refused.
    pub service_token_roles_required: bool,
}

impl fmt::Debug for KeystoneSettings {
    /// Tells where Keystone is and who we are there, never how we prove it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeystoneSettings")
            .field("auth_url", &self.auth_url)
            .field("username", &self.username)
            .field("project_name", &self.project_name)
            .finish_non_exhaustive()
    }
}

/// Tokens of our own.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// The file with their hashes, which `nusku token` writes.
    pub file: Option<String>,
}

impl AuthSettings {
    /// The files whose changes are taken notice of.
    #[must_use]
    pub fn watched_files(&self) -> Vec<PathBuf> {
        let file = self.tokens.file.iter().map(PathBuf::from);
        file.filter(|_| self.strategy == AuthStrategy::Tokens).collect()
    }
}

pub(super) fn check(auth: &AuthSettings) -> Check {
    check_numbers(&auth.keystone)?;
    check_texts(&auth.keystone)?;
    check_text("auth.tokens.file", auth.tokens.file.as_deref())?;
    match auth.strategy {
        AuthStrategy::Noauth => Ok(()),
        AuthStrategy::Keystone => check_credentials(&auth.keystone),
        AuthStrategy::Tokens => needed("auth.tokens.file", &[&auth.tokens.file], "tokens"),
    }
}

fn check_numbers(keystone: &KeystoneSettings) -> Check {
    within("auth.keystone.http_connect_timeout", keystone.http_connect_timeout, 1..=600)?;
    within("auth.keystone.http_request_timeout", keystone.http_request_timeout, 1..=600)?;
    within("auth.keystone.max_requests", keystone.max_requests, 1..=1_000)?;
    within("auth.keystone.token_cache_time", keystone.token_cache_time, 0..=86_400)?;
    within("auth.keystone.negative_cache_time", keystone.negative_cache_time, 0..=3_600)?;
    within("auth.keystone.token_cache_size", keystone.token_cache_size, 1..=10_000_000)
}

fn check_texts(keystone: &KeystoneSettings) -> Check {
    check_url("auth.keystone.auth_url", keystone.auth_url.as_deref())?;
    check_url("auth.keystone.www_authenticate_uri", keystone.www_authenticate_uri.as_deref())?;
    for (key, text) in [
        ("auth.keystone.username", &keystone.username),
        ("auth.keystone.password", &keystone.password),
        ("auth.keystone.user_domain_id", &keystone.user_domain_id),
        ("auth.keystone.user_domain_name", &keystone.user_domain_name),
        ("auth.keystone.project_name", &keystone.project_name),
        ("auth.keystone.project_domain_id", &keystone.project_domain_id),
        ("auth.keystone.project_domain_name", &keystone.project_domain_name),
        ("auth.keystone.application_credential_id", &keystone.application_credential_id),
        ("auth.keystone.application_credential_secret", &keystone.application_credential_secret),
        ("auth.keystone.cafile", &keystone.cafile),
    ] {
        check_text(key, text.as_deref())?;
    }
    if keystone.service_token_roles.iter().any(|role| role.trim().is_empty()) {
        let key = "auth.keystone.service_token_roles";
        return Err(fault(key, "a list with an empty role", "a list of roles"));
    }
    Ok(())
}

/// An address without user, query and whatever would break out of a header.
fn check_url(key: &'static str, url: Option<&str>) -> Check {
    let Some(url) = url else { return Ok(()) };
    let fits = url.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|it| !it.as_str().contains('@') && !it.host().is_empty())
            && uri.query().is_none()
            && !url.contains(['"', '#', '\\'])
            && !uri.path().trim_end_matches('/').ends_with("/v2.0")
    });
    if fits {
        return Ok(());
    }
    // It may hold a password, which is a reason to refuse it.
    let expected = "http:// or https:// with a host, a path if need be, no user and no query; \
        Keystone's v3, not v2.0";
    Err(fault(key, "no such address", expected))
}

fn check_credentials(keystone: &KeystoneSettings) -> Check {
    const STRATEGY: &str = "keystone";
    needed("auth.keystone.auth_url", &[&keystone.auth_url], STRATEGY)?;
    if keystone.application_credential_id.is_some() {
        let key = "auth.keystone.application_credential_secret";
        return needed(key, &[&keystone.application_credential_secret], STRATEGY);
    }
    needed("auth.keystone.username", &[&keystone.username], STRATEGY)?;
    needed("auth.keystone.password", &[&keystone.password], STRATEGY)?;
    let domain = [&keystone.user_domain_name, &keystone.user_domain_id];
    needed("auth.keystone.user_domain_name", &domain, STRATEGY)?;
    needed("auth.keystone.project_name", &[&keystone.project_name], STRATEGY)?;
    let domain = [&keystone.project_domain_name, &keystone.project_domain_id];
    needed("auth.keystone.project_domain_name", &domain, STRATEGY)
}

/// One of the settings must be there; `key` is the one to name.
fn needed(key: &'static str, settings: &[&Option<String>], strategy: &str) -> Check {
    if settings.iter().any(|setting| setting.is_some()) {
        return Ok(());
    }
    let other = if settings.len() > 1 { ", or the same by id" } else { "" };
    Err(fault(key, "unset", format!("a text for auth.strategy = \"{strategy}\"{other}")))
}
