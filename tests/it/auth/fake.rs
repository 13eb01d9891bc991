//! A Keystone that does what a test tells it to, and counts what it is asked.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use chrono::DateTime;
use nusku::model::Timestamp;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::support::START;

/// Nothing that is waited for takes so long.
const PATIENCE: Duration = Duration::from_mins(1);

/// The password of the service user.
pub const PASSWORD: &str = "open-sesame";

/// A Keystone on a port of its own, until it is dropped.
pub struct FakeKeystone {
    address: SocketAddr,
    shared: Arc<Shared>,
    tls: Option<Arc<ServerConfig>>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// What it knows, what it was asked, and how it answers.
pub struct State {
    tokens: HashMap<String, Known>,
    own: HashSet<String>,
    /// The tokens it was asked about, with the queries.
    pub validations: Vec<String>,
    /// How often somebody came with a password.
    pub authentications: u32,
    /// What the last one came with.
    pub credentials: Value,
    /// The trusts that it keeps, each with the token that it was made with.
    pub trusts: Vec<(String, Value)>,
    /// Life of the tokens that it gives out, in seconds.
    pub own_life: u32,
    /// The time it has.
    pub now: Timestamp,
    /// A status with which it answers everything.
    pub status: Option<u16>,
    /// Where it sends everybody with that status.
    pub location: String,
    /// Whether it answers validations only later.
    pub held: bool,
    /// The validations that it works on, and the most there were.
    pub running: usize,
    pub peak: usize,
    streams: Vec<TcpStream>,
    stopped: bool,
}

struct Known {
    document: Value,
    expired: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            tokens: HashMap::new(),
            own: HashSet::new(),
            validations: Vec::new(),
            authentications: 0,
            credentials: Value::Null,
            trusts: Vec::new(),
            own_life: 3600,
            now: START,
            status: None,
            location: String::new(),
            held: false,
            running: 0,
            peak: 0,
            streams: Vec::new(),
            stopped: false,
        }
    }
}

impl FakeKeystone {
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// One that speaks TLS.
    pub fn start_with(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut fake = Self { address, shared: Arc::default(), tls, accepting: None };
        fake.accept(listener);
        fake
    }

    fn accept(&mut self, listener: TcpListener) {
        let (shared, tls) = (Arc::clone(&self.shared), self.tls.clone());
        self.accepting = Some(std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut state = shared.lock();
                if state.stopped {
                    return;
                }
                state.streams.push(stream.try_clone().unwrap());
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                std::thread::spawn(move || match tls {
                    None => shared.serve(stream),
                    Some(config) => {
                        let connection = ServerConnection::new(config).unwrap();
                        shared.serve(StreamOwned::new(connection, stream));
                    }
                });
            }
        }));
    }

    /// Where it is, as `auth_url` has it.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Its state, to be looked at or changed.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }

    /// How often it was asked about a token.
    pub fn validations(&self) -> usize {
        self.state().validations.len()
    }

    /// Waits until this is so.
    pub fn wait_until(&self, mut condition: impl FnMut(&State) -> bool) {
        let state = self.shared.lock();
        let waited =
            self.shared.changed.wait_timeout_while(state, PATIENCE, |state| !condition(state));
        assert!(!waited.unwrap().1.timed_out(), "it never came to that");
    }

    /// Answers those who wait.
    pub fn release(&self) {
        self.state().held = false;
        self.shared.changed.notify_all();
    }

    /// Knows this token from now on; `rest` goes before the usual.
    pub fn know(&self, token: &str, rest: &Value) {
        let mut document = json!({
            "expires_at": "2030-01-01T00:00:00.000000Z",
            "user": {"id": "u1", "name": "ann", "domain": {"id": "default", "name": "Default"}},
            "roles": [{"id": "r1", "name": "member"}],
        });
        for (name, value) in rest.as_object().unwrap() {
            document[name] = value.clone();
        }
        let known = Known { document: json!({"token": document}), expired: false };
        self.state().tokens.insert(token.to_owned(), known);
    }

    /// Knows this token as one of a member of the project.
    pub fn know_member(&self, token: &str, project: &str) {
        self.know(token, &json!({"project": {"id": project, "name": project}}));
    }

    /// Lets a token end.
    pub fn expire(&self, token: &str) {
        self.state().tokens.get_mut(token).unwrap().expired = true;
    }

    /// Knows a token no longer.
    pub fn revoke(&self, token: &str) {
        self.state().tokens.remove(token);
    }

    /// Forgets what it gave to the service user, as after a change of keys.
    pub fn forget_own(&self) {
        self.state().own.clear();
    }

    /// Goes away; nobody can connect.
    pub fn stop(&mut self) {
        let mut state = self.shared.lock();
        state.stopped = true;
        state.held = false;
        for stream in state.streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        self.shared.changed.notify_all();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            accepting.join().unwrap();
        }
    }

    /// Comes back on the same port, with what it knew.
    pub fn restart(&mut self) {
        self.state().stopped = false;
        self.accept(TcpListener::bind(self.address).unwrap());
    }
}

impl Drop for FakeKeystone {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A request, as far as it matters.
struct Asked {
    target: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Asked {
    fn read(stream: &mut impl BufRead) -> Option<Self> {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let mut words = line.split(' ');
        let target = format!("{} {}", words.next()?, words.next()?);
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).ok()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        Some(Self { target, headers, body })
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that fails is to be told of by its own words.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: impl Read + Write) {
        let mut stream = BufReader::new(stream);
        while let Some(asked) = Asked::read(&mut stream) {
            let (status, header, body) = self.answer(&asked);
            let body = body.to_string();
            let answer = format!(
                "HTTP/1.1 {status} Whatever\r\n{header}Content-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            if self.lock().stopped || stream.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
            let _ = stream.get_mut().flush();
        }
    }

    fn answer(&self, asked: &Asked) -> (u16, String, Value) {
        let mut state = self.lock();
        if let Some(status) = state.status {
            let header = format!("Location: {}\r\n", state.location);
            return (status, header, json!({"error": {"code": status}}));
        }
        match asked.target.as_str() {
            "POST /v3/auth/tokens?nocatalog" => state.authenticate(&asked.body),
            "POST /v3/OS-TRUST/trusts" => state.trust(asked.header("x-auth-token"), &asked.body),
            "GET /v3/auth/tokens?nocatalog" | "GET /v3/auth/tokens?nocatalog&allow_expired=1" => {
                let query = asked.target.split_once('&').map_or("", |(_, rest)| rest);
                let token = asked.header("x-subject-token");
                state.validations.push(format!("{token}{query}"));
                state.running += 1;
                state.peak = state.peak.max(state.running);
                self.changed.notify_all();
                let mut state = self.changed.wait_while(state, |state| state.held).unwrap();
                state.running -= 1;
                state.validate(asked.header("x-auth-token"), token, !query.is_empty())
            }
            other => panic!("{other}"),
        }
    }
}

impl State {
    fn authenticate(&mut self, body: &[u8]) -> (u16, String, Value) {
        self.authentications += 1;
        self.credentials = serde_json::from_slice(body).unwrap();
        let identity = &self.credentials["auth"]["identity"];
        let user = &identity["password"]["user"];
        let credential = &identity["application_credential"];
        if user["password"] != PASSWORD && credential["secret"] != PASSWORD {
            return (401, String::new(), json!({"error": {"code": 401}}));
        }
        let trust = self.credentials["auth"]["scope"]["OS-TRUST:trust"]["id"].as_str();
        let project = trust.map(|id| {
            let number = id.strip_prefix("trust-").and_then(|number| number.parse::<usize>().ok());
            let kept = number.and_then(|number| self.trusts.get(number));
            kept.map(|(_, trust)| json!({"id": trust["project_id"]}))
        });
        if project == Some(None) {
            return (404, String::new(), json!({"error": {"code": 404}}));
        }
        let token = format!("own-{}", self.authentications);
        let end = self.now.plus(self.own_life).seconds();
        let end = DateTime::from_timestamp(end, 0).unwrap().format("%Y-%m-%dT%H:%M:%S.000000Z");
        self.own.insert(token.clone());
        let document = json!({"token": {
            "expires_at": end.to_string(),
            "user": {"id": "nusku"},
            "project": project.flatten(),
        }});
        (201, format!("X-Subject-Token: {token}\r\n"), document)
    }

    fn trust(&mut self, token: &str, body: &[u8]) -> (u16, String, Value) {
        if !self.tokens.contains_key(token) {
            return (401, String::new(), json!({"error": {"code": 401}}));
        }
        let id = format!("trust-{}", self.trusts.len());
        let asked: Value = serde_json::from_slice(body).unwrap();
        self.trusts.push((token.to_owned(), asked["trust"].clone()));
        (201, String::new(), json!({"trust": {"id": id}}))
    }

    fn validate(&self, own: &str, token: &str, allow_expired: bool) -> (u16, String, Value) {
        if !self.own.contains(own) {
            return (401, String::new(), json!({"error": {"code": 401}}));
        }
        match self.tokens.get(token).filter(|known| allow_expired || !known.expired) {
            Some(known) => (200, String::new(), known.document.clone()),
            None => (404, String::new(), json!({"error": {"code": 404}})),
        }
    }
}
