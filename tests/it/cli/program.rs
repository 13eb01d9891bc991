//! The real program: run to its end, or as a server that is talked to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The program, without any setting of the environment the tests run in.
pub fn nusku(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nusku"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NUSKU_") {
            command.env_remove(name);
        }
    }
    // Many of them run at the same time.
    command.env("NUSKU_WEBSOCKET__PORT", "0").args(arguments);
    command
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Output {
    nusku(arguments).output().unwrap()
}

/// What the program printed, checked to have ended with `code`.
#[track_caller]
pub fn stdout(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The one sentence with which the program refused, checked to have ended with 1.
#[track_caller]
pub fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text.strip_prefix("nusku: ").expect("says who speaks").trim_end().to_owned()
}

/// A running server, killed if the test ends before it does.
pub struct Server {
    child: Child,
    /// What it printed when it was ready.
    pub greeting: Vec<String>,
    /// Where it listens.
    pub address: SocketAddr,
    // Read to the end by a thread each, so that the server never waits for us.
    stderr: Option<std::thread::JoinHandle<String>>,
}

impl Server {
    /// Starts it on a free port with its data in `data`.
    pub fn start(data: &TempDir, arguments: &[&str]) -> Self {
        let storage = storage(data.path());
        let mut all = vec!["serve", "--port", "0", "--storage", &storage];
        all.extend(arguments);
        Self::spawn(&mut nusku(&all))
    }

    /// Starts `command` and waits until it is ready.
    pub fn spawn(command: &mut Command) -> Self {
        Self::try_spawn(command).unwrap_or_else(|log| panic!("no greeting: {log}"))
    }

    /// Starts `command` and waits until it is ready, or has refused to be: then
    /// what it wrote to stderr is the error.
    pub fn try_spawn(command: &mut Command) -> Result<Self, String> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let greeting: Vec<_> = lines.map_while(Result::ok).take(3).collect();
        if greeting.len() < 3 {
            let code = child.wait().unwrap();
            return Err(format!("{code}, {}", stderr.join().unwrap()));
        }
        let address = greeting[0].rsplit_once("://").unwrap().1.parse().unwrap();
        Ok(Self { child, greeting, address, stderr: Some(stderr) })
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for its end; returns the exit code and what it wrote to stderr.
    pub fn wait(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the server does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        let code = self.child.wait().unwrap().code();
        (code, self.stderr.take().unwrap().join().unwrap())
    }

    /// Waits until it takes no new connection.
    pub fn wait_until_closed(&self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_ok() {
            assert!(Instant::now() < deadline, "the server goes on listening");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The storage URI of a directory.
pub fn storage(directory: &Path) -> String {
    format!("embedded:{}", directory.display())
}

/// The head of a request to `path`, all but its last, empty line.
pub fn head(method: &str, path: &str, length: usize) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: nusku\r\nConnection: close\r\n\
         Client-ID: 3381af92-2b9e-11e3-b191-71861300734c\r\nX-Project-ID: cli\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n"
    )
}

/// Sends a request on a connection of its own; returns status and body.
pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
) -> std::io::Result<(u16, String)> {
    let mut stream = connect(address)?;
    let head = head(method, path, body.len());
    stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
    answer(&mut stream)
}

/// Connects, with an end to all waiting.
pub fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads an answer up to the end of the connection; one that is cut off is an
/// error.
pub fn answer(stream: &mut TcpStream) -> std::io::Result<(u16, String)> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let cut_off = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(cut_off)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(cut_off)?;
    let length = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    if body.len() < length {
        return Err(cut_off());
    }
    Ok((status, body.to_owned()))
}
