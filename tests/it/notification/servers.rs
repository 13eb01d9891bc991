//! Several servers with one MongoDB.

use std::collections::HashSet;

use serde_json::json;

use super::receiver::{OK, Receiver};
use super::{numbers, subscribe};
use crate::support::TestApp;
use crate::support::mongod::{Databases, shared};

fn server(databases: &Databases, delivers: bool) -> TestApp {
    let (uri, database) = (databases.uri.clone(), databases.prefix.clone());
    TestApp::whole(|settings| {
        settings.storage.uri = uri;
        settings.storage.mongodb.database = database;
        settings.notification.enabled = delivers;
        settings.notification.webhook.allowed_networks = vec!["127.0.0.0/8".to_owned()];
    })
}

fn databases(runtime: &tokio::runtime::Runtime) -> Databases {
    runtime.block_on(async { Databases::on(shared::single().await) })
}

/// Lets time pass for the servers until the receiver was told so often: slowly enough
/// for a busy machine to renew what it holds.
fn pass_until_told(servers: &[&TestApp], receiver: &Receiver, count: usize) {
    while receiver.so_far().len() < count {
        servers.iter().for_each(|server| server.advance(1));
        std::thread::sleep(std::time::Duration::from_millis(250));
    }
}

#[test]
fn what_one_server_takes_in_another_one_tells() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (databases, receiver) = (databases(&runtime), Receiver::start(|_, _| OK));
    let (silent, telling) = (server(&databases, false), server(&databases, true));
    subscribe(&silent, &receiver.uri("/"));
    silent.post_bodies("news", &numbers(0..10));
    pass_until_told(&[&silent, &telling], &receiver, 10);
    let bodies: Vec<_> = receiver.told(10).iter().map(super::receiver::Told::body).collect();
    assert_eq!(bodies, numbers(0..10));
}

#[test]
fn two_servers_share_the_work_and_tell_nobody_twice() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (databases, receiver) = (databases(&runtime), Receiver::start(|_, _| OK));
    let servers = [server(&databases, true), server(&databases, true)];
    for number in 0..10 {
        subscribe(&servers[0], &receiver.uri(&format!("/{number}")));
    }
    for (turn, start) in (0..100).step_by(5).enumerate() {
        servers[turn % 2].post_bodies("news", &numbers(start..start + 5));
    }
    pass_until_told(&[&servers[0], &servers[1]], &receiver, 1000);
    // When the first one leaves, the other one goes on with what comes.
    let [first, second] = servers;
    drop(first);
    second.post_bodies("news", &[json!(100)]);
    pass_until_told(&[&second], &receiver, 1010);
    let told = receiver.told(1010);
    assert_eq!(told.len(), 1010);
    let pairs: HashSet<_> = told.iter().map(|it| (it.path.clone(), it.text.clone())).collect();
    assert_eq!(pairs.len(), 1010);
}
