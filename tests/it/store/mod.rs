//! The embedded store as an operator meets it: looked at, copied, damaged, on a
//! disk that is full. All of it with the real program.

mod backup;
mod damage;
mod disk_full;
mod inspect;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::cli::program::{Server, nusku, request, run, storage};

const MESSAGES: &str = "/v2/queues/q/messages";

/// The command that serves the store in `dir`, with pages large enough for a
/// whole queue.
fn serving(dir: &Path) -> Command {
    let mut command = nusku(&["--port", "0", "--storage", &storage(dir), "--log-level", "warn"]);
    command.env("NUSKU_TRANSPORT__MAX_MESSAGES_PER_PAGE", "10000");
    command.env("NUSKU_TRANSPORT__MAX_MESSAGES_PER_CLAIM_OR_POP", "10000");
    command
}

fn serve(dir: &Path) -> Server {
    Server::spawn(&mut serving(dir))
}

/// Stops a server; returns its log.
fn stop(server: Server) -> String {
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");
    log
}

/// Runs `nusku store ...` on the store in `dir`.
fn store(dir: &Path, arguments: &[&str]) -> Output {
    let uri = storage(dir);
    let mut all = vec!["store"];
    all.extend(arguments);
    all.extend(["--storage", &uri]);
    run(&all)
}

/// What `store check` says of a sound store.
#[track_caller]
fn assert_sound(dir: &Path) {
    let output = store(dir, &["check"]);
    let text = crate::cli::program::stdout(&output, 0);
    assert_eq!(text, format!("{} is sound\n", dir.join("nusku.db").display()));
}

/// The body of message `n`: about `bytes` long, and no two are alike.
fn body(n: u64, bytes: usize) -> Value {
    let word = format!("needle-{n} ");
    json!({ "n": n, "pad": word.repeat(bytes / word.len()) })
}

/// Posts the messages with these numbers in one request; its status.
fn post(address: SocketAddr, numbers: &[u64], bytes: usize) -> std::io::Result<u16> {
    let messages: Vec<_> =
        numbers.iter().map(|&n| json!({ "ttl": 86_400, "body": body(n, bytes) })).collect();
    let text = json!({ "messages": messages }).to_string();
    request(address, "POST", MESSAGES, &text).map(|(status, _)| status)
}

/// The numbers of all messages in the queue, each body checked to be the one
/// that was posted with `bytes`. What could not be read is the error: a status.
fn numbers(address: SocketAddr, bytes: usize) -> Result<BTreeSet<u64>, u16> {
    let mut numbers = BTreeSet::new();
    let mut path = format!("{MESSAGES}?limit=1000&echo=true&include_claimed=true");
    loop {
        let (status, text) = request(address, "GET", &path, "").unwrap();
        if status != 200 {
            return Err(status);
        }
        let page: Value = serde_json::from_str(&text).unwrap();
        for message in page["messages"].as_array().unwrap() {
            let n = message["body"]["n"].as_u64().unwrap();
            assert_eq!(message["body"], body(n, bytes), "an altered message");
            assert!(numbers.insert(n), "message {n} comes twice");
        }
        match page["links"][0]["href"].as_str() {
            Some(next) => next.clone_into(&mut path),
            None => return Ok(numbers),
        }
    }
}

/// A load of posts by four clients, one message each, until it is told to end.
struct Load {
    end: AtomicBool,
    next: AtomicU64,
    acknowledged: Mutex<BTreeSet<u64>>,
}

impl Load {
    fn new() -> Self {
        Self {
            end: AtomicBool::new(false),
            next: AtomicU64::new(1),
            acknowledged: Mutex::default(),
        }
    }

    /// One client's part.
    fn post(&self, address: SocketAddr, bytes: usize) {
        while !self.end.load(Ordering::Acquire) {
            let n = self.next.fetch_add(1, Ordering::AcqRel);
            assert_eq!(post(address, &[n], bytes).unwrap(), 201);
            self.acknowledged.lock().unwrap().insert(n);
        }
    }

    /// What is acknowledged by now.
    fn acknowledged(&self) -> BTreeSet<u64> {
        self.acknowledged.lock().unwrap().clone()
    }

    /// Waits for `more` acknowledgements.
    fn wait_for(&self, more: usize) {
        let enough = self.acknowledged().len() + more;
        while self.acknowledged().len() < enough {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Runs `body` under this load.
    fn around<T>(&self, address: SocketAddr, bytes: usize, body: impl FnOnce() -> T) -> T {
        /// Ends the load on every way out, or a failed test would never end.
        struct End<'a>(&'a AtomicBool);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Release);
            }
        }
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| self.post(address, bytes));
            }
            let _end = End(&self.end);
            self.wait_for(50);
            body()
        })
    }
}
