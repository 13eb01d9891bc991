//! What Keystone says about a token.

use chrono::DateTime;
use serde::Deserialize;

use crate::model::{Identity, ProjectId, ServiceIdentity, Timestamp};

/// A token that Keystone vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Whose it is.
    pub identity: Identity,
    /// When it ends.
    pub expires: Timestamp,
}

#[derive(Deserialize)]
struct Answer {
    token: Document,
}

#[derive(Deserialize)]
struct Document {
    expires_at: String,
    user: Named,
    project: Option<Named>,
    domain: Option<Domain>,
    system: Option<System>,
    #[serde(default)]
    roles: Vec<Role>,
    /// Missing where Keystone has no such project: then each is as good.
    #[serde(default = "yes")]
    is_admin_project: bool,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    name: Option<String>,
    domain: Option<Domain>,
}

#[derive(Deserialize)]
struct Domain {
    id: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct System {
    #[serde(default)]
    all: bool,
}

#[derive(Deserialize)]
struct Role {
    name: String,
}

fn yes() -> bool {
    true
}

impl Token {
    /// Reads the answer to a validation; `None` if it is something else.
    pub fn parse(answer: &[u8]) -> Option<Self> {
        let Document { expires_at, user, project, domain, system, roles, is_admin_project } =
            serde_json::from_slice::<Answer>(answer).ok()?.token;
        let (user_id, user_name, user_domain) = user.split();
        let (project_id, project_name, project_domain) =
            project.map_or_else(Default::default, Named::split);
        let domain = domain.unwrap_or(Domain::NONE);
        let identity = Identity {
            project_id: project_id.as_deref().map(ProjectId::new),
            project_name,
            user_id,
            user_name,
            user_domain_id: user_domain.id,
            user_domain_name: user_domain.name,
            project_domain_id: project_domain.id,
            project_domain_name: project_domain.name,
            domain_id: domain.id,
            domain_name: domain.name,
            system_scope: system.filter(|system| system.all).map(|_| "all".to_owned()),
            roles: roles.into_iter().map(|role| role.name).collect(),
            is_admin_project,
            service: None,
        };
        Some(Self { identity, expires: moment(&expires_at)? })
    }
}

impl Named {
    fn split(self) -> (Option<String>, Option<String>, Domain) {
        (Some(self.id), self.name, self.domain.unwrap_or(Domain::NONE))
    }
}

impl Domain {
    const NONE: Self = Self { id: None, name: None };
}

impl Default for Domain {
    fn default() -> Self {
        Self::NONE
    }
}

/// The end of a token, as Keystone writes it; a fraction of a second is cut off.
pub fn moment(text: &str) -> Option<Timestamp> {
    let moment = DateTime::parse_from_rfc3339(text).ok()?;
    Some(Timestamp::from_seconds(moment.timestamp()))
}

/// The same caller in the role of the service that speaks for another.
pub fn as_service(identity: &Identity) -> ServiceIdentity {
    ServiceIdentity {
        user_id: identity.user_id.clone(),
        user_name: identity.user_name.clone(),
        user_domain_id: identity.user_domain_id.clone(),
        user_domain_name: identity.user_domain_name.clone(),
        project_id: identity.project_id.as_ref().map(|project| project.as_str().to_owned()),
        project_name: identity.project_name.clone(),
        project_domain_id: identity.project_domain_id.clone(),
        project_domain_name: identity.project_domain_name.clone(),
        roles: identity.roles.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(token: &Value) -> Option<Token> {
        Token::parse(json!({ "token": token }).to_string().as_bytes())
    }

    fn user() -> Value {
        json!({"id": "u1", "name": "ann", "domain": {"id": "default", "name": "Default"}})
    }

    #[test]
    fn a_project_scope() {
        let token = parse(&json!({
            "methods": ["password"], "expires_at": "2027-06-26T01:51:46.999999Z",
            "audit_ids": ["x"], "user": user(), "is_domain": false,
            "project": {"id": "p1", "name": "acme", "domain": {"id": "d1", "name": "Corp"}},
            "roles": [{"id": "1", "name": "member"}, {"id": "2", "name": "reader"}],
        }));
        let Token { identity, expires } = token.unwrap();
        assert_eq!(expires, Timestamp::from_seconds(1_813_974_706));
        assert_eq!(identity.project_id, Some(ProjectId::new("p1")));
        assert_eq!(identity.project_name.as_deref(), Some("acme"));
        assert_eq!(identity.project_domain_name.as_deref(), Some("Corp"));
        assert_eq!(identity.user_id.as_deref(), Some("u1"));
        assert_eq!(identity.user_domain_id.as_deref(), Some("default"));
        assert_eq!(identity.roles, ["member", "reader"]);
        assert_eq!((identity.system_scope, identity.domain_id), (None, None));
        assert!(identity.is_admin_project, "where there is no such project");
        assert_eq!(identity.service, None);
    }

    #[test]
    fn scopes_without_a_project() {
        let expires = "2027-06-26T01:51:46Z";
        let system =
            parse(&json!({"expires_at": expires, "user": user(), "system": {"all": true}}));
        let identity = system.unwrap().identity;
        assert_eq!((identity.system_scope.as_deref(), identity.project_id), (Some("all"), None));
        let domain = parse(&json!({
            "expires_at": expires, "user": user(), "domain": {"id": "d1", "name": "Corp"},
            "is_admin_project": false,
        }));
        let identity = domain.unwrap().identity;
        assert_eq!((identity.domain_id.as_deref(), identity.project_id), (Some("d1"), None));
        assert!(!identity.is_admin_project);
    }

    #[test]
    fn anything_else_vouches_for_nobody() {
        for answer in ["", "{}", "[]", "<html>", r#"{"token": {}}"#, r#"{"token": null}"#] {
            assert_eq!(Token::parse(answer.as_bytes()), None, "{answer}");
        }
        assert_eq!(parse(&json!({"expires_at": "tomorrow", "user": user()})), None);
        assert_eq!(parse(&json!({"expires_at": "2027-06-26T01:51:46Z"})), None);
    }
}
