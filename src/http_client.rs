//! HTTP requests that the server itself makes.
//!
//! No redirect is ever followed: what a request carries, a password or a token,
//! goes to the one address that was configured. Answers are bounded in size and
//! time.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: usize = 1 << 20;

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_mins(1);

/// Whose certificates are taken.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// Those that browsers take.
    WebRoots,
    /// Those signed by somebody in this PEM file.
    File(&'a Path),
    /// The first one in this PEM file, whatever name it is for.
    Certificate(&'a Path),
    /// Everybody's: encrypted, but to nobody knows whom.
    Anybody,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The certificates cannot be read.
    #[error("cannot read the certificates in {}: {reason}", .path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// TLS does not work at all.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Why there is no answer, for the log; never with what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

/// A client that keeps its connections.
#[derive(Clone, Debug)]
pub struct HttpClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl HttpClient {
    /// A client that waits `connect_timeout` for each address of a host.
    ///
    /// # Errors
    ///
    /// [`ClientError`], most likely about the file of certificates.
    pub fn new(trust: Trust<'_>, connect_timeout: Duration) -> Result<Self, ClientError> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(connect_timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(trust)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self(client))
    }

    /// Sends a request and reads the whole answer. Whoever has no time without
    /// end puts a timeout around it.
    ///
    /// # Errors
    ///
    /// [`Failure`]; the request may have been served all the same.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Failure> {
        let answer = self.0.request(request).await.map_err(|error| Failure::because(&error))?;
        let (head, body) = answer.into_parts();
        match Limited::new(body, LARGEST_ANSWER).collect().await {
            Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
            Err(error) => Err(Failure::because(error.as_ref())),
        }
    }
}

impl Failure {
    /// The whole chain of causes: the first says little more than "error".
    fn because(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            // Writing to a string does not fail.
            let _ = write!(text, ": {cause}");
            source = cause.source();
        }
        Self(text)
    }
}

/// How connections to whom one trusts are encrypted.
///
/// # Errors
///
/// [`ClientError`], most likely about the file of certificates.
pub fn tls(trust: Trust<'_>) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let unreadable = |path: &Path, reason| ClientError::Certificates { path: path.into(), reason };
    let only = match trust {
        Trust::WebRoots => {
            let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
            let roots: RootCertStore = roots.collect();
            return Ok(builder.with_root_certificates(roots).with_no_client_auth());
        }
        Trust::File(path) => {
            let roots = read_roots(path).map_err(|reason| unreadable(path, reason))?;
            return Ok(builder.with_root_certificates(roots).with_no_client_auth());
        }
        Trust::Anybody => None,
        Trust::Certificate(path) => {
            let only = CertificateDer::from_pem_file(path);
            Some(only.map_err(|error| unreadable(path, error.to_string()))?)
        }
    };
    let verifier = Arc::new(NoNames { provider, only });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn read_roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("there is none".to_owned()) } else { Ok(roots) }
}

/// Takes one certificate, or every one, as long as the server has its key; asks
/// for no name and no signature.
#[derive(Debug)]
struct NoNames {
    provider: Arc<CryptoProvider>,
    only: Option<CertificateDer<'static>>,
}

impl ServerCertVerifier for NoNames {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.only {
            Some(only) if only != shown => {
                Err(rustls::Error::General("the server shows another certificate".to_owned()))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
