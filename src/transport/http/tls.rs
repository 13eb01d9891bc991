//! Encrypted connections: the certificate that the server shows, and how it is
//! exchanged while the server runs.
//!
//! rustls with ring; TLS 1.2 and 1.3. The API is spoken over HTTP/1.1 only,
//! encrypted or not, so that the limits on heads and bodies hold alike.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::config::TlsSettings;

/// Why a certificate cannot be used; every text is one clear sentence.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, or has not what it should have.
    #[error("{setting}: {} {reason}", .path.display())]
    File {
        /// The setting that names the file.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The files are well, but not together.
    #[error("http.tls.key: {} cannot be used with the certificate in {}: {reason}", .key.display(), .certificate.display())]
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What rustls said.
        reason: rustls::Error,
    },
    /// The TLS library does not take the configuration.
    #[error("http.tls: {0}")]
    Configuration(rustls::Error),
}

/// The certificate of the server. Whoever connects is shown what was last read
/// from the files and was good.
#[derive(Debug)]
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads the files that `settings` name; `None` if they name none.
    ///
    /// # Errors
    ///
    /// [`TlsError::File`], [`TlsError::Mismatch`].
    pub fn load(settings: &TlsSettings) -> Result<Option<Arc<Self>>, TlsError> {
        let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) else {
            return Ok(None);
        };
        let provider = Arc::new(ring::default_provider());
        let current = RwLock::new(Arc::new(read(certificate, key, &provider)?));
        let (chain, key) = (certificate.clone(), key.clone());
        Ok(Some(Arc::new(Self { chain, key, provider, current })))
    }

    /// Reads the files anew. If they are no good, the last certificate stays.
    ///
    /// # Errors
    ///
    /// As [`Certificate::load`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = Arc::new(read(&self.chain, &self.key, &self.provider)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// How connections are encrypted with it.
    ///
    /// # Errors
    ///
    /// [`TlsError::Configuration`].
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(self) as _;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(TlsError::Configuration)?;
        Ok(builder.with_no_client_auth().with_cert_resolver(resolver))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read(
    certificate: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    const CERTIFICATE: &str = "http.tls.certificate";
    let fault = |setting, path: &Path, reason: String| TlsError::File {
        setting,
        path: path.to_owned(),
        reason,
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fault(CERTIFICATE, certificate, in_words(error, "certificate")))?;
    if chain.is_empty() {
        let reason = "has no certificate in PEM format".to_owned();
        return Err(fault(CERTIFICATE, certificate, reason));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| fault("http.tls.key", key, in_words(error, "private key")))?;
    CertifiedKey::from_der(chain, private, provider).map_err(|reason| TlsError::Mismatch {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        reason,
    })
}

/// What is wrong with a file, as the end of a sentence.
fn in_words(error: pem::Error, wanted: &str) -> String {
    match error {
        pem::Error::Io(error) if error.kind() == io::ErrorKind::NotFound => {
            "does not exist".to_owned()
        }
        pem::Error::Io(error) => format!("cannot be read: {error}"),
        pem::Error::NoItemsFound => format!("has no {wanted} in PEM format"),
        error => format!("is not PEM: {error}"),
    }
}
