//! The server ends while thousands of notifications are due.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::json;

use super::receiver::{OK, Receiver, Told};
use super::{MESSAGES, SUBSCRIPTIONS};
use crate::cli::program::{Server, nusku, request, storage};

const SUBSCRIBERS: usize = 10;
const POSTED: usize = 1000;
/// A subscription is noted at the latest when so many of its messages were told.
const UNNOTED: usize = 65;

fn start(directory: &Path) -> Server {
    let config = directory.join("nusku.toml");
    let settings = "[notification.webhook]\nallowed_networks = [\"127.0.0.0/8\"]\n\
        [transport]\nmax_messages_per_page = 1000\n";
    fs::write(&config, settings).unwrap();
    let (config, storage) = (config.display().to_string(), storage(&directory.join("data")));
    let arguments = ["serve", "--port", "0", "--config", &config, "--storage", &storage];
    Server::spawn(&mut nusku(&arguments))
}

fn send(server: &Server, path: &str, body: &serde_json::Value) {
    let (status, answer) = request(server.address, "POST", path, &body.to_string()).unwrap();
    assert_eq!(status, 201, "{answer}");
}

/// Subscribes all and posts everything.
fn fill(server: &Server, receiver: &Receiver) {
    for number in 0..SUBSCRIBERS {
        let uri = receiver.uri(&format!("/{number}"));
        send(server, SUBSCRIPTIONS, &json!({ "subscriber": uri }));
    }
    for start in (0..POSTED).step_by(100) {
        let messages: Vec<_> = (start..start + 100).map(|it| json!({ "body": it })).collect();
        send(server, MESSAGES, &json!({ "messages": messages }));
    }
}

/// How often each subscriber was told of each message.
fn tally(told: &[Told]) -> HashMap<(String, u64), usize> {
    let mut tally = HashMap::new();
    for each in told {
        *tally.entry((each.path.clone(), each.body().as_u64().unwrap())).or_default() += 1;
    }
    tally
}

/// Everything that came, once everybody was told of everything.
fn all(receiver: &Receiver) -> Vec<Told> {
    receiver.until(|told| {
        told.len() >= SUBSCRIBERS * POSTED && tally(told).len() == SUBSCRIBERS * POSTED
    })
}

/// Whether each subscriber was told in order, but for what it was told again.
fn is_in_order(told: &[Told]) -> bool {
    let mut reached: HashMap<&str, u64> = HashMap::new();
    told.iter().all(|each| {
        let (next, number) = (reached.entry(&each.path).or_default(), each.body().as_u64());
        let number = number.unwrap();
        let fits = number <= *next;
        *next = (*next).max(number + 1);
        fits
    })
}

#[test]
fn a_kill_loses_nothing_and_repeats_little() {
    let (directory, receiver) = (tempfile::tempdir().unwrap(), Receiver::start(|_, _| OK));
    let mut server = start(directory.path());
    fill(&server, &receiver);
    let kills = 3;
    for kill in 1..=kills {
        receiver.told(kill * 2000);
        server.signal("KILL");
        server.wait();
        server = start(directory.path());
    }
    let told = all(&receiver);
    let repeated = told.len() - SUBSCRIBERS * POSTED;
    println!("{repeated} of {} notifications were repeated after {kills} kills", told.len());
    assert!(repeated <= kills * SUBSCRIBERS * UNNOTED, "{repeated}");
    assert!(is_in_order(&told));
}

#[test]
fn a_stop_loses_nothing_and_repeats_nothing() {
    let (directory, receiver) = (tempfile::tempdir().unwrap(), Receiver::start(|_, _| OK));
    let server = start(directory.path());
    fill(&server, &receiver);
    receiver.told(2000);
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
    let _server = start(directory.path());
    let told = all(&receiver);
    assert_eq!(told.len(), SUBSCRIBERS * POSTED);
    assert!(is_in_order(&told));
}
