//! What the client's monitors see of the servers.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use mongodb::error::{Error as MongoError, ErrorKind};
use mongodb::event::EventHandler;
use mongodb::event::sdam::{SdamEvent, TopologyDescription, TopologyDescriptionChangedEvent};
use mongodb::{ServerInfo, ServerType};
use tokio::sync::watch;

use super::connect::{OpenError, Setback};
use super::options::{Target, URI};

/// The view of a client's monitors, kept up to date by them.
pub struct View(watch::Receiver<Option<TopologyDescription>>);

impl View {
    /// A view, and what a client must be given for it. From then on the log
    /// hears when the primary is lost and found again.
    #[must_use]
    pub fn new() -> (Self, EventHandler<SdamEvent>) {
        let (sender, receiver) = watch::channel(None);
        let is_lost = AtomicBool::new(false);
        let handler = EventHandler::callback(move |event| {
            if let SdamEvent::TopologyDescriptionChanged(event) = event {
                tell(&event, &is_lost);
                sender.send_replace(Some(event.new_description));
            }
        });
        (Self(receiver), handler)
    }

    /// Why no server can be used, if none can and none will by itself soon:
    /// each of them failed, or was found to be none of ours.
    pub fn judge(&mut self, target: &Target) -> Option<Desertion> {
        self.0.borrow_and_update().as_ref().and_then(|view| judge(view, target))
    }

    /// Completes once that is so.
    pub async fn deserted(&mut self, target: &Target) -> Desertion {
        loop {
            if let Some(found) = self.judge(target) {
                return found;
            }
            if self.0.changed().await.is_err() {
                return Desertion::Away("the client was closed".to_owned());
            }
        }
    }

    /// What is known of each server, for the log.
    #[must_use]
    pub fn report(&self) -> String {
        self.0.borrow().as_ref().map_or_else(|| "nothing is known yet".to_owned(), report)
    }
}

/// Why no server can be used.
pub enum Desertion {
    /// None answers.
    Away(String),
    /// They hang up before a word was said: encryption on one side only, or a
    /// proxy whose server is away.
    Cut(String),
    /// It will be the same next time.
    Refused(OpenError),
}

fn judge(view: &TopologyDescription, target: &Target) -> Option<Desertion> {
    if let Some(reason) = view.compatibility_error() {
        return Some(Desertion::Refused(OpenError::setting(URI, reason)));
    }
    let servers = view.servers();
    if servers.is_empty() {
        // The client drops what answers but does not belong to the set.
        let reason = format!(
            "{} answer, but not as members of the replica set that replicaSet names",
            target.hosts
        );
        return Some(Desertion::Refused(OpenError::setting(URI, &reason)));
    }
    if !servers.values().all(|server| server.error().is_some()) {
        return None;
    }
    if let Some(refused) = servers.values().find_map(refusal) {
        return Some(Desertion::Refused(refused));
    }
    let report = report(view);
    let is_cut = |server: &ServerInfo<'_>| server.error().is_some_and(is_cut);
    Some(if servers.values().any(is_cut) {
        Desertion::Cut(report)
    } else {
        Desertion::Away(report)
    })
}

/// What makes it useless to ask this server again.
fn refusal(server: &ServerInfo<'_>) -> Option<OpenError> {
    let error = server.error()?;
    let (host, said) = (server.address(), words(error));
    let (setting, what) = if said.contains("not valid for name") {
        (URI, "has a certificate for another name")
    } else if said.contains("invalid peer certificate") {
        ("storage.mongodb.ssl_ca_certs", "has a certificate that is not trusted")
    } else if said.contains(TLS_ALERT) || said.contains(TLS_HUNG_UP) {
        ("storage.mongodb.ssl_certfile", "wants another certificate of nusku, or one at all")
    } else if is_garbled(error) {
        (URI, "is no MongoDB server")
    } else if let Setback::Lasting(refused) = Setback::from(error.clone()) {
        return Some(refused);
    } else {
        return None;
    };
    Some(OpenError::setting(setting, &format_args!("{host} {what} ({said})")))
}

/// What the encryption library says when the other side knew it well enough to
/// take its leave, and when it hung up after the connection was encrypted.
const TLS_ALERT: &str = "received fatal alert";
const TLS_HUNG_UP: &str = "without sending TLS close_notify";

/// Whether an answer shows that the server encrypts, although the connection failed.
pub fn is_encrypting(error: &MongoError) -> bool {
    let said = error.to_string();
    said.contains(TLS_ALERT) || said.contains(TLS_HUNG_UP)
}

fn is_garbled(error: &MongoError) -> bool {
    match error.kind.as_ref() {
        ErrorKind::Io(error) => error.kind() == io::ErrorKind::InvalidData,
        ErrorKind::InvalidResponse { .. } | ErrorKind::Bson(_) => true,
        _ => false,
    }
}

/// Whether the server hung up.
fn is_cut(error: &MongoError) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match error.kind.as_ref() {
        ErrorKind::Io(error) => {
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
        }
        _ => false,
    }
}

/// A failure in the words of who found it, without the library's wrapping.
pub fn words(error: &MongoError) -> String {
    match error.kind.as_ref() {
        ErrorKind::Io(error) => error.to_string(),
        ErrorKind::Command(error) => error.message.clone(),
        ErrorKind::InvalidArgument { message, .. } => message.clone(),
        kind => kind.to_string(),
    }
}

/// Tells the log of a primary that was lost, or found after that.
fn tell(event: &TopologyDescriptionChangedEvent, is_lost: &AtomicBool) {
    let (before, after) = (primary(&event.previous_description), primary(&event.new_description));
    // With no servers left, it is the client that was closed.
    if let (Some(lost), None, false) = (&before, &after, event.new_description.servers().is_empty())
    {
        is_lost.store(true, Ordering::Relaxed);
        tracing::warn!(lost, "MongoDB has no primary");
    }
    if let (None, Some(primary)) = (&before, &after)
        && is_lost.swap(false, Ordering::Relaxed)
    {
        tracing::info!(primary, "MongoDB has a primary again");
    }
}

fn primary(view: &TopologyDescription) -> Option<String> {
    let servers = view.servers();
    let mut servers = servers.values();
    let is_primary = |server: &&ServerInfo<'_>| {
        matches!(server.server_type(), ServerType::RsPrimary | ServerType::Standalone)
    };
    servers.find(is_primary).map(|server| server.address().to_string())
}

fn report(view: &TopologyDescription) -> String {
    let servers = view.servers();
    let mut lines: Vec<_> = servers
        .values()
        .map(|server| match server.error() {
            Some(error) => format!("{}: {}", server.address(), words(error)),
            None => format!("{}: {}", server.address(), in_words(server.server_type())),
        })
        .collect();
    lines.sort();
    lines.join("; ")
}

fn in_words(kind: ServerType) -> &'static str {
    match kind {
        ServerType::Standalone => "a single server",
        ServerType::Mongos => "a mongos",
        ServerType::RsPrimary => "the primary",
        ServerType::RsSecondary => "a secondary",
        ServerType::RsArbiter => "an arbiter",
        ServerType::RsGhost => "a member of no replica set yet",
        _ => "not usable yet",
    }
}
