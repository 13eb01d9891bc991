//! A webhook that does what a test tells it to, and keeps what it is told.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What it does with a request.
#[derive(Clone, Copy, Debug)]
pub enum Reaction {
    /// Answers with this status and these headers, each with its line end.
    Answer(u16, &'static str),
    /// Says nothing.
    Hang,
    /// Breaks the connection.
    Reset,
    /// Says something that is no HTTP.
    Garbage,
    /// Sends the head of an answer byte by byte, without an end.
    Trickle,
    /// Answers 200 with a body that has no end.
    Endless,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Received {
    /// Method and target.
    pub line: String,
    headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Received {
    /// The one header of that name.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(other, _)| other == name);
        let value = found.next().map_or("", |(_, value)| value);
        assert!(found.next().is_none(), "{name} is there twice");
        value
    }
}

/// A webhook on a port of its own, until it is dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    scheme: &'static str,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    reactions: Mutex<VecDeque<Reaction>>,
    received: Mutex<Vec<Received>>,
    connections: Mutex<Vec<TcpStream>>,
    stopped: Mutex<bool>,
}

impl Receiver {
    /// One that reacts so, in this order, and then always as at the last.
    pub fn new(reactions: impl IntoIterator<Item = Reaction>) -> Self {
        Self::at("127.0.0.1:0", reactions, None)
    }

    /// One that speaks TLS.
    pub fn with_tls(config: Arc<ServerConfig>) -> Self {
        Self::at("127.0.0.1:0", [Reaction::Answer(204, "")], Some(config))
    }

    fn at(
        bind: &str,
        reactions: impl IntoIterator<Item = Reaction>,
        tls: Option<Arc<ServerConfig>>,
    ) -> Self {
        let listener = TcpListener::bind(bind).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        shared.reactions.lock().unwrap().extend(reactions);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let served = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if *served.stopped.lock().unwrap() {
                    return;
                }
                served.connections.lock().unwrap().push(stream.try_clone().unwrap());
                let (served, tls) = (Arc::clone(&served), tls.clone());
                std::thread::spawn(move || match tls {
                    None => served.serve(stream),
                    Some(config) => {
                        let connection = ServerConnection::new(config).unwrap();
                        served.serve(StreamOwned::new(connection, stream));
                    }
                });
            }
        });
        Self { address, shared, scheme, accepting: Some(accepting) }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its address with that path.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// All requests, the oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// The only request there was.
    #[track_caller]
    pub fn only(&self) -> Received {
        let received = self.received();
        assert_eq!(received.len(), 1, "{received:?}");
        received[0].clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.shared.connections.lock().unwrap().len()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        *self.shared.stopped.lock().unwrap() = true;
        for stream in self.shared.connections.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Shared {
    fn serve(&self, stream: impl Read + Write) {
        let mut stream = BufReader::new(stream);
        while let Some(received) = read(&mut stream) {
            self.received.lock().unwrap().push(received);
            let reaction = {
                let mut reactions = self.reactions.lock().unwrap();
                if reactions.len() > 1 { reactions.pop_front() } else { reactions.front().copied() }
            };
            if react(stream.get_mut(), reaction.unwrap()).is_err() {
                return;
            }
        }
    }
}

fn react(stream: &mut impl ReadWrite, reaction: Reaction) -> std::io::Result<()> {
    let end = || Err(std::io::ErrorKind::ConnectionAborted.into());
    match reaction {
        Reaction::Answer(status, headers) => {
            let answer = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: 2\r\n\r\nok");
            let answer = if status == 204 {
                answer.replace("Content-Length: 2\r\n\r\nok", "\r\n")
            } else {
                answer
            };
            stream.write_all(answer.as_bytes())?;
            stream.flush()
        }
        Reaction::Hang => {
            // Until somebody hangs up.
            let _ = stream.read(&mut [0]);
            end()
        }
        Reaction::Reset => end(),
        Reaction::Garbage => {
            stream.write_all(b"220 mail.example.net ESMTP\r\n\r\n")?;
            end()
        }
        Reaction::Trickle => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nX-Long: ")?;
            loop {
                stream.write_all(b"x")?;
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Reaction::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b'x'; 1024])?;
            }
        }
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

fn read(stream: &mut impl BufRead) -> Option<Received> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let line = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
    let mut received = Received { line, headers, body: String::new() };
    let mut body = vec![0; received.header("content-length").parse().unwrap()];
    stream.read_exact(&mut body).ok()?;
    received.body = String::from_utf8(body).unwrap();
    Some(received)
}
