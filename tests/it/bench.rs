//! The load generator tells the truth: what it reports is what a server saw.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a panic is how a failure is told"
)]

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use clap::Parser;
use nusku::bench::args::{Plan, Role};
use nusku::bench::report::Report;
use nusku::bench::tally::{Figures, Operation};
use nusku::bench::{self, BenchArgs, Failure};
use serde_json::{Value, json};

/// What a fake server does to a request instead of answering it well.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trick {
    /// Answers with this status.
    Refuse(u16),
    /// Closes the connection without an answer.
    HangUp,
    /// Announces that this answer is the connection's last.
    Close,
    /// Answers with a body that is no JSON.
    Babble,
}

/// The queues of a fake server and what was done to them.
#[derive(Default)]
struct Seen {
    /// Messages of each queue: (id, client).
    queues: HashMap<String, VecDeque<(u64, String)>>,
    claimed: HashMap<u64, u64>,
    posts: u64,
    posted: u64,
    deletes: u64,
    deleted: u64,
    clients: HashSet<String>,
    cleaned: HashSet<String>,
    requests: u64,
    connections: u64,
}

/// A server that knows just enough of the API, in memory.
#[derive(Clone)]
struct Fake {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Fake {
    /// A server that plays a trick on every `nth` request to a queue.
    fn start(nth: u64, trick: Trick) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake =
            Self { address: listener.local_addr().unwrap(), seen: Arc::new(Mutex::default()) };
        let accepting = fake.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = accepting.clone();
                serving.seen().connections += 1;
                thread::spawn(move || serving.serve(&stream, nth, trick).ok());
            }
        });
        fake
    }

    fn honest() -> Self {
        Self::start(u64::MAX, Trick::HangUp)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    fn serve(&self, stream: &TcpStream, nth: u64, trick: Trick) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut writer = stream;
        while let Some(request) = Request::read(&mut reader)? {
            let count = {
                let mut seen = self.seen();
                // Pings and the final clean-up always work.
                seen.requests += u64::from(request.is_work());
                if request.is_work() { seen.requests } else { 1 }
            };
            let tricked = count % nth == 0;
            let answer = match trick {
                Trick::HangUp if tricked => return Ok(()),
                Trick::Refuse(status) if tricked => answer(status, "", r#"{"title": "no"}"#),
                Trick::Babble if tricked => answer(200, "", "no JSON at all"),
                Trick::Close if tricked => {
                    let answer = self.seen().answer(&request);
                    writer.write_all(
                        answer.replacen('\n', "\nConnection: close\r\n", 1).as_bytes(),
                    )?;
                    return Ok(());
                }
                _ => self.seen().answer(&request),
            };
            writer.write_all(answer.as_bytes())?;
        }
        Ok(())
    }
}

/// A request as far as it matters here.
struct Request {
    method: String,
    /// The path's segments behind `/prefix/v2`.
    path: Vec<String>,
    query: HashMap<String, String>,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.strip_prefix("/some/where/v2/").expect("the prefix is part of each path");
        let path = path.split('/').map(str::to_owned).collect();
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        Ok(Some(Self { method, path, query, headers, body }))
    }

    fn is_work(&self) -> bool {
        self.path.len() > 2
    }

    fn limit(&self) -> usize {
        self.query["limit"].parse().unwrap()
    }
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    let length =
        if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("HTTP/1.1 {status} Whatever\r\n{headers}{length}\r\n{body}")
}

impl Seen {
    fn answer(&mut self, request: &Request) -> String {
        assert_eq!(request.headers["x-project-id"], "acme");
        assert_eq!(request.headers["x-auth-token"], "secret");
        let client = request.headers["client-id"].clone();
        assert_eq!(client.len(), 36);
        self.clients.insert(client.clone());
        let path: Vec<_> = request.path.iter().map(String::as_str).collect();
        match (request.method.as_str(), &path[..]) {
            ("GET", ["ping"]) => answer(204, "", ""),
            ("DELETE", ["queues", queue]) => {
                self.cleaned.insert((*queue).to_owned());
                answer(204, "", "")
            }
            ("POST", ["queues", queue, "messages"]) => self.post(queue, &client, request),
            ("GET", ["queues", queue, "messages"]) => self.list(queue, &client, request),
            ("POST", ["queues", queue, "claims"]) => self.claim(queue, request),
            ("DELETE", ["queues", queue, "messages"]) => {
                self.deletes += 1;
                for id in request.query["ids"].split(',') {
                    self.delete(queue, id, None);
                }
                answer(204, "", "")
            }
            ("DELETE", ["queues", queue, "messages", id]) => {
                self.deletes += 1;
                self.delete(queue, id, Some(&request.query["claim_id"]));
                answer(204, "", "")
            }
            _ => panic!("{} {path:?}", request.method),
        }
    }

    fn post(&mut self, queue: &str, client: &str, request: &Request) -> String {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        self.posts += 1;
        for message in body["messages"].as_array().unwrap() {
            assert_eq!(message["body"].as_str().unwrap().len() + 2, 100);
            self.posted += 1;
            let message = (self.posted, client.to_owned());
            self.queues.entry(queue.to_owned()).or_default().push_back(message);
        }
        answer(201, "", r#"{"resources": []}"#)
    }

    fn list(&mut self, queue: &str, client: &str, request: &Request) -> String {
        let marker = request.query.get("marker").map_or(0, |marker| marker.parse().unwrap());
        let messages = self.queues.entry(queue.to_owned()).or_default().iter();
        let page: Vec<_> = messages
            .filter(|(id, poster)| *id > marker && poster != client)
            .take(request.limit())
            .map(|(id, _)| *id)
            .collect();
        let links: Vec<_> = page.last().map(|last| {
            json!({"rel": "next", "href": format!("/v2/queues/{queue}/messages?marker={last}")})
        }).into_iter().collect();
        let messages: Vec<_> = page.iter().map(|id| json!({"id": id.to_string()})).collect();
        answer(200, "", &json!({"messages": messages, "links": links}).to_string())
    }

    fn claim(&mut self, queue: &str, request: &Request) -> String {
        let claim = self.requests;
        let messages = self.queues.entry(queue.to_owned()).or_default().iter();
        let free: Vec<_> = messages
            .map(|(id, _)| *id)
            .filter(|id| !self.claimed.contains_key(id))
            .take(request.limit())
            .collect();
        if free.is_empty() {
            return answer(204, "", "");
        }
        self.claimed.extend(free.iter().map(|id| (*id, claim)));
        let messages: Vec<_> =
            free.iter().map(|id| json!({"id": id.to_string(), "body": {"id": 1}})).collect();
        let location = format!("Location: /v2/queues/{queue}/claims/{claim}\r\n");
        answer(201, &location, &json!({"messages": messages}).to_string())
    }

    fn delete(&mut self, queue: &str, id: &str, claim: Option<&str>) {
        let id = id.parse().unwrap();
        let held = self.claimed.remove(&id).expect("only what was claimed is deleted");
        assert!(claim.is_none_or(|claim| claim == held.to_string()));
        self.queues.get_mut(queue).unwrap().retain(|(stored, _)| *stored != id);
        self.deleted += 1;
    }

    fn waiting(&self) -> usize {
        self.queues.values().map(VecDeque::len).sum()
    }
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    bench: BenchArgs,
}

/// Runs `nusku bench` with `flags` against `fake`.
async fn measure(fake: &Fake, flags: &str) -> Report {
    let url = format!("http://{}/some/where", fake.address);
    let common = ["bench", "--url", &url, "--project", "acme", "--token", "secret"];
    let sized = ["--message-size", "100", "--rest", "1"];
    let flags = common.into_iter().chain(sized).chain(flags.split_whitespace());
    let plan = Plan::new(Cli::parse_from(flags).bench).unwrap();
    bench::measure(&Arc::new(plan), std::future::pending(), false).await.unwrap()
}

fn row(report: &Report, role: Role, operation: Operation) -> &Figures {
    report.tally.get(role, operation).unwrap()
}

#[tokio::test]
async fn posts_are_counted_as_the_server_saw_them() {
    let fake = Fake::honest();
    let report = measure(&fake, "--producers 4 --batch 3 --requests 50 --threads 2").await;
    let (posts, seen) = (row(&report, Role::Producer, Operation::Post), fake.seen());
    assert_eq!((posts.requests, posts.messages, posts.failed()), (50, 150, 0));
    assert_eq!((seen.posts, seen.posted), (50, 150));
    assert_eq!(report.tally.rows().count(), 1);
    assert_eq!(report.tally.reconnects, 0);
    assert!(report.elapsed.as_secs_f64() > 0.0);
}

#[tokio::test]
async fn a_worker_keeps_its_connection() {
    let fake = Fake::honest();
    measure(&fake, "--producers 4 --requests 100 --no-clean").await;
    // One more than workers: the ping's.
    assert!(fake.seen().connections <= 5);
    assert!(fake.seen().clients.len() <= 5);
}

#[tokio::test]
async fn consumers_claim_and_delete_everything_once() {
    for each in ["", "--delete-each"] {
        let fake = Fake::honest();
        let flags = format!("--prefill 95 --consumers 3 --drain --queues 4 {each}");
        let report = measure(&fake, &flags).await;
        let (claims, deletes) = (
            row(&report, Role::Consumer, Operation::Claim),
            row(&report, Role::Consumer, Operation::Delete),
        );
        let seen = fake.seen();
        assert_eq!((seen.posted, seen.deleted, seen.waiting()), (95, 95, 0));
        assert_eq!((claims.messages, deletes.messages), (95, 95));
        assert_eq!(deletes.requests, seen.deletes);
        assert_eq!(deletes.requests, if each.is_empty() { claims.requests } else { 95 });
        // Each consumer looked into each queue and found nothing before it left.
        assert!(claims.empty >= 3 * 4, "{}", claims.empty);
        assert_eq!(claims.failed() + deletes.failed(), 0);
    }
}

#[tokio::test]
async fn observers_see_every_message_of_others_once() {
    let fake = Fake::honest();
    let report = measure(&fake, "--prefill 95 --observers 2 --requests 40 --page-limit 7").await;
    let pages = row(&report, Role::Observer, Operation::List);
    assert_eq!((pages.messages, pages.failed()), (2 * 95, 0));
    assert_eq!(pages.requests, 2 * 95_u64.div_ceil(7));
    assert_eq!(pages.requests + pages.empty, 40);
}

#[tokio::test]
async fn cyclers_post_claim_and_delete() {
    let fake = Fake::honest();
    let report = measure(&fake, "--cyclers 2 --batch 5 --claim-limit 5 --requests 30").await;
    let seen = fake.seen();
    assert_eq!((seen.posted, seen.deleted, seen.waiting()), (150, 150, 0));
    for operation in [Operation::Post, Operation::Claim, Operation::Delete] {
        assert_eq!(row(&report, Role::Cycler, operation).messages, 150);
    }
}

#[tokio::test]
async fn queues_are_deleted_in_the_end_unless_they_are_to_stay() {
    for (flag, deleted) in [("", 12), ("--no-clean", 0)] {
        let fake = Fake::honest();
        measure(&fake, &format!("--producers 1 --requests 1 --queues 12 {flag}")).await;
        assert_eq!(fake.seen().cleaned.len(), deleted);
    }
}

#[tokio::test]
async fn refused_requests_are_counted_by_status_and_not_as_done() {
    let fake = Fake::start(5, Trick::Refuse(503));
    let report = measure(&fake, "--producers 2 --requests 100").await;
    let posts = row(&report, Role::Producer, Operation::Post);
    assert_eq!((posts.requests, posts.messages), (80, 80));
    assert_eq!(posts.errors.iter().collect::<Vec<_>>(), [(&Failure::Status(503), &20)]);
    assert_eq!(fake.seen().posted, 80);
    assert_eq!(report.tally.reconnects, 0);
}

#[tokio::test]
async fn a_broken_connection_is_an_error_and_made_again() {
    let fake = Fake::start(10, Trick::HangUp);
    let report = measure(&fake, "--producers 1 --requests 35").await;
    let posts = row(&report, Role::Producer, Operation::Post);
    assert_eq!(posts.errors.iter().collect::<Vec<_>>(), [(&Failure::Connection, &3)]);
    assert_eq!((posts.requests, fake.seen().posted), (32, 32));
    assert_eq!(report.tally.reconnects, 3);
}

#[tokio::test]
async fn an_unreadable_answer_is_an_error() {
    let fake = Fake::start(2, Trick::Babble);
    let report = measure(&fake, "--observers 1 --requests 10").await;
    let pages = row(&report, Role::Observer, Operation::List);
    assert_eq!(pages.errors.iter().collect::<Vec<_>>(), [(&Failure::Unreadable, &5)]);
    assert_eq!((pages.requests, pages.empty), (0, 5));
}

#[tokio::test]
async fn a_connection_the_server_announced_to_close_is_no_error() {
    let fake = Fake::start(1, Trick::Close);
    let report = measure(&fake, "--producers 1 --requests 20").await;
    let posts = row(&report, Role::Producer, Operation::Post);
    assert_eq!((posts.requests, posts.failed(), fake.seen().posted), (20, 0, 20));
    assert_eq!(report.tally.reconnects, 19);
}

#[tokio::test]
async fn a_time_ends_a_run() {
    let fake = Fake::honest();
    let report = measure(&fake, "--producers 2 --duration 0.1").await;
    let posts = row(&report, Role::Producer, Operation::Post);
    assert!(report.elapsed.as_millis() >= 100);
    assert_eq!(posts.requests, fake.seen().posts);
}

#[tokio::test]
async fn the_warm_up_is_not_counted() {
    let fake = Fake::honest();
    let report = measure(&fake, "--producers 1 --requests 20 --warmup 0.1").await;
    assert_eq!(row(&report, Role::Producer, Operation::Post).requests, 20);
    assert!(fake.seen().posts >= 20);
}

#[tokio::test]
async fn a_rate_is_kept() {
    let fake = Fake::honest();
    let report = measure(&fake, "--producers 3 --requests 30 --rate 100").await;
    // The 30th turn is due 290 ms after the first.
    assert!(report.elapsed.as_millis() >= 280, "{:?}", report.elapsed);
    assert_eq!(row(&report, Role::Producer, Operation::Post).requests, 30);
}

#[tokio::test]
async fn an_interrupt_ends_the_measurement_but_not_the_report() {
    let fake = Fake::honest();
    let url = format!("http://{}/some/where", fake.address);
    let flags = ["bench", "--url", &url, "--project", "acme", "--token", "secret", "--producers"];
    let flags = flags.into_iter().chain(["1", "--message-size", "100", "--duration", "3600"]);
    let plan = Arc::new(Plan::new(Cli::parse_from(flags).bench).unwrap());
    let watched = fake.clone();
    let interrupt = async {
        while watched.seen().posts < 10 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    let report = bench::measure(&plan, interrupt, false).await.unwrap();
    assert!(report.interrupted);
    assert_eq!(row(&report, Role::Producer, Operation::Post).requests, fake.seen().posts);
    assert_eq!(fake.seen().cleaned.len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{gone}");
    let flags = ["bench", "--url", &url, "--producers", "1"];
    let plan = Arc::new(Plan::new(Cli::parse_from(flags).bench).unwrap());
    let fault = bench::measure(&plan, std::future::pending(), false).await.unwrap_err();
    assert!(fault.starts_with(&format!("cannot connect to {url}: ")), "{fault}");
}
