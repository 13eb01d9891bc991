//! Mail that leaves by a command.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use lettre::Message;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::not_set_up;
use crate::config::MailSettings;
use crate::service::notification::channel::Outcome;

/// Settings can be in the environment, and secrets among them.
const OUR_VARIABLES: &str = "NUSKU_";

/// A command that takes a mail on its standard input.
#[derive(Debug)]
pub struct MailCommand {
    program: String,
    arguments: Vec<String>,
    timeout: Duration,
}

impl MailCommand {
    /// The command in the settings, which nobody has tried.
    pub fn new(settings: &MailSettings) -> Self {
        let mut words = settings.smtp_command.split_whitespace().map(str::to_owned);
        Self {
            program: words.next().unwrap_or_default(),
            arguments: words.collect(),
            timeout: Duration::from_secs(settings.timeout.into()),
        }
    }

    /// Has the command send a mail; one that takes too long is killed.
    pub async fn send(&self, letter: &Message) -> Outcome {
        let again = |reason: String| Outcome::TryAgain { reason, after: None };
        match tokio::time::timeout(self.timeout, self.run(&letter.formatted())).await {
            Ok(Ok(status)) if status.success() => Outcome::Delivered,
            Ok(Ok(status)) => {
                tracing::warn!(command = self.program, %status, "mail was not taken");
                again("the mail was not taken".to_owned())
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                tracing::warn!(command = self.program, "there is no such command for mail");
                not_set_up()
            }
            Ok(Err(error)) => {
                tracing::warn!(command = self.program, %error, "mail cannot be sent");
                again("the mail could not be sent".to_owned())
            }
            Err(_) => again(format!("the mail was not taken in {} s", self.timeout.as_secs())),
        }
    }

    async fn run(&self, mail: &[u8]) -> io::Result<ExitStatus> {
        let others = std::env::vars_os()
            .filter(|(name, _)| !name.to_string_lossy().starts_with(OUR_VARIABLES));
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(others)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            match input.write_all(mail).await {
                // It may have read enough; what it thinks of it is told by its end.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
                _ => {}
            }
        }
        child.wait().await
    }
}
