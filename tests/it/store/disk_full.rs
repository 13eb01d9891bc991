//! A disk that is full: a limit on how large the server's files may grow
//! stands in for it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::tempdir;

use super::{MESSAGES, assert_sound, numbers, post, serve, serving, stop};
use crate::cli::program::{Server, connect, head, request};

/// How large a file may grow at first.
const KIB: u32 = 3000;
const BODY_BYTES: usize = 2000;

/// The server, unable to let a file grow beyond `kib` KiB. The limit is soft,
/// so it can be lifted; its signal is ignored, so the write fails instead.
fn serve_within(dir: &Path, kib: u32) -> Server {
    let inner = serving(dir);
    let mut command = Command::new("bash");
    command.arg("-c").arg(format!("trap '' XFSZ; ulimit -S -f {kib}; exec \"$0\" \"$@\""));
    command.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Server::spawn(&mut command)
}

/// There is room again, for the server that runs.
fn make_room(server: &Server) {
    let pid = server.id().to_string();
    let lifted =
        Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:"]).status().unwrap();
    assert!(lifted.success());
}

/// Posts ten by ten, from `first` on, until the store is full; what was
/// acknowledged.
fn fill(server: &Server, first: u64) -> BTreeSet<u64> {
    let mut acknowledged = BTreeSet::new();
    for n in (first..first + 100_000).step_by(10) {
        let ten: Vec<_> = (n..n + 10).collect();
        match post(server.address, &ten, BODY_BYTES).unwrap() {
            201 => acknowledged.extend(ten),
            503 => return acknowledged,
            other => panic!("{other} from a full store"),
        }
    }
    panic!("the store never got full");
}

#[test]
fn a_full_disk_refuses_writes_answers_reads_and_recovers() {
    let data = tempdir().unwrap();
    let server = serve_within(data.path(), KIB);
    let mut kept = fill(&server, 1);
    assert!(kept.len() > 200, "{} were acknowledged", kept.len());

    // Some writes still find room, when the log has been copied meanwhile; then
    // they count. What is refused uses numbers up all the same.
    let (mut refused, mut next) = (0, 200_000);
    while refused < 20 {
        let hundred: Vec<_> = (next..next + 100).collect();
        next += 100;
        match post(server.address, &hundred, BODY_BYTES).unwrap() {
            201 => kept.extend(hundred),
            503 => refused += 1,
            other => panic!("{other} from a full store"),
        }
    }

    // Reads go on, and show what was acknowledged, no less and no more.
    assert_eq!(request(server.address, "GET", "/v2/ping", "").unwrap().0, 204);
    assert_eq!(numbers(server.address, BODY_BYTES), Ok(kept.clone()));
    let (status, text) = request(server.address, "GET", "/v2/queues/q/stats", "").unwrap();
    let counted: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &counted["messages"]["total"]), (200, &Value::from(kept.len())));

    make_room(&server);
    for n in 300_001..300_021 {
        assert_eq!(post(server.address, &[n], BODY_BYTES).unwrap(), 201, "there is room again");
        kept.insert(n);
    }
    assert_eq!(numbers(server.address, BODY_BYTES), Ok(kept.clone()));
    // At once, so that nothing can be put right at the end.
    server.signal("KILL");
    let (_, log) = server.wait();
    assert!(log.contains("a group of writes was rolled back") && !log.contains("panic"), "{log}");

    assert_sound(data.path());
    let server = serve(data.path());
    assert_eq!(numbers(server.address, BODY_BYTES), Ok(kept));
}

#[test]
fn a_refusal_says_when_to_try_again() {
    let data = tempdir().unwrap();
    let server = serve_within(data.path(), KIB);
    fill(&server, 1);
    let body = format!(r#"{{"messages": [{{"body": "{}"}}]}}"#, "x".repeat(200_000));
    let request = format!("{}\r\n{body}", head("POST", MESSAGES, body.len()));
    // A few may still find room, when the log has been copied meanwhile.
    let text = loop {
        let mut stream = connect(server.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        if !text.starts_with("HTTP/1.1 201 ") {
            break text;
        }
    };
    assert!(text.starts_with("HTTP/1.1 503 "), "{text}");
    assert!(text.to_lowercase().contains("\r\nretry-after: 5\r\n"), "{text}");
    let document: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(document["title"], "Service temporarily unavailable");
    assert_eq!(
        document["description"],
        "Messages could not be enqueued. Please try again in a few seconds."
    );
}

#[test]
fn a_server_that_is_killed_on_a_full_disk_has_lost_nothing() {
    let data = tempdir().unwrap();
    let server = serve_within(data.path(), KIB);
    let kept = fill(&server, 1);
    server.signal("KILL");
    server.wait();
    let server = serve(data.path());
    assert_eq!(numbers(server.address, BODY_BYTES), Ok(kept));
    stop(server);
    assert_sound(data.path());
}

#[test]
fn a_store_that_cannot_be_made_is_told() {
    let data = tempdir().unwrap();
    let inner = serving(data.path());
    let output = Command::new("bash")
        .args(["-c", "trap '' XFSZ; ulimit -S -f 1; exec \"$0\" \"$@\""])
        .arg(inner.get_program())
        .args(inner.get_args())
        .output()
        .unwrap();
    let sentence = crate::cli::program::refusal(&output);
    assert!(sentence.contains("the store cannot be opened: "), "{sentence}");
}
