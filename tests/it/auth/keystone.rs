//! The token says who is calling, and nothing else does.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;

use super::fake::FakeKeystone;
use super::{app, app_with, list, queues, unauthorized, unavailable, with_token};
use crate::support::{CLIENT, Request};

#[test]
fn a_stranger_gets_the_answer_of_keystones_middleware_wherever_it_knocks() {
    let keystone = FakeKeystone::start();
    let app = app(&keystone);
    for (method, path) in [
        ("GET", "/v2/queues"),
        ("GET", "/v2/"),
        ("GET", "/v2"),
        ("GET", "/v2/ping"),
        ("HEAD", "/v2/ping"),
        ("GET", "/v2/health"),
        ("GET", "/nowhere"),
        ("GET", "//"),
        ("GET", "/%2F"),
        ("PUT", "/v2/queues/q"),
        ("DELETE", "/v2/queues"),
    ] {
        // Without Client-ID and with a body that nobody could read: 401 before 400.
        let stranger = || Request::new(app.address(), method, path).body("{");
        if method == "HEAD" {
            stranger().expect(401);
            continue;
        }
        let answer = unauthorized(stranger());
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge, Some("Keystone uri=\"https://id.example.net/v3\""), "{path}");
        unauthorized(stranger().header("X-Auth-Token", "unknown"));
    }
    // As Zaqar's CORS layer has it: browsers ask before they show a token.
    Request::new(app.address(), "OPTIONS", "/v2/queues").expect(200);
    Request::new(app.address(), "GET", "/").expect(300);
    assert_eq!(keystone.validations(), 1, "the same unknown token all the time");
}

#[test]
fn tokens_that_cannot_be_any_are_not_asked_about() {
    let keystone = FakeKeystone::start();
    let app = app(&keystone);
    for token in ["", "é", "\u{1}", &"x".repeat(8193)] {
        let answer = list(&app, token).expect_any();
        assert!([400, 401].contains(&answer.status), "{token:.10}: {}", answer.status);
    }
    // OAuth's header is for tokens of our own.
    keystone.know_member("t", "p1");
    unauthorized(list(&app, "").without("X-Auth-Token").header("Authorization", "Bearer t"));
    assert_eq!(keystone.validations(), 0);
}

#[test]
fn headers_do_not_say_who_is_calling() {
    let keystone = FakeKeystone::start();
    let app = app(&keystone);
    keystone.know_member("one", "p1");
    keystone.know_member("two", "p2");
    for name in ["X-Project-ID", "X-Tenant-ID", "X-Tenant"] {
        let request = with_token(&app, "PUT", "/v2/queues/of-one", "one").header(name, "p2");
        request.body("{}").expect_any();
    }
    assert_eq!((queues(&app, "one").len(), queues(&app, "two").len()), (1, 0));

    let mut health = with_token(&app, "GET", "/v2/health", "one");
    for (name, value) in [
        ("X-Roles", "admin"),
        ("X-Role", "admin"),
        ("X-Is-Admin-Project", "True"),
        ("X-Identity-Status", "Confirmed"),
        ("X-User-Id", "root"),
        ("X-Service-Roles", "admin"),
        ("X-Service-Identity-Status", "Confirmed"),
    ] {
        health = health.header(name, value);
    }
    health.expect(403);
    let project = json!({"id": "p1", "name": "p1"});
    keystone.know("boss", &json!({"project": project, "roles": [{"name": "Admin"}]}));
    with_token(&app, "GET", "/v2/health", "boss").header("X-Roles", "member").expect(200);
}

#[test]
fn headers_that_once_went_round_authentication_lead_nowhere() {
    let keystone = FakeKeystone::start();
    let app = app(&keystone);
    let stranger = |path| {
        Request::new(app.address(), "GET", path)
            .header("Client-ID", CLIENT)
            .header("X-Project-ID", "p1")
            .header("X-Roles", "admin")
    };
    for path in ["/v2/queues", "/v2/health"] {
        unauthorized(stranger(path).header("Extra-Spec", ""));
        unauthorized(stranger(path).header("Extra-Spec", "messagecode:x"));
        for signature in ["", "0", &"0".repeat(64)] {
            let answer = stranger(path).header("URL-Signature", signature).expect(404);
            assert_eq!(answer.json(), json!({"title": "404 Not Found"}));
        }
    }
    unauthorized(stranger("/v2/queues").header("X-Auth-Token", "unknown"));
}

#[test]
fn who_speaks_for_no_project_has_no_queues() {
    let keystone = FakeKeystone::start();
    let app = app(&keystone);
    keystone.know("system", &json!({"system": {"all": true}, "roles": [{"name": "admin"}]}));
    keystone.know("domain", &json!({"domain": {"id": "d1", "name": "Corp"}}));
    for token in ["system", "domain"] {
        list(&app, token).header("X-Project-ID", "p1").refused(
            400,
            "Project-Id Missing",
            "The header X-PROJECT-ID was missing",
        );
    }
}

#[test]
fn the_log_has_the_project_of_the_token() {
    use crate::cli::program::{Server, nusku};

    let keystone = FakeKeystone::start();
    // The program goes by the real time, before which this has not ended.
    let project = json!({"id": "p-of-token", "name": "x"});
    let later = json!({"project": project, "expires_at": "2100-01-01T00:00:00Z"});
    keystone.know("t", &later);
    keystone.state().own_life = u32::MAX;
    let data = tempfile::tempdir().unwrap();
    let storage = crate::cli::program::storage(data.path());
    let server = Server::spawn(
        nusku(&["serve", "--port", "0", "--storage", &storage, "--log-level", "debug"])
            .env("NUSKU_AUTH__STRATEGY", "keystone")
            .env("NUSKU_AUTH__KEYSTONE__AUTH_URL", keystone.url())
            .env("NUSKU_AUTH__KEYSTONE__APPLICATION_CREDENTIAL_ID", "c1")
            .env("NUSKU_AUTH__KEYSTONE__APPLICATION_CREDENTIAL_SECRET", super::PASSWORD),
    );
    let request = |token| {
        Request::new(server.address, "GET", "/v2/queues")
            .header("Client-ID", CLIENT)
            .header("X-Project-ID", "p-of-header")
            .header("X-Auth-Token", token)
    };
    request("t").expect(200);
    unauthorized(request("secret-but-wrong"));
    unauthorized(request("t").header("X-Auth-Token", "").header("X-Service-Token", "t"));
    request("t").header("URL-Signature", "0").expect(404);
    let credentials = keystone.state().credentials.clone();
    assert_eq!(credentials["auth"]["identity"]["application_credential"]["id"], "c1");
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("p-of-token"), "{log}");
    for secret in ["p-of-header", "secret-but-wrong", super::PASSWORD, "own-1"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[test]
fn a_redirect_is_no_place_for_a_password() {
    let (keystone, thief) = (FakeKeystone::start(), FakeKeystone::start());
    let app = app(&keystone);
    thief.know_member("t", "p1");
    {
        let mut state = keystone.state();
        state.status = Some(307);
        state.location = format!("{}/v3/auth/tokens?nocatalog", thief.url());
    }
    unavailable(list(&app, "t"));
    assert_eq!(thief.state().authentications, 0);
    assert_eq!(thief.validations(), 0);
}

#[test]
fn keystone_must_be_who_it_says() {
    let pem =
        |name: &str| format!("{}/tests/it/mongodb_start/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let chain = CertificateDer::pem_file_iter(pem("server.pem")).unwrap().map(Result::unwrap);
    let key = PrivateKeyDer::from_pem_file(pem("server.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.collect(), key)
        .unwrap();
    let keystone = FakeKeystone::start_with(Some(Arc::new(config)));
    keystone.know_member("t", "p1");
    list(&app_with(&keystone, |own| own.cafile = Some(pem("ca.pem"))), "t").expect(200);
    list(&app_with(&keystone, |own| own.insecure = true), "t").expect(200);
    let trusted = keystone.state().authentications;
    unavailable(list(&app_with(&keystone, |own| own.cafile = Some(pem("stranger.pem"))), "t"));
    unavailable(list(&app(&keystone), "t"));
    assert_eq!(keystone.state().authentications, trusted, "no password for a stranger");
}
