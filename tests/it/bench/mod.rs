//! The load generator tells the truth: what it reports is what a server saw.

mod fake;
mod program;

use std::net::TcpListener;
use std::sync::Arc;

use clap::Parser;
use fake::{Fake, Trick};
use nusku::bench::args::{Plan, Role};
use nusku::bench::report::Report;
use nusku::bench::tally::{Figures, Operation};
use nusku::bench::{self, BenchArgs, Failure};

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
    let report = measure(&fake, "--prefill 95 --observers 1 --requests 20 --page-limit 7").await;
    let pages = row(&report, Role::Observer, Operation::List);
    assert_eq!((pages.messages, pages.failed()), (95, 0));
    assert_eq!((pages.requests, pages.empty), (14, 6));
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
