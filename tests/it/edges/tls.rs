//! Encrypted connections, and certificates that change while the server runs.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nusku::bootstrap::{self, Running};
use nusku::clock::Clock;
use nusku::config::{Settings, Sources};
use rcgen::{CertifiedKey, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use serde_json::json;
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::{Message, client};
use uuid::Uuid;

/// A directory with a certificate, its key and a store.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Puts a fresh certificate with its key in the place of the old one.
    fn renew(&self) -> CertificateDer<'static> {
        let fresh = certificate();
        fs::write(self.path("server.key"), fresh.signing_key.serialize_pem()).unwrap();
        fs::write(self.path("server.pem"), fresh.cert.pem()).unwrap();
        fresh.cert.der().clone()
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings::load(&Sources::default()).unwrap();
        settings.http.port = 0;
        settings.http.workers = 1;
        settings.storage.uri = format!("embedded:{}", self.path("data").display());
        settings.http.tls.certificate = Some(self.path("server.pem"));
        settings.http.tls.key = Some(self.path("server.key"));
        settings
    }

    async fn start(&self) -> Running {
        bootstrap::start(&self.settings(), Clock::system()).await.unwrap()
    }

    async fn refusal(&self) -> String {
        let started = bootstrap::start(&self.settings(), Clock::system()).await;
        match started {
            Ok(running) => {
                running.stop().await;
                panic!("it started");
            }
            Err(error) => error.to_string(),
        }
    }
}

fn certificate() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap()
}

/// Asks for the versions of the API over a connection of its own.
async fn ask(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<String> {
    let trusted = trusted.clone();
    tokio::task::spawn_blocking(move || ask_blocking(address, trusted, version)).await.unwrap()
}

fn ask_blocking(
    address: SocketAddr,
    trusted: CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<String> {
    let mut stream = connect(address, trusted, version)?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: nusku\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    Ok(answer)
}

fn connect(
    address: SocketAddr,
    trusted: CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = address.ip().into();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_mins(1)))?;
    Ok(StreamOwned::new(client, socket))
}

#[tokio::test]
async fn both_versions_are_spoken_and_nothing_unencrypted() {
    let place = Place::new();
    let trusted = place.renew();
    let running = place.start().await;
    let address = running.address();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let answer = ask(address, &trusted, version).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 300 "), "{answer}");
    }
    let plain = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: nusku\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    });
    assert!(!plain.await.unwrap().contains("HTTP/"));
    let stranger = certificate().cert.der().clone();
    assert!(ask(address, &stranger, &rustls::version::TLS13).await.is_err());
    running.stop().await;
}

#[tokio::test]
async fn websockets_are_encrypted_on_both_ports() {
    let place = Place::new();
    let trusted = place.renew();
    let mut settings = place.settings();
    settings.websocket.enabled = true;
    settings.websocket.port = 0;
    let running = bootstrap::start(&settings, Clock::system()).await.unwrap();
    let own = running.websocket_address().unwrap();
    for (address, path) in [(own, "/"), (running.address(), "/v2/websocket")] {
        let trusted = trusted.clone();
        let create = move || {
            let stream = connect(address, trusted, &rustls::version::TLS13).unwrap();
            let request = format!("wss://{address}{path}");
            let (mut socket, _) = client::client(request, stream).unwrap();
            let create = json!({
                "action": "queue_create",
                "headers": {"Client-ID": Uuid::new_v4(), "X-Project-ID": "acme"},
                "body": {"queue_name": "orders"},
            });
            socket.send(Message::text(create.to_string())).unwrap();
            socket.read().unwrap().into_text().unwrap().to_string()
        };
        let reply = tokio::task::spawn_blocking(create).await.unwrap();
        assert!(reply.contains("\"status\":20") || reply.contains("\"status\": 20"), "{reply}");
        let plain = tokio::task::spawn_blocking(move || {
            let stream = TcpStream::connect(address).unwrap();
            client::client(format!("ws://{address}{path}"), stream).is_err()
        });
        assert!(plain.await.unwrap(), "{address} takes unencrypted connections too");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let place = Place::new();
    let first = place.renew();
    let running = place.start().await;
    let address = running.address();
    let version = &rustls::version::TLS13;
    ask(address, &first, version).await.unwrap();

    // Neither half a file nor a key of something else drives out what is good.
    fs::write(place.path("server.key"), certificate().signing_key.serialize_pem()).unwrap();
    fs::write(place.path("server.pem"), "-----BEGIN CERTIFICATE-----\nMII").unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    ask(address, &first, version).await.unwrap();

    let second = place.renew();
    let renewed = async {
        while ask(address, &second, version).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), renewed).await.unwrap();
    assert!(ask(address, &first, version).await.is_err(), "the old one is gone");
    running.stop().await;
}

#[tokio::test]
async fn a_certificate_that_is_no_good_keeps_the_server_from_starting() {
    let place = Place::new();
    let said = place.refusal().await;
    assert!(
        said.starts_with("http.tls.certificate: ") && said.ends_with("does not exist"),
        "{said}"
    );

    place.renew();
    fs::write(place.path("server.key"), certificate().signing_key.serialize_pem()).unwrap();
    let said = place.refusal().await;
    assert!(said.starts_with("http.tls.key: ") && said.contains("cannot be used with"), "{said}");

    fs::write(place.path("server.key"), "no key\n").unwrap();
    let said = place.refusal().await;
    assert!(said.ends_with("server.key has no private key in PEM format"), "{said}");

    place.renew();
    fs::write(place.path("server.pem"), "").unwrap();
    let said = place.refusal().await;
    assert!(said.ends_with("server.pem has no certificate in PEM format"), "{said}");
}
