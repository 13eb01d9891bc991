//! Who is calling: what the authentication found out, or, without one, what the
//! headers say.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest};

use super::error::ApiError;
use crate::model::{Identity, ProjectId, Secret, ServiceIdentity};

/// Shows that the request lies within a pre-signed URL. One that has it, with
/// whatever value, is not authenticated: the signature speaks for it or nothing
/// does.
pub const SIGNATURE: HeaderName = HeaderName::from_static("url-signature");

/// What is said of a project without a name.
pub const EMPTY_PROJECT: &str =
    "X-PROJECT-ID cannot be an empty string. Specify the right header X-PROJECT-ID and retry.";

/// Where the project may stand. The first header that is there counts.
const PROJECT: [HeaderName; 3] = [
    HeaderName::from_static("x-project-id"),
    HeaderName::from_static("x-tenant-id"),
    HeaderName::from_static("x-tenant"),
];

/// The caller, as far as the server knows it. A signed request is made by nobody
/// in particular: only the project was signed, and headers prove nothing.
pub fn identity(request: &HttpRequest) -> Arc<Identity> {
    if request.headers().contains_key(SIGNATURE) {
        return Arc::new(
            project(request).map_or_else(|_| Identity::default(), Identity::of_project),
        );
    }
    authenticated(request).unwrap_or_else(|| Arc::new(of_headers(request.headers())))
}

/// What the authentication found out, if there was one.
fn authenticated(request: &HttpRequest) -> Option<Arc<Identity>> {
    request.extensions().get::<Arc<Identity>>().cloned()
}

/// The caller's token, if the server can show it to others in the caller's name.
pub fn token(request: &HttpRequest) -> Option<Secret> {
    request.extensions().get::<Secret>().cloned()
}

/// The project that the caller acts for.
///
/// # Errors
///
/// If there is none, and if what the header has cannot be one.
pub fn project(request: &HttpRequest) -> Result<ProjectId, ApiError> {
    let missing =
        || ApiError::bad_request("Project-Id Missing", "The header X-PROJECT-ID was missing");
    let headers = request.headers();
    if !headers.contains_key(SIGNATURE)
        && let Some(identity) = request.extensions().get::<Arc<Identity>>()
    {
        return identity.project_id.clone().ok_or_else(missing);
    }
    let value = PROJECT.iter().find_map(|name| headers.get(name)).ok_or_else(missing)?;
    // Never replace what cannot be read: two projects would become one.
    let Ok(text) = std::str::from_utf8(value.as_bytes()) else {
        return Err(ApiError::bad_request(
            "Invalid header value",
            Cow::Borrowed("The header X-PROJECT-ID is not UTF-8."),
        ));
    };
    if text.trim().is_empty() {
        return Err(ApiError::bad_request("Empty project header not allowed", EMPTY_PROJECT));
    }
    Ok(ProjectId::new(text))
}

/// The project of the request, for the log.
pub fn project_for_log(request: &HttpRequest) -> Option<Cow<'_, str>> {
    if let Some(identity) = authenticated(request) {
        return identity.project_id.as_ref().map(|id| Cow::Owned(id.as_str().to_owned()));
    }
    let headers = request.headers();
    let value = PROJECT.iter().find_map(|name| headers.get(name))?;
    value.to_str().ok().map(Cow::Borrowed)
}

/// What the headers say, which a proxy has to vouch for. Names are those that
/// Keystone's middleware gives them.
pub fn of_headers(headers: &HeaderMap) -> Identity {
    let get = |name: &str| headers.get(name).and_then(text).map(str::to_owned);
    let first = |names: &[&str]| names.iter().find_map(|name| get(name));
    Identity {
        project_id: PROJECT
            .iter()
            .find_map(|name| headers.get(name))
            .and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
            .map(ProjectId::new),
        project_name: get("x-project-name"),
        project_domain_id: get("x-project-domain-id"),
        project_domain_name: get("x-project-domain-name"),
        user_id: first(&["x-user-id", "x-user"]),
        user_name: get("x-user-name"),
        user_domain_id: get("x-user-domain-id"),
        user_domain_name: get("x-user-domain-name"),
        domain_id: get("x-domain-id"),
        domain_name: get("x-domain-name"),
        system_scope: get("openstack-system-scope"),
        roles: roles(headers, &["x-roles", "x-role"]),
        is_admin_project: get("x-is-admin-project")
            .is_none_or(|text| text.eq_ignore_ascii_case("true")),
        service: service(headers, get),
    }
}

fn service(headers: &HeaderMap, get: impl Fn(&str) -> Option<String>) -> Option<ServiceIdentity> {
    let service = ServiceIdentity {
        user_id: get("x-service-user-id"),
        user_name: get("x-service-user-name"),
        user_domain_id: get("x-service-user-domain-id"),
        user_domain_name: get("x-service-user-domain-name"),
        project_id: get("x-service-project-id"),
        project_name: get("x-service-project-name"),
        project_domain_id: get("x-service-project-domain-id"),
        project_domain_name: get("x-service-project-domain-name"),
        roles: roles(headers, &["x-service-roles"]),
    };
    (service != ServiceIdentity::default()).then_some(service)
}

/// The roles in the first of these headers that is there.
fn roles(headers: &HeaderMap, names: &[&str]) -> Vec<String> {
    let Some(name) = names.iter().find(|name| headers.contains_key(**name)) else {
        return Vec::new();
    };
    let lists = headers.get_all(*name).filter_map(text);
    let roles = lists.flat_map(|list| list.split(',')).map(str::trim);
    roles.filter(|role| !role.is_empty()).map(str::to_owned).collect()
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::identity;

    #[test]
    fn headers_tell_who_is_calling() {
        let request = TestRequest::default()
            .insert_header(("X-Tenant", "acme"))
            .insert_header(("X-User", "u1"))
            .insert_header(("X-Roles", "Member, reader,"))
            .insert_header(("X-Role", "admin"))
            .insert_header(("X-Service-Roles", "service"))
            .to_http_request();
        let identity = identity(&request);
        assert_eq!(identity.project_id.as_ref().unwrap().as_str(), "acme");
        assert_eq!(identity.user_id.as_deref(), Some("u1"));
        assert_eq!(identity.roles, ["Member", "reader"]);
        assert!(identity.is_admin_project && identity.has_role("MEMBER"));
        assert_eq!(identity.service.as_ref().unwrap().roles, ["service"]);
    }

    #[test]
    fn a_signature_makes_nobody_of_the_caller() {
        let request = TestRequest::default()
            .insert_header(("URL-Signature", ""))
            .insert_header(("X-Project-ID", "acme"))
            .insert_header(("X-Roles", "admin"))
            .to_http_request();
        let identity = identity(&request);
        assert_eq!(identity.project_id.as_ref().unwrap().as_str(), "acme");
        assert!(identity.roles.is_empty());
    }
}
