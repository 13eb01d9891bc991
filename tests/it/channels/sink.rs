//! A mail server that takes what it gets, or does what a test tells it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A command to which it gives an answer of its own.
pub type Quirk = (&'static str, &'static str);

/// A mail server on a port of its own.
pub struct Sink {
    address: SocketAddr,
    lines: Arc<Mutex<Vec<String>>>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Sink {
    pub fn start(quirk: Option<Quirk>, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let streams: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let (heard, open) = (Arc::clone(&lines), Arc::clone(&streams));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                open.lock().unwrap().push(stream.try_clone().unwrap());
                let (heard, tls) = (Arc::clone(&heard), tls.clone());
                std::thread::spawn(move || match tls {
                    None => converse(stream, &heard, quirk),
                    Some(config) => {
                        let connection = ServerConnection::new(config).unwrap();
                        converse(StreamOwned::new(connection, stream), &heard, quirk)
                    }
                });
            }
        });
        Self { address, lines, streams }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// All that clients said.
    pub fn heard(&self) -> String {
        self.lines.lock().unwrap().concat()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Serves a client until one of both has had enough.
fn converse(
    stream: impl Read + Write,
    heard: &Mutex<Vec<String>>,
    quirk: Option<Quirk>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut in_letter = false;
    say(stream.get_mut(), "220 sink")?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|length| *length > 0)?;
        heard.lock().unwrap().push(line.clone());
        let answer = match (in_letter, line.trim_end()) {
            (true, ".") => {
                in_letter = false;
                "250 taken"
            }
            (true, _) => continue,
            (false, line) => match quirk.filter(|(command, _)| line.starts_with(command)) {
                // Says nothing, until the client hangs up.
                Some((_, "")) => continue,
                Some((_, answer)) => answer,
                None if line.starts_with("EHLO") => "250-sink\r\n250-8BITMIME\r\n250 AUTH PLAIN",
                None if line.starts_with("AUTH") => "235 welcome",
                None if line == "DATA" => {
                    in_letter = true;
                    "354 go on"
                }
                None if line == "QUIT" => "221 bye",
                None => "250 ok",
            },
        };
        say(stream.get_mut(), answer)?;
    }
}

fn say(stream: &mut impl Write, answer: &str) -> Option<()> {
    stream.write_all(format!("{answer}\r\n").as_bytes()).ok()?;
    stream.flush().ok()
}
