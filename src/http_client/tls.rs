//! Whom a client believes to be who they say they are.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::{ClientError, Trust};

/// How connections to whom one trusts are encrypted.
///
/// # Errors
///
/// [`ClientError`], most likely about the file of certificates.
pub fn tls(trust: Trust<'_>) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let by_roots = |roots| Ok(builder.clone().with_root_certificates(roots).with_no_client_auth());
    let only = match trust {
        Trust::WebRoots => return by_roots(web_roots()),
        Trust::File(path) => return by_roots(read_roots(path, RootCertStore::empty())?),
        Trust::WebRootsAnd(path) => return by_roots(read_roots(path, web_roots())?),
        Trust::Certificate(path) => Some(first_of(path)?),
        Trust::Anybody => None,
    };
    let verifier = Arc::new(NoNames { provider, only });
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    Ok(builder.with_no_client_auth())
}

fn first_of(path: &Path) -> Result<CertificateDer<'static>, ClientError> {
    CertificateDer::from_pem_file(path).map_err(|error| ClientError::Certificates {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

fn web_roots() -> RootCertStore {
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
}

/// Adds the certificates of a file, of which there must be one at least.
fn read_roots(path: &Path, mut roots: RootCertStore) -> Result<RootCertStore, ClientError> {
    let unusable = |reason| ClientError::Certificates { path: path.to_owned(), reason };
    let before = roots.len();
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.len() == before { Err(unusable("there is none".to_owned())) } else { Ok(roots) }
}

/// Takes one certificate, or every one, as long as the server has its key; asks
/// for no name and for nobody's signature.
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
