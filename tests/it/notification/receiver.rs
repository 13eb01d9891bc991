//! Somebody who subscribes: an HTTP server that does to each notification what the
//! test wants, and remembers what it was told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::Value;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Told {
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub text: String,
}

impl Told {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each == name).map(|(_, value)| &**value)
    }

    /// The body of the message it is about.
    pub fn body(&self) -> Value {
        serde_json::from_str::<Value>(&self.text).unwrap()["body"].clone()
    }
}

/// What is done to a request.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    /// It is answered with this status and this header.
    Status(u16, &'static str),
    /// The connection is closed without an answer.
    Close,
    /// It is never answered.
    Hang,
}

pub const OK: Reply = Reply::Status(204, "");

/// Who answers, by the request and how many of its path came before.
type Answer = dyn Fn(&Told, usize) -> Reply + Send + Sync;

/// The server.
pub struct Receiver {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    told: Mutex<Vec<Told>>,
    more: Condvar,
    answer: Box<Answer>,
}

impl Receiver {
    pub fn start(answer: impl Fn(&Told, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Box::new(answer);
        let shared = Arc::new(Shared { told: Mutex::default(), more: Condvar::new(), answer });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Self { address, shared }
    }

    pub fn uri(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All that it was told so far.
    pub fn so_far(&self) -> Vec<Told> {
        self.shared.told.lock().unwrap().clone()
    }

    /// What it was told, once that is enough.
    pub fn until(&self, is_enough: impl Fn(&[Told]) -> bool) -> Vec<Told> {
        let told = self.shared.told.lock().unwrap();
        let waited = self.shared.more.wait_timeout_while(told, PATIENCE, |told| !is_enough(told));
        let (told, timeout) = waited.unwrap();
        assert!(!timeout.timed_out(), "told {} times only", told.len());
        told.clone()
    }

    /// The first so many, once there are.
    pub fn told(&self, count: usize) -> Vec<Told> {
        self.until(|told| told.len() >= count)
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut writer = stream;
        loop {
            let told = read(&mut reader)?;
            let reply = {
                let mut all = self.told.lock().unwrap();
                let before = all.iter().filter(|it| it.path == told.path).count();
                let reply = (self.answer)(&told, before);
                all.push(told);
                self.more.notify_all();
                reply
            };
            match reply {
                Reply::Close => return None,
                Reply::Hang => {
                    // Until the other side has had enough of it.
                    let _ = reader.read(&mut [0]);
                    return None;
                }
                Reply::Status(status, header) => {
                    let line = if header.is_empty() { "" } else { "\r\n" };
                    let answer = format!(
                        "HTTP/1.1 {status} Whatever\r\nContent-Length: 0{line}{header}\r\n\r\n"
                    );
                    writer.write_all(answer.as_bytes()).ok()?;
                }
            }
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Told> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut text = vec![0; length];
    reader.read_exact(&mut text).ok()?;
    Some(Told { path, headers, text: String::from_utf8(text).ok()? })
}
