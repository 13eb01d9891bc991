//! Nobody has the server call what only the server can reach, however it is spelled.

use std::net::{TcpListener, ToSocketAddrs};

use nusku::channels::Webhook;
use nusku::service::notification::channel::Outcome;
use serde_json::json;

use super::receiver::{Reaction, Receiver};
use super::{defaults, refused, tell, webhook};

const REFUSAL: &str = "the subscriber's address is not one that this server calls";

/// A webhook as it is without any setting.
fn strict() -> Webhook {
    Webhook::new(&defaults().notification.webhook).unwrap()
}

/// Spellings of 127.0.0.1 and of what comes to the same.
const THIS_MACHINE: [&str; 25] = [
    "127.0.0.1",
    "localhost",
    "LOCALHOST",
    "127.0.0.1.",
    "2130706433",
    "0x7f000001",
    "0x7F.0x0.0x0.0x1",
    "017700000001",
    "0177.0.0.1",
    "127.1",
    "127.0.1",
    "127.000.000.001",
    "%31%32%37.0.0.1",
    "１２７.０.０.１",
    "127。0。0。1",
    "①②⑦.0.0.1",
    "0",
    "0.0.0.0",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
];

#[tokio::test]
async fn this_machine_is_not_called_by_any_name() {
    let receiver = Receiver::new([Reaction::Answer(200, "")]);
    let strict = strict();
    for host in THIS_MACHINE {
        let uri = format!("http://{host}:{}/", receiver.port());
        assert_eq!(refused(tell(&strict, &uri, json!({})).await), REFUSAL, "{host}");
    }
    assert_eq!(receiver.connections(), 0);
    // Most of these would have led there.
    let mut reached = 0;
    for host in THIS_MACHINE {
        let uri = format!("http://{host}:{}/", receiver.port());
        reached += usize::from(tell(&webhook(), &uri, json!({})).await == Outcome::Delivered);
    }
    assert!(reached >= 15, "{reached}");
    assert!(receiver.connections() > 0);
}

#[tokio::test]
async fn neighbours_and_metadata_are_not_called() {
    let strict = strict();
    for host in [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fc00::1]",
        "[2002:7f00:1::]",
        "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
        "168.63.129.16",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[ff02::1]",
    ] {
        let uri = format!("http://{host}/latest/meta-data/");
        assert_eq!(refused(tell(&strict, &uri, json!({})).await), REFUSAL, "{host}");
        let uri = format!("https://user@{host}:8443/");
        assert_eq!(refused(tell(&strict, &uri, json!({})).await), REFUSAL, "{host}");
    }
    for zone in ["http://[fe80::1%25lo]/", "http://[fe80::1%lo]/", "http://[::1%25lo]/"] {
        refused(tell(&strict, zone, json!({})).await);
    }
}

#[tokio::test]
async fn a_name_is_called_at_its_allowed_addresses_only() {
    // Some systems know this name by both protocols, some by one.
    let known = ("localhost", 0).to_socket_addrs().unwrap();
    if !known.clone().any(|address| address.is_ipv4()) {
        return;
    }
    let mut settings = defaults().notification.webhook;
    settings.allowed_networks = vec!["127.0.0.1".to_owned()];
    let only_v4 = Webhook::new(&settings).unwrap();
    let receiver = Receiver::new([Reaction::Answer(200, "")]);
    // Whoever listens on the other address hears nothing.
    let other = TcpListener::bind(("::1", receiver.port()));
    let uri = format!("http://localhost:{}/", receiver.port());
    assert_eq!(tell(&only_v4, &uri, json!({})).await, Outcome::Delivered);
    if let Ok(other) = other {
        other.set_nonblocking(true).unwrap();
        assert!(other.accept().is_err());
    }
    let uri = format!("http://[::1]:{}/", receiver.port());
    assert_eq!(refused(tell(&only_v4, &uri, json!({})).await), REFUSAL);
    let uri = format!("http://127.0.0.2:{}/", receiver.port());
    assert_eq!(refused(tell(&only_v4, &uri, json!({})).await), REFUSAL);
}
