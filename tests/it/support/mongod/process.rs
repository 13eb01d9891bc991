//! One process.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;

use serde_json::Value;

use crate::support::peers;

/// Who starts mongod ($2 and the rest), and ends it when told so or when nobody
/// is left to tell. Its data ($1) goes with it, unless it is to be started again.
const KEEPER: &str = r#"
trap "" HUP INT TERM
data=$1
shift
"$@" &
read -r order
kill -9 $!
wait $! 2>/dev/null
[ "$order" = keep ] || rm -rf "$data"
"#;

/// A mongod on a port of its own with its data in a directory of its own.
/// Whatever becomes of the test, neither outlives it.
pub struct Mongod {
    port: u16,
    replica_set: Option<&'static str>,
    arguments: Vec<String>,
    data: PathBuf,
    process: Option<Process>,
    is_frozen: bool,
}

struct Process {
    keeper: Child,
    id: u64,
}

impl Mongod {
    /// Starts one that stands alone, or a member of a replica set that somebody
    /// still has to initiate.
    pub fn start(replica_set: Option<&'static str>) -> Self {
        Self::start_as(replica_set, &[])
    }

    /// Starts one that stands alone, with more arguments than it needs.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_as(None, arguments)
    }

    fn start_as(replica_set: Option<&'static str>, arguments: &[&str]) -> Self {
        let data = tempfile::Builder::new().prefix("nusku-mongod-").tempdir().unwrap().keep();
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let (process, is_frozen) = (None, false);
        let mut mongod =
            Self { port: free_port(), replica_set, arguments, data, process, is_frozen };
        mongod.restart();
        mongod
    }

    /// The port at 127.0.0.1; the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it was not killed.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Whether it keeps its connections and answers nothing.
    pub fn is_frozen(&self) -> bool {
        self.is_frozen
    }

    /// Ends it without warning, and keeps what it had written.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.keeper.stdin.take().unwrap().write_all(b"keep\n").unwrap();
        process.keeper.wait().unwrap();
        self.is_frozen = false;
    }

    /// Starts it again on what it had written; waits until it can be reached.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "it still runs");
        let mut keeper = self.command().spawn().unwrap();
        let mut log = BufReader::new(keeper.stdout.take().unwrap());
        let id = wait_until_ready(&mut log);
        let mut file =
            File::options().create(true).append(true).open(self.data.join("log")).unwrap();
        // Read on, or it would wait for us one day.
        thread::spawn(move || io::copy(&mut log, &mut file));
        self.process = Some(Process { keeper, id });
    }

    /// Stops it in the middle of what it does.
    pub fn freeze(&mut self) {
        self.signal("STOP");
        self.is_frozen = true;
    }

    /// Lets it go on.
    pub fn thaw(&mut self) {
        self.signal("CONT");
        self.is_frozen = false;
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.process.as_ref().expect("it runs").id);
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    fn command(&self) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "keeper"]).arg(&self.data).arg(peers::mongod());
        command.args(["--bind_ip", "127.0.0.1", "--port", &self.port.to_string()]);
        command.arg("--dbpath").arg(&self.data);
        command.args(["--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]);
        command.args(["--setParameter", "diagnosticDataCollectionEnabled=false"]);
        // So that a test can ask it to fail, and that it says who it is when it
        // connects to another member.
        command.args(["--setParameter", "enableTestCommands=1"]);
        if let Some(name) = self.replica_set {
            command.args(["--replSet", name]);
        }
        command.args(&self.arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command
    }
}

impl Drop for Mongod {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.keeper.stdin.take());
            let _ = process.keeper.wait();
        } else {
            let _ = std::fs::remove_dir_all(&self.data);
        }
    }
}

/// Reads what mongod prints until it listens; the process id.
fn wait_until_ready(log: &mut BufReader<ChildStdout>) -> u64 {
    let mut id = None;
    let mut said = String::new();
    for line in log.lines() {
        let line = line.unwrap();
        let entry: Value = serde_json::from_str(&line).unwrap_or_default();
        match entry["msg"].as_str() {
            Some("MongoDB starting") => id = entry["attr"]["pid"].as_u64(),
            Some("Waiting for connections") => return id.expect("said before"),
            _ => {}
        }
        said = said + &line + "\n";
    }
    panic!("mongod does not start:\n{said}");
}

/// A port that nobody uses, outside the range from which the system takes those
/// of clients: one of theirs must not lie there at a restart.
fn free_port() -> u16 {
    const RANGE: std::ops::Range<u16> = 15_000..30_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() * 7 % u32::from(RANGE.end - RANGE.start)).unwrap();
    loop {
        let next = first + NEXT.fetch_add(1, Ordering::SeqCst);
        let port = RANGE.start + next % (RANGE.end - RANGE.start);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
