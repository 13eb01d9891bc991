//! The server is killed in the middle of its work, again and again: whatever
//! it has acknowledged must be there when it comes back.
//!
//! `NUSKU_CRASH_ROUNDS` sets how often, `NUSKU_CRASH_SEED` other moments.

mod due;
mod ledger;

use std::env;
use std::io::Result;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use nusku::storage::embedded::admin;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::program::{Server, request};
use crate::dice::Dice;
use crate::support::mongod::{Databases, shared};
use ledger::{Batch, Ledger};

const QUEUE: &str = "/v2/queues/crash";
const PRODUCERS: usize = 4;

/// How long a busy machine may take to post for the first time.
const LOAD_LIMIT: Duration = Duration::from_secs(30);

fn number(variable: &str, usual: u64) -> u64 {
    env::var(variable).map_or(usual, |text| text.parse().expect(variable))
}

/// Where the server keeps its messages.
enum Place {
    Embedded(TempDir),
    Mongodb(Databases),
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    kill_again_and_again(&Place::Embedded(tempfile::tempdir().unwrap()), 20);
}

/// MongoDB goes on; what the server had begun there stays as it is.
#[test]
fn what_was_acknowledged_survives_a_kill_on_mongodb() {
    // The set lives in this runtime.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let databases = runtime.block_on(async { Databases::on(shared::single().await) });
    kill_again_and_again(&Place::Mongodb(databases), 6);
}

fn kill_again_and_again(place: &Place, usual: u64) {
    let (rounds, seed) = (number("NUSKU_CRASH_ROUNDS", usual), number("NUSKU_CRASH_SEED", 1));
    let ledger = Mutex::new(Ledger::default());
    for round in 0..rounds {
        let mut dice = Dice::for_user(seed, usize::try_from(round).unwrap());
        let server = start(place);
        kill_under_load(server, &ledger, &mut dice, round);
        if let Place::Embedded(data) = place {
            let report = admin::check(data.path()).unwrap();
            assert_eq!(report.faults, [""; 0], "round {round}");
        }

        let server = start(place);
        let kept = all_messages(server.address);
        let mut ledger = ledger.lock().unwrap();
        let settled = ledger.settle(&kept);
        settled.unwrap_or_else(|fault| panic!("round {round}, seed {seed}: {fault}"));
        assert_eq!(counted(server.address), kept.len(), "round {round}: the counts are right");
    }
    let Ledger { posts, deletes, .. } = *ledger.lock().unwrap();
    println!("{rounds} kills, {posts} acknowledged posts, {deletes} acknowledged deletes");
    assert!(posts as u64 >= rounds && deletes as u64 >= rounds, "there was no load");
}

fn start(place: &Place) -> Server {
    let mut command = crate::cli::program::nusku(&["serve", "--port", "0", "--log-level", "warn"]);
    match place {
        Place::Embedded(data) => {
            command.args(["--storage", &crate::cli::program::storage(data.path())]);
        }
        Place::Mongodb(databases) => {
            command
                .args(["--storage", &databases.uri])
                .env("NUSKU_STORAGE__MONGODB__DATABASE", &databases.prefix);
        }
    }
    command.env("NUSKU_TRANSPORT__MAX_MESSAGES_PER_PAGE", "10000");
    Server::spawn(&mut command)
}

/// Loads the server from several threads and kills it at some moment.
fn kill_under_load(server: Server, ledger: &Mutex<Ledger>, dice: &mut Dice, round: u64) {
    let address = server.address;
    let posts = ledger.lock().unwrap().posts;
    thread::scope(|threads| {
        for producer in 0..PRODUCERS {
            let mut dice = Dice::for_user(dice.below(u64::MAX), producer);
            threads.spawn(move || post(address, ledger, producer, round, &mut dice));
        }
        let mut worker = Dice::for_user(dice.below(u64::MAX), PRODUCERS);
        threads.spawn(move || until_cut_off(|| claim_and_delete(address, ledger, &mut worker)));
        threads.spawn(move || until_cut_off(|| delete_by_ids(address, ledger)));
        // Once there is load, the moment of the kill is the point.
        let begun = Instant::now();
        while ledger.lock().unwrap().posts == posts && begun.elapsed() < LOAD_LIMIT {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(30 + dice.below(400)));
        server.signal("KILL");
    });
    assert_eq!(server.wait().0, None, "ended by the signal");
}

/// Does it again and again, until the server answers no more.
fn until_cut_off(mut work: impl FnMut() -> Result<()>) {
    while work().is_ok() {}
}

/// Sends a request that must be answered with `status`, if at all.
fn expect(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &Value,
    statuses: &[u16],
) -> Result<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, answer) = request(address, method, path, &body)?;
    assert!(statuses.contains(&status), "{method} {path}: {status} {answer}");
    Ok(serde_json::from_str(&answer).unwrap_or_default())
}

fn post(address: SocketAddr, ledger: &Mutex<Ledger>, producer: usize, round: u64, dice: &mut Dice) {
    let mut posted = 0;
    until_cut_off(|| {
        let size = 1 + dice.below(8);
        let batch: Batch =
            (posted..posted + size).map(|it| format!("{producer} {round} {it}")).collect();
        posted += size;
        let messages: Vec<_> = batch.iter().map(|text| json!({ "body": text })).collect();
        ledger.lock().unwrap().send(producer, &batch);
        let path = format!("{QUEUE}/messages");
        let answer = expect(address, "POST", &path, &json!({ "messages": messages }), &[201])?;
        let ids = answer["resources"].as_array().unwrap().iter().map(id_in).collect();
        ledger.lock().unwrap().acknowledge(producer, ids);
        Ok(())
    });
}

/// The id at the end of a message's address.
fn id_in(address: &Value) -> String {
    address.as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

fn claim_and_delete(address: SocketAddr, ledger: &Mutex<Ledger>, dice: &mut Dice) -> Result<()> {
    let path = format!("{QUEUE}/claims?limit=10");
    let claim = expect(address, "POST", &path, &json!({ "ttl": 300, "grace": 60 }), &[201, 204])?;
    let messages = claim["messages"].as_array().cloned().unwrap_or_default();
    for message in &messages {
        if dice.below(3) == 0 {
            continue;
        }
        let text = message["body"].as_str().unwrap();
        ledger.lock().unwrap().send_delete(text);
        let path = message["href"].as_str().unwrap();
        expect(address, "DELETE", path, &Value::Null, &[204])?;
        ledger.lock().unwrap().acknowledge_delete(text.to_owned());
    }
    let Some(first) = messages.first() else { return Ok(()) };
    let (_, claim) = first["href"].as_str().unwrap().split_once("claim_id=").unwrap();
    expect(address, "DELETE", &format!("{QUEUE}/claims/{claim}"), &Value::Null, &[204])?;
    Ok(())
}

fn delete_by_ids(address: SocketAddr, ledger: &Mutex<Ledger>) -> Result<()> {
    let doomed = ledger.lock().unwrap().send_deletes(3);
    if doomed.is_empty() {
        thread::yield_now();
        // Asks only whether the server is still there.
        return expect(address, "GET", "/v2/ping", &Value::Null, &[204]).map(|_| ());
    }
    let ids: Vec<_> = doomed.iter().map(|(_, id)| id.as_str()).collect();
    let path = format!("{QUEUE}/messages?ids={}", ids.join(","));
    expect(address, "DELETE", &path, &Value::Null, &[204])?;
    for (text, _) in doomed {
        ledger.lock().unwrap().acknowledge_delete(text);
    }
    Ok(())
}

/// Text and id of every message, in the order of the listing.
fn all_messages(address: SocketAddr) -> Vec<(String, String)> {
    let mut path = format!("{QUEUE}/messages?limit=1000&echo=true&include_claimed=true");
    let mut all = Vec::new();
    loop {
        let page = expect(address, "GET", &path, &Value::Null, &[200]).unwrap();
        let messages = page["messages"].as_array().unwrap();
        if messages.is_empty() {
            return all;
        }
        let name = |it: &Value| it.as_str().unwrap().to_owned();
        all.extend(messages.iter().map(|it| (name(&it["body"]), name(&it["id"]))));
        page["links"][0]["href"].as_str().unwrap().clone_into(&mut path);
    }
}

fn counted(address: SocketAddr) -> usize {
    let path = format!("{QUEUE}/stats");
    let stats = expect(address, "GET", &path, &Value::Null, &[200]).unwrap();
    usize::try_from(stats["messages"]["total"].as_u64().unwrap()).unwrap()
}
