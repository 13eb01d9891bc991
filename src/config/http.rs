//! `[http]`: where the HTTP front end listens, and what it puts up with.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::validate::{Check, check_text, fault, within};

/// The largest number of threads the HTTP server takes.
const MOST_WORKERS: u64 = 512;

/// What the HTTP implementation below reads at most; above that it answers by
/// itself, without a document.
const LARGEST_URI: u64 = 65_534;
const LARGEST_HEADERS: u64 = 131_072;
const MOST_HEADERS: u64 = 96;

/// The HTTP front end.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Address to listen on.
    pub bind: String,
    /// Port to listen on; 0 lets the system choose.
    pub port: u16,
    /// Worker threads; 0 means one per core.
    pub workers: usize,
    /// Longest wait for requests in flight when the server stops, in seconds.
    pub shutdown_timeout: u32,
    /// Most open connections of each worker.
    pub max_connections: usize,
    /// Longest path and query of a request, in bytes.
    pub max_uri_bytes: usize,
    /// Largest sum of the names and values of a request's headers, in bytes.
    pub max_header_bytes: usize,
    /// Most headers of a request.
    pub max_headers: usize,
    /// Longest wait for a TLS handshake, and then for the first head, in seconds.
    pub head_timeout: u32,
    /// Longest wait for the whole body of a request, in seconds.
    pub body_timeout: u32,
    /// How long a connection without a request stays open, in seconds.
    pub keep_alive: u32,
    /// Networks of proxies that are believed who their client is.
    pub trusted_proxies: Vec<String>,
    /// The header that those proxies write.
    pub forwarded_header: ForwardedHeader,
    /// Encryption of connections.
    pub tls: TlsSettings,
}

/// The header in which a proxy tells whom it speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum ForwardedHeader {
    /// The usual one, a list of addresses.
    #[serde(rename = "X-Forwarded-For")]
    XForwardedFor,
    /// That of RFC 7239.
    #[serde(rename = "Forwarded")]
    Forwarded,
}

/// Encryption of connections; none unless both files are named.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// A PEM file with the certificate of the server and those above it.
    pub certificate: Option<PathBuf>,
    /// A PEM file with the key of the first certificate.
    pub key: Option<PathBuf>,
}

impl TlsSettings {
    /// Whether connections are encrypted.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.certificate.is_some()
    }

    /// The files that are named, to be watched for changes.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        [&self.certificate, &self.key].into_iter().flatten().cloned()
    }
}

impl HttpSettings {
    /// The networks of `trusted_proxies`; a single address is one of its own.
    #[must_use]
    pub fn trusted_networks(&self) -> Vec<IpNet> {
        self.trusted_proxies.iter().filter_map(|text| network(text)).collect()
    }
}

/// A network; a single address is one of its own.
pub(super) fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse().ok().map(|address: IpAddr| address.into()))
}

pub(super) fn check(http: &HttpSettings) -> Check {
    check_text("http.bind", Some(&http.bind))?;
    within("http.workers", http.workers, 0..=MOST_WORKERS)?;
    within("http.shutdown_timeout", http.shutdown_timeout, 0..=3_600)?;
    within("http.max_connections", http.max_connections, 1..=1_000_000)?;
    within("http.max_uri_bytes", http.max_uri_bytes, 1_024..=LARGEST_URI)?;
    within("http.max_header_bytes", http.max_header_bytes, 1_024..=LARGEST_HEADERS)?;
    within("http.max_headers", http.max_headers, 8..=MOST_HEADERS)?;
    within("http.head_timeout", http.head_timeout, 1..=3_600)?;
    within("http.body_timeout", http.body_timeout, 1..=3_600)?;
    within("http.keep_alive", http.keep_alive, 1..=3_600)?;
    if let Some(text) = http.trusted_proxies.iter().find(|text| network(text).is_none()) {
        let expected = "networks such as 10.0.0.0/8 or fd00::/8, or single addresses";
        return Err(fault("http.trusted_proxies", format!("{text:?}"), expected));
    }
    check_tls(&http.tls)
}

fn check_tls(tls: &TlsSettings) -> Check {
    let TlsSettings { certificate, key } = tls;
    let of = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
    check_text("http.tls.certificate", of(certificate).as_deref())?;
    check_text("http.tls.key", of(key).as_deref())?;
    let alone = |name, path: &Path, other| {
        let expected = format!("a file named together with {other}, which is unset");
        Err(fault(name, format!("{:?}", path.display().to_string()), expected))
    };
    match (certificate, key) {
        (Some(path), None) => alone("http.tls.certificate", path, "http.tls.key"),
        (None, Some(path)) => alone("http.tls.key", path, "http.tls.certificate"),
        _ => Ok(()),
    }
}
