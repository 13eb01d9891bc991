//! What a project does in this test, and what it gets to see of it.

#![allow(clippy::needless_pass_by_value, reason = "a step writes a document where it is used")]

use serde_json::{Value, json};

use crate::support::{Answer, Request, TestApp};

/// How a request says whose it is.
pub type Identify<'a> = Box<dyn Fn(Request) -> Request + 'a>;

/// A project that goes through all routes, step by step, and writes down what it
/// is told. Ids, markers and its own name are replaced by what they are to it,
/// so that two projects which see the same write down the same.
pub struct Life<'a> {
    app: &'a TestApp,
    name: &'a str,
    identify: Identify<'a>,
    /// What it has been told, in order.
    pub seen: Vec<String>,
    /// Ids and markers in the order in which it met them.
    known: Vec<String>,
    /// The messages it has posted to `jobs`.
    pub messages: Vec<String>,
    /// The claim it holds.
    pub claim: String,
    /// Where its last page ended.
    pub marker: String,
    signed: Value,
}

/// How many steps there are.
pub const STEPS: usize = 13;

const JOBS: &str = "/v2/queues/jobs";

impl<'a> Life<'a> {
    pub fn new(app: &'a TestApp, name: &'a str, identify: Identify<'a>) -> Self {
        let (claim, marker, signed) = (String::new(), String::new(), Value::Null);
        let (seen, known, messages) = (Vec::new(), Vec::new(), Vec::new());
        Self { app, name, identify, seen, known, messages, claim, marker, signed }
    }

    /// A request of this project.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Request {
        let request = (self.identify)(self.app.request(method, path).without("X-Project-ID"));
        match body {
            Some(body) => request.json(body),
            None => request,
        }
    }

    /// Sends a request and writes down what comes of it.
    #[track_caller]
    fn ask(&mut self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let answer = self.request(method, path, body.as_ref()).expect_any();
        let location = answer.header("location").unwrap_or_default().to_owned();
        let mut document = if answer.body.is_empty() { Value::Null } else { answer.json() };
        if path.contains("?ids=")
            && let Some(messages) = document["messages"].as_array_mut()
        {
            // In the order of the ids, which is no order of anything.
            messages.sort_by_key(|message| message["body"]["it"].as_u64());
        }
        let shown = self.plain(&document).to_string();
        let (path, location) = (self.told(path), self.told(&location));
        self.seen.push(format!("{method} {path}: {} {location} {shown}", answer.status));
        answer
    }

    /// A document with everything replaced that is another project's in another way.
    fn plain(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.told(text).into(),
            Value::Array(items) => items.iter().map(|item| self.plain(item)).collect(),
            Value::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| (key.clone(), self.plain(value)));
                Value::Object(fields.collect())
            }
            other => other.clone(),
        }
    }

    fn told(&mut self, text: &str) -> String {
        if text == self.name {
            return "(mine)".to_owned();
        }
        let text = text.replace(&format!("project {}", self.name), "project (mine)");
        let mut plain = String::new();
        let mut word = String::new();
        for c in text.chars().chain([' ']) {
            if c.is_ascii_alphanumeric() {
                word.push(c);
                continue;
            }
            plain.push_str(&self.label(&word));
            word.clear();
            plain.push(c);
        }
        plain.pop();
        plain
    }

    /// Long numbers, in whatever base, are told by when they were first met.
    fn label(&mut self, word: &str) -> String {
        let is_id = matches!(word.len(), 24 | 64) && word.bytes().all(|c| c.is_ascii_hexdigit());
        let is_marker = word.len() >= 12 && word.bytes().all(|c| c.is_ascii_digit());
        if !is_id && !is_marker {
            return word.to_owned();
        }
        let place = self.known.iter().position(|known| known == word);
        let place = place.unwrap_or_else(|| {
            self.known.push(word.to_owned());
            self.known.len() - 1
        });
        format!("#{place}")
    }

    /// Does one step of it.
    pub fn step(&mut self, number: usize) {
        match number {
            0 => self.begins(),
            1 => self.posts(),
            2 => self.counts(),
            3 => self.reads(),
            4 => self.claims(),
            5 => self.renews(),
            6 => self.deletes(),
            7 => self.pops(),
            8 => self.lends(),
            9 => self.releases(),
            10 => self.purges(),
            11 => self.tells(),
            _ => self.ends(),
        }
    }

    fn begins(&mut self) {
        self.ask("GET", "/v2/", None);
        self.ask("GET", "/v2/ping", None);
        self.ask("GET", "/v2/health", None);
        self.ask("GET", "/v2/queues", None);
        self.ask("GET", JOBS, None);
        self.ask("GET", "/v2/queues/jobs/stats", None);
        self.ask("PUT", JOBS, Some(json!({ "colour": "red", "_max_claim_count": 3 })));
        self.ask("PUT", JOBS, Some(json!({})));
    }

    fn posts(&mut self) {
        let bodies: Vec<_> = (0..6).map(|it| json!({ "body": { "it": it }, "ttl": 300 })).collect();
        let answer =
            self.ask("POST", "/v2/queues/jobs/messages", Some(json!({ "messages": bodies })));
        let addresses = answer.json()["resources"].as_array().unwrap().clone();
        self.messages = addresses
            .iter()
            .map(|it| it.as_str().unwrap().rsplit('/').next().unwrap().to_owned())
            .collect();
        let one = json!({ "messages": [{ "body": "lazy" }] });
        self.ask("POST", "/v2/queues/jobs.2/messages", Some(one));
    }

    fn counts(&mut self) {
        self.ask("GET", "/v2/queues?detailed=true&with_count=true", None);
        self.ask("GET", "/v2/queues?name=jobs", None);
        self.ask("GET", "/v2/queues?name=.*", None);
        self.ask("GET", "/v2/queues?colour=red", None);
        self.ask("GET", "/v2/queues?limit=1", None);
        self.ask("GET", "/v2/queues?marker=jobs", None);
        self.ask("GET", "/v2/queues/jobs/stats", None);
    }

    fn reads(&mut self) {
        let page = self.ask("GET", "/v2/queues/jobs/messages?echo=true&limit=2", None).json();
        let next = page["links"][0]["href"].as_str().unwrap().to_owned();
        self.ask("GET", &next, None);
        let marker = next.split(['?', '&']).find_map(|part| part.strip_prefix("marker="));
        marker.unwrap().clone_into(&mut self.marker);
        let ids = self.messages[..3].join(",");
        self.ask("GET", &format!("/v2/queues/jobs/messages?ids={ids}"), None);
        let one = self.messages[0].clone();
        self.ask("GET", &format!("/v2/queues/jobs/messages/{one}"), None);
        self.ask("GET", &format!("/v2/queues/jobs.2/messages/{one}"), None);
        self.ask("GET", "/v2/queues/jobs/messages", None);
    }

    fn claims(&mut self) {
        let terms = json!({ "ttl": 100, "grace": 60 });
        let answer = self.ask("POST", "/v2/queues/jobs/claims?limit=2", Some(terms));
        let location = answer.header("location").unwrap();
        location.rsplit('/').next().unwrap().clone_into(&mut self.claim);
        self.ask("GET", "/v2/queues/jobs/messages?echo=true&include_claimed=true", None);
        self.ask("GET", "/v2/queues/jobs/stats", None);
    }

    fn renews(&mut self) {
        let claim = self.claim_path();
        self.ask("GET", &claim, None);
        self.ask("PATCH", &claim, Some(json!({ "ttl": 200, "grace": 60 })));
        let metadata = json!([{ "op": "replace", "path": "/metadata/colour", "value": "blue" }]);
        let kind = "application/openstack-messaging-v2.0-json-patch";
        let patch = self.request("PATCH", JOBS, Some(&metadata)).header("Content-Type", kind);
        let answer = patch.expect(200);
        self.seen.push(answer.text());
        self.ask("GET", "/v2/queues?colour=red&detailed=true", None);
    }

    fn deletes(&mut self) {
        let (one, claim) = (self.messages[0].clone(), self.claim.clone());
        let path = format!("/v2/queues/jobs/messages/{one}");
        self.ask("DELETE", &path, None);
        self.ask("DELETE", &format!("{path}?claim_id={claim}"), None);
        let two = self.messages[2..4].join(",");
        self.ask("DELETE", &format!("/v2/queues/jobs/messages?ids={two}"), None);
        self.ask("GET", "/v2/queues/jobs/stats", None);
    }

    fn pops(&mut self) {
        self.ask("DELETE", "/v2/queues/jobs/messages?pop=1", None);
        self.ask("DELETE", "/v2/queues/jobs.2/messages?pop=5", None);
        self.ask("DELETE", "/v2/queues/jobs.2/messages?pop=5", None);
    }

    fn lends(&mut self) {
        let terms = json!({ "paths": ["messages", "claims"], "methods": ["GET", "DELETE"] });
        self.signed = self.ask("POST", "/v2/queues/jobs/share", Some(terms)).json();
        let borrowed = self.borrowed(self.name, "GET", "/v2/queues/jobs/messages?echo=true");
        let document = borrowed.expect(200).json();
        let shown = self.plain(&document).to_string();
        self.seen.push(shown);
    }

    fn releases(&mut self) {
        let claim = self.claim_path();
        self.ask("DELETE", &claim, None);
        self.ask("GET", &claim, None);
        self.ask("GET", "/v2/queues/jobs/messages?echo=true", None);
    }

    fn purges(&mut self) {
        let one = json!({ "messages": [{ "body": 1 }, { "body": 2 }] });
        self.ask("POST", "/v2/queues/jobs.2/messages", Some(one));
        self.ask("POST", "/v2/queues/jobs.2/purge", Some(json!({})));
        self.ask("GET", "/v2/queues/jobs.2/stats", None);
        self.ask("GET", "/v2/queues/jobs/stats", None);
    }

    /// Uses a topic that is called as its queue.
    fn tells(&mut self) {
        const TOPIC: &str = "/v2/topics/jobs";
        self.ask("GET", "/v2/topics", None);
        self.ask("PUT", TOPIC, Some(json!({ "colour": "green" })));
        let told = json!({ "messages": [{ "body": { "it": 7 } }, { "body": { "it": 8 } }] });
        self.ask("POST", "/v2/topics/jobs/messages", Some(told));
        let wish = json!({ "subscriber": "http://hooks.example.net/in" });
        self.ask("POST", "/v2/topics/jobs/subscriptions", Some(wish));
        self.ask("GET", "/v2/topics/jobs/subscriptions", None);
        self.ask("GET", "/v2/topics/jobs/messages?echo=true", None);
        self.ask("GET", "/v2/topics/jobs/stats", None);
        self.ask("DELETE", "/v2/topics/jobs/messages?pop=1", None);
        self.ask("GET", "/v2/topics?detailed=true&name=jobs&colour=green", None);
        self.ask("GET", "/v2/queues/jobs/subscriptions", None);
        self.ask("GET", "/v2/queues/jobs/messages?echo=true", None);
    }

    fn ends(&mut self) {
        self.ask("DELETE", JOBS, None);
        self.ask("GET", "/v2/queues?detailed=true", None);
        self.ask("GET", "/v2/queues/jobs/messages?echo=true", None);
        self.ask("PUT", JOBS, Some(json!({})));
        self.ask("GET", JOBS, None);
        self.ask("GET", "/v2/queues/jobs/stats", None);
        self.ask("GET", "/v2/topics/jobs/stats", None);
        self.ask("DELETE", "/v2/topics/jobs", None);
        self.ask("GET", "/v2/topics", None);
    }

    fn claim_path(&self) -> String {
        format!("/v2/queues/jobs/claims/{}", self.claim)
    }

    /// A request with the signed URL of this project, shown as that of `project`.
    pub fn borrowed(&self, project: &str, method: &str, path: &str) -> Request {
        let list = |name: &str| {
            let items = self.signed[name].as_array().unwrap().iter();
            items.map(|it| it.as_str().unwrap()).collect::<Vec<_>>().join(",")
        };
        let request = self.app.request(method, path).header("X-Project-ID", project);
        request
            .header("URL-Paths", &list("paths"))
            .header("URL-Methods", &list("methods"))
            .header("URL-Expires", self.signed["expires"].as_str().unwrap())
            .header("URL-Signature", self.signed["signature"].as_str().unwrap())
    }

    /// Whether there is a signed URL yet.
    pub fn has_lent(&self) -> bool {
        !self.signed.is_null()
    }
}
