//! A server that keeps count, and that can misbehave.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use serde_json::{Value, json};

/// What a fake server does to a request instead of answering it well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trick {
    /// Answers with this status.
    Refuse(u16),
    /// Closes the connection without an answer.
    HangUp,
    /// Announces that this answer is the connection's last.
    Close,
    /// Answers with a body that is no JSON.
    Babble,
}

/// The queues of a fake server and what was done to them.
#[derive(Default)]
pub struct Seen {
    /// Messages of each queue: (id, client).
    queues: HashMap<String, VecDeque<(u64, String)>>,
    claimed: HashMap<u64, u64>,
    pub posts: u64,
    pub posted: u64,
    pub deletes: u64,
    pub deleted: u64,
    pub clients: HashSet<String>,
    pub cleaned: HashSet<String>,
    requests: u64,
    pub connections: u64,
}

/// A server that knows just enough of the API, in memory.
#[derive(Clone)]
pub struct Fake {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Fake {
    /// A server that plays a trick on every `nth` request to a queue.
    pub fn start(nth: u64, trick: Trick) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake =
            Self { address: listener.local_addr().unwrap(), seen: Arc::new(Mutex::default()) };
        let accepting = fake.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = accepting.clone();
                serving.seen().connections += 1;
                thread::spawn(move || serving.serve(&stream, nth, trick).ok());
            }
        });
        fake
    }

    pub fn honest() -> Self {
        Self::start(u64::MAX, Trick::HangUp)
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    fn serve(&self, stream: &TcpStream, nth: u64, trick: Trick) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut writer = stream;
        while let Some(request) = Request::read(&mut reader)? {
            let count = {
                let mut seen = self.seen();
                // Pings and the final clean-up always work.
                seen.requests += u64::from(request.is_work());
                if request.is_work() { seen.requests } else { 1 }
            };
            let tricked = count % nth == 0;
            let answer = match trick {
                Trick::HangUp if tricked => return Ok(()),
                Trick::Refuse(status) if tricked => answer(status, "", r#"{"title": "no"}"#),
                Trick::Babble if tricked => answer(200, "", "no JSON at all"),
                Trick::Close if tricked => {
                    let answer = self.seen().answer(&request);
                    writer.write_all(
                        answer.replacen('\n', "\nConnection: close\r\n", 1).as_bytes(),
                    )?;
                    return Ok(());
                }
                _ => self.seen().answer(&request),
            };
            writer.write_all(answer.as_bytes())?;
        }
        Ok(())
    }
}

/// A request as far as it matters here.
struct Request {
    method: String,
    /// The path's segments behind `/prefix/v2`.
    path: Vec<String>,
    query: HashMap<String, String>,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.strip_prefix("/some/where/v2/").expect("the prefix is part of each path");
        let path = path.split('/').map(str::to_owned).collect();
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        Ok(Some(Self { method, path, query, headers, body }))
    }

    fn is_work(&self) -> bool {
        self.path.len() > 2
    }

    fn limit(&self) -> usize {
        self.query["limit"].parse().unwrap()
    }
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    let length =
        if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("HTTP/1.1 {status} Whatever\r\n{headers}{length}\r\n{body}")
}

impl Seen {
    fn answer(&mut self, request: &Request) -> String {
        assert_eq!(request.headers["x-project-id"], "acme");
        assert_eq!(request.headers["x-auth-token"], "secret");
        let client = request.headers["client-id"].clone();
        assert_eq!(client.len(), 36);
        self.clients.insert(client.clone());
        let path: Vec<_> = request.path.iter().map(String::as_str).collect();
        match (request.method.as_str(), &path[..]) {
            ("GET", ["ping"]) => answer(204, "", ""),
            ("DELETE", ["queues", queue]) => {
                self.cleaned.insert((*queue).to_owned());
                answer(204, "", "")
            }
            ("POST", ["queues", queue, "messages"]) => self.post(queue, &client, request),
            ("GET", ["queues", queue, "messages"]) => self.list(queue, &client, request),
            ("POST", ["queues", queue, "claims"]) => self.claim(queue, request),
            ("DELETE", ["queues", queue, "messages"]) => {
                self.deletes += 1;
                for id in request.query["ids"].split(',') {
                    self.delete(queue, id, None);
                }
                answer(204, "", "")
            }
            ("DELETE", ["queues", queue, "messages", id]) => {
                self.deletes += 1;
                self.delete(queue, id, Some(&request.query["claim_id"]));
                answer(204, "", "")
            }
            _ => panic!("{} {path:?}", request.method),
        }
    }

    fn post(&mut self, queue: &str, client: &str, request: &Request) -> String {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        self.posts += 1;
        for message in body["messages"].as_array().unwrap() {
            assert_eq!(message["body"].as_str().unwrap().len() + 2, 100);
            self.posted += 1;
            let message = (self.posted, client.to_owned());
            self.queues.entry(queue.to_owned()).or_default().push_back(message);
        }
        answer(201, "", r#"{"resources": []}"#)
    }

    fn list(&mut self, queue: &str, client: &str, request: &Request) -> String {
        let marker = request.query.get("marker").map_or(0, |marker| marker.parse().unwrap());
        let messages = self.queues.entry(queue.to_owned()).or_default().iter();
        let page: Vec<_> = messages
            .filter(|(id, poster)| *id > marker && poster != client)
            .take(request.limit())
            .map(|(id, _)| *id)
            .collect();
        let links: Vec<_> = page.last().map(|last| {
            json!({"rel": "next", "href": format!("/v2/queues/{queue}/messages?marker={last}")})
        }).into_iter().collect();
        let messages: Vec<_> = page.iter().map(|id| json!({"id": id.to_string()})).collect();
        answer(200, "", &json!({"messages": messages, "links": links}).to_string())
    }

    fn claim(&mut self, queue: &str, request: &Request) -> String {
        let claim = self.requests;
        let messages = self.queues.entry(queue.to_owned()).or_default().iter();
        let free: Vec<_> = messages
            .map(|(id, _)| *id)
            .filter(|id| !self.claimed.contains_key(id))
            .take(request.limit())
            .collect();
        if free.is_empty() {
            return answer(204, "", "");
        }
        self.claimed.extend(free.iter().map(|id| (*id, claim)));
        let messages: Vec<_> =
            free.iter().map(|id| json!({"id": id.to_string(), "body": {"id": 1}})).collect();
        let location = format!("Location: /v2/queues/{queue}/claims/{claim}\r\n");
        answer(201, &location, &json!({"messages": messages}).to_string())
    }

    fn delete(&mut self, queue: &str, id: &str, claim: Option<&str>) {
        let id = id.parse().unwrap();
        let held = self.claimed.remove(&id).expect("only what was claimed is deleted");
        assert!(claim.is_none_or(|claim| claim == held.to_string()));
        self.queues.get_mut(queue).unwrap().retain(|(stored, _)| *stored != id);
        self.deleted += 1;
    }

    pub fn waiting(&self) -> usize {
        self.queues.values().map(VecDeque::len).sum()
    }
}
