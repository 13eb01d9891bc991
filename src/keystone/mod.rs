//! What we ask of Keystone as ourselves: tokens of our own.
//!
//! Who else is calling is asked by the authentication, trusts are made and used by the
//! channel for them; both do it with a [`Session`].

mod session;
pub mod token;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::{KeystoneSettings, TrusteeSettings};
use crate::http_client::{ClientError, HttpClient, Trust};

pub use session::{OwnToken, Session};

/// A client for that Keystone.
///
/// # Errors
///
/// If the certificates in `cafile` cannot be read.
pub fn client(settings: &KeystoneSettings) -> Result<HttpClient, ClientError> {
    let trust = match &settings.cafile {
        _ if settings.insecure => Trust::Anybody,
        Some(path) => Trust::File(Path::new(path)),
        None => Trust::WebRoots,
    };
    HttpClient::new(trust, Duration::from_secs(settings.http_connect_timeout.into()))
}

/// The root of the API v3, whatever of it `auth_url` names.
#[must_use]
pub fn base(auth_url: &str) -> String {
    let url = auth_url.trim_end_matches('/');
    if url.ends_with("/v3") { url.to_owned() } else { format!("{url}/v3") }
}

/// What proves to Keystone that we are the service user, in its project.
#[must_use]
pub fn service_user(settings: &KeystoneSettings) -> Value {
    if let Some(id) = &settings.application_credential_id {
        let secret = &settings.application_credential_secret;
        return json!({"auth": {"identity": {
            "methods": ["application_credential"],
            "application_credential": {"id": id, "secret": secret},
        }}});
    }
    let user = json!({
        "name": settings.username,
        "domain": domain(settings.user_domain_id.as_ref(), settings.user_domain_name.as_ref()),
        "password": settings.password,
    });
    let project = json!({
        "name": settings.project_name,
        "domain":
            domain(settings.project_domain_id.as_ref(), settings.project_domain_name.as_ref()),
    });
    json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": project},
    }})
}

/// What proves that we are the trustee: to act by this trust, or, without one, as
/// nobody but itself.
#[must_use]
pub fn trustee(settings: &TrusteeSettings, trust_id: Option<&str>) -> Value {
    let user = json!({
        "name": settings.username,
        "domain": domain(settings.user_domain_id.as_ref(), settings.user_domain_name.as_ref()),
        "password": settings.password,
    });
    let scope = match trust_id {
        Some(id) => json!({"OS-TRUST:trust": {"id": id}}),
        None => json!("unscoped"),
    };
    json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": scope,
    }})
}

fn domain(id: Option<&String>, name: Option<&String>) -> Value {
    match (id, name) {
        (Some(id), _) => json!({"id": id}),
        (None, name) => json!({"name": name}),
    }
}

#[cfg(test)]
mod tests {
    use super::base;

    #[test]
    fn an_address_may_have_the_version_or_not() {
        for url in ["http://id:5000", "http://id:5000/", "http://id:5000/v3", "http://id:5000/v3/"]
        {
            assert_eq!(base(url), "http://id:5000/v3");
        }
        assert_eq!(base("https://id/identity"), "https://id/identity/v3");
    }
}
