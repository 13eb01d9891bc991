//! Projects cannot see, change, count or guess anything of each other, whatever
//! they are called and wherever their messages are.
//!
//! Two projects live the same life side by side on one server, each trying all
//! it has seen of the other, and each must be told what a project is told that
//! has a server to itself.

mod life;

use std::path::Path;

use nusku::config::{AuthStrategy, MongodbSettings, Settings};
use nusku::storage::Storage;
use nusku::storage::mongodb::MongodbDriver;
use serde_json::{Value, json};

use crate::auth::fake::FakeKeystone;
use crate::auth::point;
use crate::cli::program::{run, stdout};
use crate::support::mongod::{Databases, shared};
use crate::support::{Request, TestApp};
use life::{Identify, Life, STEPS};

/// Two names that something might take for one, or the one for a pattern of the
/// other. No name comes twice: all pairs live on one server, one after the other.
fn pairs() -> Vec<(String, String)> {
    let pairs = [
        ("a/b", "a"),
        ("b/c/jobs", "b/c"),
        (".*", "anything"),
        ("a.", "ab"),
        ("^a$", "a$"),
        ("(a|b)+", "[ab]"),
        ("..", "."),
        ("../a", "./a"),
        ("Blue", "blue"),
        ("caf\u{e9}", "cafe\u{301}"),
        ("\u{212b}", "\u{c5}"),
        ("%", "_"),
        ("' OR '1'='1", "'"),
        ("$ne", "{\"$ne\": 1}"),
        ("a\\", "a\\\\"),
        ("None", "null"),
        ("p_q", "p"),
        ("in  between", "in between"),
    ];
    let mut pairs: Vec<_> =
        pairs.into_iter().map(|(one, other)| (one.to_owned(), other.to_owned())).collect();
    let long = "\u{e4}".repeat(255);
    pairs.push((format!("{long}x"), format!("{long}y")));
    pairs
}

/// The steps after which each tries what it has seen of the other: with messages
/// that are free, claimed, and half of them deleted, with a signed URL, with a topic, at
/// the end.
const INTRUSIONS: [usize; 6] = [1, 4, 6, 8, 11, 12];

/// What the servers here have in common.
fn settings(settings: &mut Settings) {
    settings.admin_mode = true;
    settings.signed_url.secret_key = Some("blue-lantern".to_owned());
}

async fn on_mongodb(databases: &Databases) -> Storage {
    let defaults = Settings::defaults().unwrap().storage.mongodb;
    let settings = MongodbSettings { database: databases.prefix.clone(), ..defaults };
    let driver = MongodbDriver::open(&databases.uri, &settings).await.unwrap();
    Storage { control: driver.clone(), data: driver }
}

/// By the header, as without authentication.
fn by_header(name: &str) -> Identify<'_> {
    Box::new(move |request: Request| request.header("X-Project-ID", name))
}

/// What a project sees that is alone.
fn alone(app: &TestApp) -> Vec<String> {
    let mut life = Life::new(app, "lonely", by_header("lonely"));
    (0..STEPS).for_each(|step| life.step(step));
    assert!(life.seen.len() > 40);
    life.seen
}

/// Lets two projects live side by side.
fn together<'a>(
    app: &'a TestApp,
    (one, other): (&'a str, &'a str),
    identify: impl Fn(&'a str) -> Identify<'a>,
    expected: &[String],
) {
    let mut lives = [one, other].map(|name| Life::new(app, name, identify(name)));
    for step in 0..STEPS {
        for life in &mut lives {
            life.step(step);
        }
        let tries = if INTRUSIONS.contains(&step) { 2 } else { 0 };
        for (victim, intruder, name) in [(0, 1, other), (1, 0, one)].into_iter().take(tries) {
            intrude(app, &lives[victim], &lives[intruder], name);
        }
    }
    for (life, name) in lives.iter().zip([one, other]) {
        for (seen, expected) in life.seen.iter().zip(expected) {
            assert_eq!(seen, expected, "{name:?} beside {one:?} and {other:?}");
        }
        assert_eq!(life.seen.len(), expected.len());
    }
}

/// Uses everything that `victim` was told, in the name of `intruder`: it must be
/// told what it is told about ids that nobody has.
fn intrude(app: &TestApp, victim: &Life, intruder: &Life, name: &str) {
    let nobodys = "6c1f".repeat(6);
    let ttl = json!({ "ttl": 500, "grace": 60 });
    let claims: [(&str, Option<&Value>); 3] =
        [("GET", None), ("PATCH", Some(&ttl)), ("DELETE", None)];
    let tell = |method: &str, path: &str, id: &str, body: Option<&Value>| {
        let answer = intruder.request(method, &path.replace("ID", id), body).expect_any();
        (answer.status, answer.text().replace(id, "ID"))
    };
    let compare = |method: &str, path: &str, id: &str, body: Option<&Value>| {
        let told = tell(method, path, id, body);
        assert_eq!(told, tell(method, path, &nobodys, body), "{name:?}: {method} {path}");
    };
    if let Some(id) = victim.messages.first() {
        compare("GET", "/v2/queues/jobs/messages/ID", id, None);
        compare("GET", "/v2/queues/jobs/messages?ids=ID", id, None);
        compare("DELETE", "/v2/queues/jobs/messages/ID", id, None);
        compare("DELETE", "/v2/queues/jobs/messages?ids=ID", id, None);
        let with_claim = format!("/v2/queues/jobs/messages/ID?claim_id={}", victim.claim);
        if !victim.claim.is_empty() {
            compare("DELETE", &with_claim, id, None);
        }
    }
    if !victim.claim.is_empty() {
        for (method, body) in claims {
            compare(method, "/v2/queues/jobs/claims/ID", &victim.claim, body);
        }
    }
    if let Some(id) = victim.messages.first() {
        compare("GET", "/v2/topics/jobs/messages/ID", id, None);
        compare("DELETE", "/v2/topics/jobs/messages/ID", id, None);
    }
    if victim.has_lent() {
        let path = "/v2/queues/jobs/messages?echo=true";
        victim.borrowed(name, "GET", path).expect(404);
        victim.borrowed(name, "DELETE", "/v2/queues/jobs/messages?pop=5").expect(404);
    }
    if !victim.marker.is_empty() {
        let path = format!("/v2/queues/nothing/messages?echo=true&marker={}", victim.marker);
        let answer = app.get(&path).header("X-Project-ID", name).expect_any();
        assert!(!answer.text().contains("\"body\""), "{}", answer.text());
    }
}

/// Whether other people's traffic shows in what a project is told.
fn traffic_does_not_show(app: &TestApp) {
    let post = |project: &str, count: usize| {
        let messages: Vec<_> = (0..count).map(|it| json!({ "body": it })).collect();
        let path = "/v2/queues/jobs/messages";
        let request = app.post(path, json!({ "messages": messages }));
        request.header("X-Project-ID", project).expect(201);
    };
    let marker = || {
        let path = "/v2/queues/jobs/messages?echo=true&limit=20";
        let page = app.get(path).header("X-Project-ID", "quiet").expect(200).json();
        let href = page["links"][0]["href"].as_str().unwrap();
        let marker = href.split(['?', '&']).find_map(|part| part.strip_prefix("marker="));
        marker.unwrap().parse::<u64>().unwrap()
    };
    post("quiet", 1);
    let first = marker();
    for posts in 1..=10 {
        post("loud", 100);
        post("quiet", 1);
        assert_eq!(marker(), first + posts);
    }
}

#[test]
fn two_projects_on_the_embedded_store() {
    let expected = alone(&TestApp::with(settings));
    let app = TestApp::with(settings);
    for (one, other) in &pairs() {
        together(&app, (one, other), |name| by_header(name), &expected);
    }
    traffic_does_not_show(&app);
}

#[actix_web::test]
async fn two_projects_on_mongodb() {
    let set = shared::single().await;
    let (one, two) = (Databases::on(set), Databases::on(set));
    let (first, second) = (on_mongodb(&one).await, on_mongodb(&two).await);
    let expected = alone(&TestApp::on(first, settings));
    let app = TestApp::on(second, settings);
    for (one, other) in &pairs() {
        together(&app, (one, other), |name| by_header(name), &expected);
    }
    traffic_does_not_show(&app);
}

/// A server with two pools, whose stores are in this directory.
fn with_pools(directory: &Path) -> TestApp {
    let store = |name: &str| format!("embedded:{}", directory.join(name).display());
    let app = TestApp::whole(|it| {
        settings(it);
        it.pooling.enabled = true;
        it.storage.uri = store("own");
    });
    for pool in ["one", "two"] {
        let document = json!({ "uri": store(pool), "weight": 1 });
        let request = app.put(&format!("/v2/pools/{pool}"), document);
        request.header("X-Roles", "admin").expect(201);
    }
    app
}

#[test]
fn two_projects_in_pools() {
    let [alones, pooled] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let expected = alone(&with_pools(alones.path()));
    let app = with_pools(pooled.path());
    for (one, other) in &pairs() {
        together(&app, (one, other), |name| by_header(name), &expected);
    }
}

#[test]
fn two_projects_with_keystone() {
    let keystone = FakeKeystone::start();
    let app = TestApp::with(|it| {
        settings(it);
        point(it, &keystone);
    });
    let pairs = pairs();
    let names: Vec<_> = pairs.iter().flat_map(|(one, other)| [one, other]).collect();
    for (number, name) in names.iter().enumerate() {
        keystone.know_member(&format!("token-{number}"), name);
    }
    let expected = alone(&TestApp::with(settings));
    for (one, other) in &pairs {
        let identify = |name: &str| {
            let token = names.iter().position(|known| *known == name).unwrap();
            // Whatever a client says about itself changes nothing.
            let claimed = if name == one { other } else { one };
            let identify: Identify = Box::new(move |request: Request| {
                let request = request.header("X-Project-ID", claimed).header("X-Roles", "admin");
                request.header("X-Auth-Token", &format!("token-{token}"))
            });
            identify
        };
        together(&app, (one, other), identify, &expected);
    }
}

/// A token for that project, in `file`.
fn token(file: &Path, project: &str) -> String {
    let file = file.display().to_string();
    let made = run(&["token", "create", "--file", &file, "--project", project]);
    stdout(&made, 0).trim_end().to_owned()
}

#[test]
fn two_projects_with_tokens() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokens.toml");
    let pairs = pairs();
    let tokens: Vec<_> = pairs
        .iter()
        .map(|(one, other)| [one, other].map(|name| (name.as_str(), token(&file, name))))
        .collect();
    let app = TestApp::with(|it| {
        settings(it);
        it.auth.strategy = AuthStrategy::Tokens;
        it.auth.tokens.file = Some(file.display().to_string());
    });
    let expected = alone(&TestApp::with(settings));
    for [one, other] in &tokens {
        let identify = |name: &str| {
            let token = if name == one.0 { &one.1 } else { &other.1 };
            // Whatever a client says about itself changes nothing.
            let claimed = if name == one.0 { other.0 } else { one.0 };
            let identify: Identify = Box::new(move |request: Request| {
                let request = request.header("X-Project-ID", claimed).header("X-Roles", "admin");
                request.header("X-Auth-Token", token)
            });
            identify
        };
        together(&app, (one.0, other.0), identify, &expected);
    }
}
