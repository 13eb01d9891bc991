//! Mail that leaves by SMTP.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::{self, AsyncSmtpTransport};
use lettre::{AsyncTransport, Message, Tokio1Executor};

use crate::config::{MailSettings, SmtpTls, is_this_machine};
use crate::service::notification::channel::Outcome;

/// Answers about who we are and how we are connected. It is the operator who can do
/// something about them, not whoever subscribed, and mail may pass afterwards.
const ABOUT_US: [u16; 4] = [530, 534, 535, 538];

/// Why no mail can leave by SMTP; one clear sentence.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The certificates cannot be read.
    #[error("cannot read the certificates in {}: {reason}", .path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// TLS does not work for this host.
    #[error("cannot set up TLS to the mail server: {0}")]
    Tls(smtp::Error),
}

/// A mail server.
pub struct MailServer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    timeout: Duration,
}

impl std::fmt::Debug for MailServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailServer").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl MailServer {
    /// The mail server on `host`, which nobody has tried.
    ///
    /// # Errors
    ///
    /// If the certificates in `smtp_ca_file` cannot be read.
    pub fn new(host: &str, settings: &MailSettings) -> Result<Self, SetupError> {
        let (port, tls) = match settings.smtp_tls {
            SmtpTls::Implicit => (465, Tls::Wrapper(parameters(host, settings)?)),
            SmtpTls::Starttls => (587, Tls::Required(parameters(host, settings)?)),
            SmtpTls::None => (25, Tls::None),
        };
        if settings.smtp_tls == SmtpTls::None && !is_this_machine(host) {
            tracing::warn!(
                host,
                "notification.mail.smtp_tls is none: mail and password can be read on the way"
            );
        }
        let timeout = Duration::from_secs(settings.timeout.into());
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(settings.smtp_port.unwrap_or(port))
            .tls(tls)
            .timeout(Some(timeout));
        if let (Some(name), Some(password)) =
            (&settings.smtp_user_name, &settings.smtp_user_password)
        {
            builder = builder.credentials(Credentials::new(name.clone(), password.clone()));
        }
        Ok(Self { transport: builder.build(), timeout })
    }

    /// Has the server take a mail, by a connection of its own.
    pub async fn send(&self, letter: &Message) -> Outcome {
        let sent = tokio::time::timeout(self.timeout, self.transport.send(letter.clone())).await;
        let error = match sent {
            Ok(Ok(_)) => return Outcome::Delivered,
            Ok(Err(error)) => error,
            Err(_) => {
                let reason = format!("the mail was not taken in {} s", self.timeout.as_secs());
                return Outcome::TryAgain { reason, after: None };
            }
        };
        let Some(code) = error.status().map(u16::from) else {
            tracing::warn!(%error, "the mail server cannot be used");
            let reason = "the mail server could not be reached".to_owned();
            return Outcome::TryAgain { reason, after: None };
        };
        if ABOUT_US.contains(&code) {
            tracing::warn!(%error, "the mail server does not let us in");
            let reason = "the mail server did not take the mail from us".to_owned();
            return Outcome::TryAgain { reason, after: None };
        }
        let reason = format!("the mail server answered with {code}");
        if error.is_permanent() {
            Outcome::Refused { reason }
        } else {
            Outcome::TryAgain { reason, after: None }
        }
    }
}

fn parameters(host: &str, settings: &MailSettings) -> Result<TlsParameters, SetupError> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = &settings.smtp_ca_file {
        let unreadable = |reason| SetupError::Certificates { path: PathBuf::from(path), reason };
        let pem = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let certificate =
            Certificate::from_pem(&pem).map_err(|error| unreadable(error.to_string()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(SetupError::Tls)
}
