//! A whole server in this process, as other tests may want it.

use std::net::TcpStream;
use std::time::Duration;

use nusku::bootstrap::{self, StartError};
use nusku::clock::Clock;
use nusku::config::{Settings, Sources};
use tempfile::{TempDir, tempdir};

fn settings(data: &TempDir) -> Settings {
    let variables = [
        ("NUSKU_HTTP__PORT", "0".to_owned()),
        ("NUSKU_HTTP__WORKERS", "1".to_owned()),
        ("NUSKU_STORAGE__URI", format!("embedded:{}", data.path().display())),
    ];
    let environment = variables.map(|(name, text)| (name.to_owned(), text)).into();
    Settings::load(&Sources { environment, ..Sources::default() }).unwrap()
}

#[tokio::test]
async fn a_server_starts_stops_and_lets_go_of_all_it_had() {
    let data = tempdir().unwrap();
    let mut address = None;
    // Twice: the second start needs the directory that the first one had.
    for _ in 0..2 {
        let mut running = bootstrap::start(&settings(&data), Clock::system()).await.unwrap();
        address = Some(running.address());
        TcpStream::connect(running.address()).unwrap();
        let ended = tokio::time::timeout(Duration::from_millis(1), running.ended()).await;
        assert!(ended.is_err(), "it does not end by itself");
        running.stop().await;
    }
    assert!(TcpStream::connect(address.unwrap()).is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_start_that_fails_leaves_nothing_behind() {
    let data = tempdir().unwrap();
    let running = bootstrap::start(&settings(&data), Clock::system()).await.unwrap();
    let second = bootstrap::start(&settings(&data), Clock::system()).await;
    assert!(matches!(second, Err(StartError::Store { .. })), "the directory is in use");

    let mut same_port = settings(&data);
    same_port.http.port = running.address().port();
    let third = bootstrap::start(&same_port, Clock::system()).await;
    assert!(matches!(third, Err(StartError::Listen { .. })), "the port is in use");
    running.stop().await;
    bootstrap::start(&same_port, Clock::system()).await.unwrap().stop().await;
}
