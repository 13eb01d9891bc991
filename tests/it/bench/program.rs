//! `nusku bench` as it is used, against the real server.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::tempdir;

use crate::cli::program::{Server, nusku, request, stdout};

/// Runs `nusku bench` with `flags`; returns its JSON, checked to have ended
/// with `code`.
fn bench(server: SocketAddr, flags: &str, code: i32) -> Value {
    serde_json::from_str(&stdout(&run(server, &format!("{flags} --json")), code)).unwrap()
}

fn run(server: SocketAddr, flags: &str) -> std::process::Output {
    let url = format!("http://{server}");
    let mut arguments = vec!["bench", "--url", &url, "--project", "cli", "--message-size", "100"];
    arguments.extend(flags.split_whitespace());
    nusku(&arguments).output().unwrap()
}

/// Messages in the first `queues` queues.
fn total(server: SocketAddr, queues: u32) -> u64 {
    let stored = |queue| {
        let path = format!("/v2/queues/nusku-bench-{queue}/stats");
        let (_, body) = request(server, "GET", &path, "").unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        body["messages"]["total"].as_u64().unwrap()
    };
    (0..queues).map(stored).sum()
}

fn operation<'a>(report: &'a Value, name: &str) -> &'a Value {
    let operations = report["operations"].as_array().unwrap();
    operations.iter().find(|operation| operation["operation"] == name).unwrap()
}

#[test]
fn what_was_posted_is_there() {
    let data = tempdir().unwrap();
    let server = Server::start(&data, &[]);
    let flags = "--producers 4 --batch 5 --requests 100 --queues 3 --no-clean";
    let report = bench(server.address, flags, 0);
    assert_eq!(operation(&report, "post")["messages"], 500);
    assert_eq!(total(server.address, 3), 500);
}

#[test]
fn a_backlog_is_read_and_worked_off() {
    let data = tempdir().unwrap();
    let server = Server::start(&data, &[]);
    let flags = "--prefill 300 --queues 2 --observers 1 --requests 40 --no-clean";
    let report = bench(server.address, flags, 0);
    assert_eq!(operation(&report, "list")["messages"], 300);

    for (queues, each) in [(2, ""), (1, "--delete-each --prefill 300")] {
        let flags = format!("--consumers 3 --drain --queues {queues} --no-clean {each}");
        let report = bench(server.address, &flags, 0);
        assert_eq!(operation(&report, "claim")["messages"], 300);
        assert_eq!(operation(&report, "delete")["messages"], 300);
        assert_eq!(total(server.address, 2), 0);
    }
}

#[test]
fn a_cycle_leaves_nothing_behind() {
    let data = tempdir().unwrap();
    let server = Server::start(&data, &[]);
    let report = bench(server.address, "--cyclers 1 --batch 10 --requests 20 --queues 2", 0);
    for name in ["post", "claim", "delete"] {
        assert_eq!(operation(&report, name)["messages"], 200);
    }
    let (_, queues) = request(server.address, "GET", "/v2/queues", "").unwrap();
    let queues: Value = serde_json::from_str(&queues).unwrap();
    assert_eq!(queues["queues"], Value::Array(Vec::new()));
}

#[test]
fn a_refused_request_fails_the_run_unless_that_is_allowed() {
    let data = tempdir().unwrap();
    let server = Server::start(&data, &[]);
    let flags = "--producers 1 --requests 3 --ttl 1";
    let report = bench(server.address, flags, 1);
    assert_eq!(operation(&report, "post")["errors"]["400"], 3);
    assert_eq!(operation(&report, "post")["requests"], 0);
    bench(server.address, &format!("{flags} --allow-errors"), 0);
}

#[test]
fn without_a_server_or_a_purpose_nothing_is_measured() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (flags, code, reason) in [
        ("--producers 1", 1, "cannot connect to http://"),
        ("", 2, "nothing to do"),
        ("--producers none", 2, "--producers"),
    ] {
        let output = run(gone, flags);
        assert_eq!(stdout(&output, code), "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(reason), "{said}");
    }
}

#[test]
fn ctrl_c_prints_what_was_measured() {
    let data = tempdir().unwrap();
    let server = Server::start(&data, &[]);
    let url = format!("http://{}", server.address);
    let flags = ["bench", "--url", &url, "--producers", "1", "--duration", "3600", "--progress"];
    let mut command = nusku(&flags);
    let mut bench = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut progress = BufReader::new(bench.stderr.take().unwrap()).lines();
    // The first line comes after a second, the first post perhaps later.
    assert!(progress.any(|line| line.unwrap().contains("post")));
    let kill = format!("kill -INT {}", bench.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let mut table = String::new();
    bench.stdout.take().unwrap().read_to_string(&mut table).unwrap();
    assert!(bench.wait().unwrap().success());
    assert!(table.contains("s measured (interrupted), 1 connections"), "{table}");
    assert!(table.lines().nth(1).unwrap().starts_with("producer  post"), "{table}");
}

#[test]
fn the_disk_can_be_measured_for_scale() {
    let dir = tempdir().unwrap();
    let dir = dir.path().to_str().unwrap();
    let output = nusku(&["bench", "--disk", dir, "--duration", "0.1"]).output().unwrap();
    assert!(stdout(&output, 0).contains("appends of 1024 bytes flushed a second"));
    let missing = nusku(&["bench", "--disk", "/nonexistent"]).output().unwrap();
    stdout(&missing, 1);
}
