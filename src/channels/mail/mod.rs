//! Mail: a subscriber is told by a message in its mailbox.

mod command;
mod confirmation;
mod letter;
mod recipients;
mod smtp;

use async_trait::async_trait;
use lettre::Message;

use self::command::MailCommand;
use self::smtp::MailServer;
use crate::config::{MailSettings, MailTemplate, SmtpMode};
use crate::service::notification::channel::{Channel, Content, Notification, Outcome};

pub use self::recipients::Recipients;
pub use self::smtp::SetupError;

/// Sends mail.
#[derive(Debug)]
pub struct Mail {
    way: Way,
    sender: String,
    confirmation_url: Option<String>,
    hello: MailTemplate,
    goodbye: MailTemplate,
}

/// How mail leaves.
#[derive(Debug)]
enum Way {
    Command(MailCommand),
    Server(MailServer),
    /// By SMTP, to a server that nobody has named.
    None,
}

impl Mail {
    /// A channel with these settings; nobody is written to yet.
    ///
    /// # Errors
    ///
    /// If the certificates in `smtp_ca_file` cannot be read.
    pub fn new(settings: &MailSettings) -> Result<Self, SetupError> {
        let way = match (settings.smtp_mode, &settings.smtp_host) {
            (SmtpMode::ThirdPart, _) => Way::Command(MailCommand::new(settings)),
            (SmtpMode::SelfLocal, Some(host)) => Way::Server(MailServer::new(host, settings)?),
            (SmtpMode::SelfLocal, None) => Way::None,
        };
        Ok(Self {
            way,
            sender: settings.sender.clone(),
            confirmation_url: settings.external_confirmation_url.clone(),
            hello: settings.subscription_confirmation_email_template.clone(),
            goodbye: settings.unsubscribe_confirmation_email_template.clone(),
        })
    }

    fn write(&self, notification: &Notification) -> Result<Message, String> {
        let Content::Confirmation { is_goodbye, url, endpoint } = &notification.content else {
            return letter::of_message(notification, &self.sender);
        };
        let Some(base) = &self.confirmation_url else {
            tracing::error!(
                "a subscriber cannot be asked to confirm by mail: \
                 notification.mail.external_confirmation_url is unset"
            );
            return Err("this server is not set up to ask for a confirmation by mail".to_owned());
        };
        let link = confirmation::link(base, notification, url, endpoint.as_deref());
        let template = if *is_goodbye { &self.goodbye } else { &self.hello };
        letter::of_confirmation(notification, template, &link)
    }
}

#[async_trait]
impl Channel for Mail {
    fn target(&self, _: &str) -> String {
        // However many hosts they are for, all letters go to one.
        "mailto:".to_owned()
    }

    async fn deliver(&self, notification: &Notification) -> Outcome {
        let letter = match self.write(notification) {
            Ok(letter) => letter,
            Err(reason) => return Outcome::Refused { reason },
        };
        match &self.way {
            Way::Command(command) => command.send(&letter).await,
            Way::Server(server) => server.send(&letter).await,
            Way::None => not_set_up(),
        }
    }
}

/// What comes of a mail where there is no way to send it.
fn not_set_up() -> Outcome {
    Outcome::Refused { reason: "this server is not set up to send mail".to_owned() }
}
