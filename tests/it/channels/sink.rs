//! A mail server that takes what it gets, or does what a test tells it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A command to which it gives an answer of its own.
pub type Quirk = (&'static str, &'static str);

/// When connections are encrypted.
#[derive(Clone)]
pub enum Encryption {
    Never,
    FromTheBeginning(Arc<ServerConfig>),
    OnRequest(Arc<ServerConfig>),
}

/// A mail server on a port of its own.
pub struct Sink {
    address: SocketAddr,
    lines: Arc<Mutex<Vec<String>>>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Sink {
    pub fn start(quirk: Option<Quirk>, encryption: Encryption) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let streams: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let (heard, open) = (Arc::clone(&lines), Arc::clone(&streams));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                open.lock().unwrap().push(stream.try_clone().unwrap());
                let (heard, encryption) = (Arc::clone(&heard), encryption.clone());
                std::thread::spawn(move || {
                    Conversation { heard: &heard, quirk }.hold(stream, encryption)
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

struct Conversation<'s> {
    heard: &'s Mutex<Vec<String>>,
    quirk: Option<Quirk>,
}

/// Why a conversation goes no further.
#[derive(PartialEq)]
enum End {
    HungUp,
    /// The client asked for encryption, and was promised it.
    ToBeEncrypted,
}

impl Conversation<'_> {
    fn hold(&self, stream: TcpStream, encryption: Encryption) -> Option<()> {
        let encrypted =
            |stream, config| StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
        match encryption {
            Encryption::Never => {
                let mut stream = BufReader::new(stream);
                say(stream.get_mut(), "220 sink")?;
                self.go_on(&mut stream, false);
            }
            Encryption::FromTheBeginning(config) => {
                let mut stream = BufReader::new(encrypted(stream, config));
                say(stream.get_mut(), "220 sink")?;
                self.go_on(&mut stream, false);
            }
            Encryption::OnRequest(config) => {
                let mut plain = BufReader::new(stream);
                say(plain.get_mut(), "220 sink")?;
                if self.go_on(&mut plain, true) == End::ToBeEncrypted {
                    self.heard.lock().unwrap().push("(encrypted)\r\n".to_owned());
                    let stream = encrypted(plain.into_inner(), config);
                    self.go_on(&mut BufReader::new(stream), false);
                }
            }
        }
        Some(())
    }

    /// Serves a client until one of both has had enough.
    fn go_on<S: Read + Write>(&self, stream: &mut BufReader<S>, may_encrypt: bool) -> End {
        self.serve(stream, may_encrypt).unwrap_or(End::HungUp)
    }

    fn serve<S: Read + Write>(&self, stream: &mut BufReader<S>, may_encrypt: bool) -> Option<End> {
        let mut in_letter = false;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).ok().filter(|length| *length > 0)?;
            self.heard.lock().unwrap().push(line.clone());
            let answer = match (in_letter, line.trim_end()) {
                (true, ".") => {
                    in_letter = false;
                    "250 taken"
                }
                (true, _) => continue,
                (false, line) => {
                    match self.quirk.filter(|(command, _)| line.starts_with(command)) {
                        // Says nothing, until the client hangs up.
                        Some((_, "")) => continue,
                        Some((_, answer)) => answer,
                        None if line.starts_with("EHLO") && may_encrypt => {
                            "250-sink\r\n250 STARTTLS"
                        }
                        None if line.starts_with("EHLO") => {
                            "250-sink\r\n250-8BITMIME\r\n250 AUTH PLAIN"
                        }
                        None if line == "STARTTLS" && may_encrypt => {
                            say(stream.get_mut(), "220 go on")?;
                            return Some(End::ToBeEncrypted);
                        }
                        None if line.starts_with("AUTH") => "235 welcome",
                        None if line == "DATA" => {
                            in_letter = true;
                            "354 go on"
                        }
                        None if line == "QUIT" => "221 bye",
                        None => "250 ok",
                    }
                }
            };
            say(stream.get_mut(), answer)?;
        }
    }
}

fn say(stream: &mut impl Write, answer: &str) -> Option<()> {
    stream.write_all(format!("{answer}\r\n").as_bytes()).ok()?;
    stream.flush().ok()
}
