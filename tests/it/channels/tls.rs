//! Webhooks behind TLS.

use std::sync::Arc;

use nusku::channels::Webhook;
use nusku::service::notification::channel::Outcome;
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::json;

use super::receiver::Receiver;
use super::{again, defaults, tell};

/// A certificate for this name, as PEM, and a server that has it.
pub fn certified(name: &str) -> (String, Arc<ServerConfig>) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    (made.cert.pem(), Arc::new(config))
}

fn webhook(ca_file: Option<&str>) -> Webhook {
    let mut settings = defaults().notification.webhook;
    settings.allowed_networks = vec!["127.0.0.1".to_owned()];
    settings.ca_file = ca_file.map(str::to_owned);
    Webhook::new(&settings).unwrap()
}

#[tokio::test]
async fn a_certificate_is_checked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let (pem, config) = certified("127.0.0.1");
    std::fs::write(&path, pem).unwrap();
    let receiver = Receiver::with_tls(config);
    let known = webhook(path.to_str());
    assert_eq!(tell(&known, &receiver.url("/x"), json!({})).await, Outcome::Delivered);
    assert_eq!(receiver.only().line, "POST /x");

    let reason = again(tell(&webhook(None), &receiver.url("/"), json!({})).await);
    assert!(reason.contains("certificate"), "{reason}");
    // The certificate of another host, though we know who signed it.
    let (pem, config) = certified("other.example.net");
    std::fs::write(&path, pem).unwrap();
    let other = Receiver::with_tls(config);
    let reason = again(tell(&webhook(path.to_str()), &other.url("/"), json!({})).await);
    assert!(reason.contains("certificate"), "{reason}");
    assert_eq!((receiver.received().len(), other.received().len()), (1, 0));
}

#[test]
fn certificates_that_cannot_be_read_are_told_of_at_once() {
    let mut settings = defaults().notification.webhook;
    settings.ca_file = Some("/nowhere/ca.pem".to_owned());
    let error = Webhook::new(&settings).unwrap_err().to_string();
    assert!(error.starts_with("cannot read the certificates in /nowhere/ca.pem: "), "{error}");
}
