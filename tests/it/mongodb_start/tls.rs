//! Encryption: what must fit on both sides. The certificates in `tls/` are for
//! these tests and nothing else.

use nusku::config::{CertificateRule, MongodbSettings};
use nusku::storage::DataDriver;

use super::{file, open, refusal, settings};
use crate::support::mongod::Mongod;

/// A server that wants encryption and a certificate of its clients.
fn strict() -> Mongod {
    let (server, ca) = (file("server.pem"), file("ca.pem"));
    let arguments =
        ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", &server, "--tlsCAFile", &ca];
    Mongod::start_with(&arguments)
}

fn trusting(ca: &str) -> MongodbSettings {
    MongodbSettings { ssl_ca_certs: Some(file(ca)), ..settings("sealed") }
}

#[tokio::test]
async fn a_certificate_on_each_side_is_enough() {
    let mongod = strict();
    let uri = format!("mongodb://127.0.0.1:{}/?tls=true", mongod.port());
    let own = Some(file("client.pem"));
    let good = MongodbSettings { ssl_certfile: own.clone(), ..trusting("ca.pem") };
    open(&uri, &good).await.unwrap().ping().await.unwrap();
    // As Zaqar spells it.
    let zaqars = MongodbSettings { ssl_keyfile: own, ..good.clone() };
    open(&uri.replace("tls=", "ssl="), &zaqars).await.unwrap().ping().await.unwrap();
    // Without a look at who it is.
    let blind = MongodbSettings {
        ssl_cert_reqs: CertificateRule::None,
        ssl_ca_certs: Some(file("stranger.pem")),
        ..good
    };
    open(&uri, &blind).await.unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn what_does_not_fit_is_named() {
    let mongod = strict();
    let plain = format!("mongodb://127.0.0.1:{}/", mongod.port());
    let uri = format!("{plain}?tls=true");
    let named = uri.replace("127.0.0.1", "localhost");
    let own = Some(file("client.pem"));
    let good = MongodbSettings { ssl_certfile: own.clone(), ..trusting("ca.pem") };
    let strange = MongodbSettings { ssl_certfile: own.clone(), ..trusting("stranger.pem") };
    let unknown = MongodbSettings { ssl_certfile: own, ..settings("sealed") };
    for (uri, settings, expected) in [
        (&plain, settings("sealed"), "storage.uri: it has no tls=true, but the servers want"),
        (&uri, strange, "storage.mongodb.ssl_ca_certs: 127.0.0.1:"),
        (&uri, unknown, "storage.mongodb.ssl_ca_certs: 127.0.0.1:"),
        (&uri, trusting("ca.pem"), "storage.mongodb.ssl_certfile: 127.0.0.1:"),
        (&named, good, "storage.uri: localhost:"),
    ] {
        let said = refusal(uri, &settings).await;
        assert!(said.starts_with(expected), "{uri}: {said}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_encrypt_is_refused_by_whoever_wants_it() {
    let mongod = Mongod::start(None);
    let uri = format!("mongodb://127.0.0.1:{}/?tls=true", mongod.port());
    let said = refusal(&uri, &trusting("ca.pem")).await;
    assert!(said.starts_with("storage.uri: it has tls=true, but the servers do not"), "{said}");
}
