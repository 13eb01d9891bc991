//! A small HTTP client that says exactly what it is told to say.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// No answer takes this long, on however busy a machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A request to be sent.
pub struct Request {
    address: SocketAddr,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// A request without headers.
    pub fn new(address: SocketAddr, method: &str, path: &str) -> Self {
        let (method, path) = (method.to_owned(), path.to_owned());
        Self { address, method, path, headers: Vec::new(), body: None }
    }

    /// Sets a header, in place of one of the same name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self = self.without(name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves a header out.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    /// Sends this as it is.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sends this as JSON.
    pub fn json(self, body: &Value) -> Self {
        let text = body.to_string();
        self.header("Content-Type", "application/json").body(text)
    }

    /// Sends the request and insists on a status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        let what = format!("{} {}", self.method, self.path);
        let answer = self.send();
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        answer
    }

    /// Sends the request, whatever comes back.
    #[track_caller]
    pub fn expect_any(self) -> Answer {
        self.send()
    }

    /// Sends the request and insists on an error document with these words.
    #[track_caller]
    pub fn refused(self, status: u16, title: &str, description: &str) -> Answer {
        let answer = self.expect(status);
        let document = answer.json();
        assert_eq!(document["title"], title, "{document}");
        assert_eq!(document["description"], description);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("vary"), Some("Accept"));
        answer
    }

    /// Sends the request in chunks of this size, without its length.
    #[track_caller]
    pub fn chunked(mut self, size: usize) -> Answer {
        let body = self.body.take().unwrap_or_default();
        let mut bytes = self.header("Transfer-Encoding", "chunked").head();
        let address = bytes.0;
        for chunk in body.chunks(size) {
            bytes.1.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.1.extend_from_slice(chunk);
            bytes.1.extend_from_slice(b"\r\n");
        }
        bytes.1.extend_from_slice(b"0\r\n\r\n");
        Answer::to(address, &bytes.1, false)
    }

    #[track_caller]
    fn send(mut self) -> Answer {
        let body = self.body.take();
        let is_head = self.method == "HEAD";
        if let Some(body) = &body {
            self = self.header("Content-Length", &body.len().to_string());
        }
        let (address, mut bytes) = self.head();
        bytes.extend(body.unwrap_or_default());
        Answer::to(address, &bytes, is_head)
    }

    fn head(self) -> (SocketAddr, Vec<u8>) {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: nusku\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        head.push_str("\r\n");
        (self.address, head.into_bytes())
    }
}

impl Answer {
    /// Sends these bytes on a connection of their own and reads one answer.
    #[track_caller]
    pub fn to(address: SocketAddr, bytes: &[u8], is_head: bool) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        Self::read(&mut stream, is_head)
    }

    /// Reads one answer and no byte more.
    #[track_caller]
    pub fn read(stream: &mut TcpStream, is_head: bool) -> Self {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Self { status, headers, body: Vec::new() };
        if !is_head && let Some(length) = answer.header("content-length") {
            answer.body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut answer.body).unwrap();
        }
        answer
    }

    /// A header of the answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| &**value)
    }

    /// All headers of the answer, their names in small letters.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}
