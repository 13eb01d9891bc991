//! What no client of good will sends: broken framing, garbage, odd values in
//! every place, and random mutations of good requests.
//!
//! Whatever comes, the answer is no 5xx and no panic, an answer that says it is
//! JSON is JSON, a refused batch leaves nothing behind, and the next request is
//! served.

mod framing;
pub mod mutations;
mod values;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};

use serde_json::Value;
use serde_json::value::RawValue;
use tempfile::{TempDir, tempdir};

use crate::cli::program::{Server, connect, nusku, storage};

/// A server with everything switched on, that is asked at its end whether it
/// ever panicked.
struct Target {
    server: Option<Server>,
    _data: TempDir,
}

impl Target {
    fn start() -> Self {
        let data = tempdir().unwrap();
        let uri = storage(data.path());
        let mut command =
            nusku(&["--port", "0", "--storage", &uri, "--admin-mode", "--log-level", "warn"]);
        command.env("NUSKU_SIGNED_URL__SECRET_KEY", "secret");
        Self { server: Some(Server::spawn(&mut command)), _data: data }
    }

    fn address(&self) -> SocketAddr {
        self.server.as_ref().unwrap().address
    }

    /// Sends these bytes and ends; all that comes back, checked.
    fn send(&self, bytes: &[u8]) -> Answers {
        let mut stream = connect(self.address()).unwrap();
        // It may hang up before it has read all.
        let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        let answers = Answers(String::from_utf8_lossy(&text).into_owned());
        let sent = || String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).into_owned();
        for status in answers.statuses() {
            assert!((100..500).contains(&status), "{status} to {}\n{}", sent(), answers.0);
        }
        if answers.statuses().len() == 1 && !bytes.starts_with(b"HEAD") {
            answers.check_json();
        }
        answers
    }

    /// Sends a request with this body, rightly framed.
    fn request(&self, method: &str, path: &str, body: &[u8]) -> Answers {
        self.send(&framed(method, path, body))
    }

    /// How many messages a queue holds.
    fn total(&self, queue: &str) -> u64 {
        let answers = self.request("GET", &format!("/v2/queues/{queue}/stats"), b"");
        answers.json()["messages"]["total"].as_u64().unwrap()
    }

    /// It still serves; a stuck worker would not.
    #[track_caller]
    fn assert_alive(&self) {
        for _ in 0..4 {
            assert_eq!(self.request("GET", "/v2/ping", b"").statuses(), [204]);
        }
    }

    #[track_caller]
    fn end(mut self) {
        self.assert_alive();
        let server = self.server.take().unwrap();
        server.signal("TERM");
        let (code, log) = server.wait();
        assert_eq!(code, Some(0), "{log}");
        assert!(!log.contains("panic") && !log.contains("ERROR"), "{log}");
    }
}

/// What came back on a connection.
struct Answers(String);

impl Answers {
    fn statuses(&self) -> Vec<u16> {
        let lines = self.0.match_indices("HTTP/1.1 ");
        lines.filter_map(|(at, start)| self.0[at + start.len()..].get(..3)?.parse().ok()).collect()
    }

    fn json(&self) -> Value {
        let (_, body) = self.0.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {}", self.0))
    }

    fn check_json(&self) {
        let Some((head, body)) = self.0.split_once("\r\n\r\n") else { return };
        let is_json = head.to_lowercase().contains("content-type: application/json");
        if is_json && !body.is_empty() && !head.contains("100 Continue") {
            // By its grammar: a number may be larger than a float.
            let text = serde_json::from_str::<&RawValue>(body);
            assert!(text.is_ok(), "{text:?}: {}", self.0);
        }
    }
}

/// The head of a request up to its own headers.
fn head(method: &str, path: &str) -> String {
    // Both media types at once would be refused; only one request needs this.
    let media_type = if method == "PATCH" && !path.contains("/claims/") {
        "application/openstack-messaging-v2.0-json-patch"
    } else {
        "application/json"
    };
    format!(
        "{method} {path} HTTP/1.1\r\nHost: nusku\r\nX-Project-ID: hostile\r\nX-Roles: admin\r\n\
         Client-ID: 3381af92-2b9e-11e3-b191-71861300734c\r\nContent-Type: {media_type}\r\n"
    )
}

fn framed(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = head(method, path).into_bytes();
    if !body.is_empty() {
        bytes.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}

const POST: &str =
    r#"{"messages": [{"ttl": 300, "delay": 0, "body": {"a": [1, "b\u00e9"]}}, {"body": "x"}]}"#;
