//! Who is on the other end of a connection.

use std::sync::Arc;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::hub::Hub;
use super::reply::{Reply, invalid};
use super::request::Request;
use crate::model::{Identity, ProjectId, Secret, Timestamp};
use crate::service::{Caller, SignedUrl};
use crate::transport::auth::{AuthError, Authenticator, Presented, Vouched, signed_url};
use crate::transport::http::identity;

/// Who may not ask at all; the spelling is Zaqar's.
const NOT_AUTHENTIFIED: &str = "Not authentified.";

/// Who has proved to be who, on one connection.
#[derive(Default)]
pub(super) struct Session {
    known: Option<Known>,
}

struct Known {
    identity: Arc<Identity>,
    expires: Option<Timestamp>,
    token: Secret,
}

/// What is to be done with a request.
pub(super) enum Admitted {
    /// It may be looked at.
    Yes(Caller, ProjectId),
    /// It is answered with this.
    No(Reply),
    /// Who made it is nobody any more.
    Expired,
}

impl Session {
    /// When the caller's proof ends, if it does.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        self.known.as_ref().and_then(|known| known.expires)
    }

    /// Looks at the proof in a request to authenticate. A bad one leaves the last
    /// good one in force.
    pub(super) async fn authenticate(&mut self, hub: &Hub, request: &Request) -> Reply {
        let done = Reply::of(200, json!({"message": "Authentified."}));
        let Some(authenticator) = &hub.authenticator else { return done };
        let token = text(&request.headers, "X-Auth-Token").unwrap_or_default();
        match vouch(authenticator, token).await {
            Ok(Vouched { identity, expires }) => {
                self.known = Some(Known { identity, expires, token: Secret::new(token) });
                done
            }
            Err(AuthError::Unauthorized) => Reply::error(401, "Authentication failed."),
            Err(AuthError::Unavailable(reason)) => {
                let sentence =
                    "The token could not be validated. Please try again in a few seconds.";
                Reply { reason: Some(reason.to_string()), ..Reply::error(503, sentence) }
            }
        }
    }

    /// Who makes a request, and for which project.
    pub(super) async fn admit(&mut self, hub: &Hub, request: &Request) -> Admitted {
        let project = match project(&request.headers) {
            Ok(project) => project,
            Err(reply) => return Admitted::No(reply),
        };
        let Some(authenticator) = &hub.authenticator else {
            let identity = believed(&request.headers, &project);
            return Admitted::Yes(Caller { identity, token: None }, project);
        };
        if self.known.is_none() {
            return lent(hub, request, project);
        }
        if !self.is_still_known(authenticator).await {
            return Admitted::Expired;
        }
        let Some(known) = &self.known else { return Admitted::Expired };
        if known.identity.project_id.as_ref() != Some(&project) {
            return Admitted::No(Reply::error(403, "Not authenticated."));
        }
        let token = authenticator.vouches_elsewhere().then(|| known.token.clone());
        Admitted::Yes(Caller { identity: Arc::clone(&known.identity), token }, project)
    }

    /// Asks again about the proof, which is a look into a memory most of the time:
    /// what was revoked is good for no longer than with REST. While nobody can tell,
    /// what was good stays good until it ends.
    async fn is_still_known(&mut self, authenticator: &Authenticator) -> bool {
        let Some(known) = &mut self.known else { return false };
        match vouch(authenticator, known.token.reveal()).await {
            Ok(vouched) => {
                known.identity = vouched.identity;
                true
            }
            Err(AuthError::Unavailable(_)) => true,
            Err(AuthError::Unauthorized) => false,
        }
    }
}

async fn vouch(authenticator: &Authenticator, token: &str) -> Result<Vouched, AuthError> {
    let shown = Presented { token: Some(token), ..Presented::default() };
    authenticator.vouch(&shown).await
}

/// A request of somebody who shows a pre-signed URL: allowed as far as that goes.
fn lent(hub: &Hub, request: &Request, project: ProjectId) -> Admitted {
    let shown = || {
        let headers = &request.headers;
        let url = SignedUrl {
            paths: texts(headers, "URL-Paths")?,
            methods: texts(headers, "URL-Methods")?,
            expires: text(headers, "URL-Expires")?.to_owned(),
            signature: text(headers, "URL-Signature")?.to_owned(),
        };
        let method = request.action.method()?;
        let queue = request.fields.get("queue_name").and_then(Value::as_str)?;
        // Zaqar does not look at the path, so that one queue is the key to all.
        let path = format!("/v2/queues/{queue}/messages");
        Some(signed_url::allows(&hub.service, &project, &url, method, &path))
    };
    if shown() != Some(true) {
        return Admitted::No(Reply::error(403, NOT_AUTHENTIFIED));
    }
    let identity = Arc::new(Identity::of_project(project.clone()));
    Admitted::Yes(Caller { identity, token: None }, project)
}

fn project(headers: &Map<String, Value>) -> Result<ProjectId, Reply> {
    match text(headers, "X-Project-ID") {
        Some(text) if !text.trim().is_empty() => Ok(ProjectId::new(text)),
        _ => Err(invalid(identity::EMPTY_PROJECT)),
    }
}

/// The caller as the headers describe it, by the names that REST knows.
fn believed(headers: &Map<String, Value>, project: &ProjectId) -> Arc<Identity> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::try_from(name.as_str());
        let value = value.as_str().map(|text| HeaderValue::from_bytes(text.as_bytes()));
        if let (Ok(name), Some(Ok(value))) = (name, value) {
            map.insert(name, value);
        }
    }
    Arc::new(Identity { project_id: Some(project.clone()), ..identity::of_headers(&map) })
}

fn text<'a>(headers: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(Value::as_str)
}

fn texts(headers: &Map<String, Value>, name: &str) -> Option<Vec<String>> {
    let items = headers.get(name)?.as_array()?;
    items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}
