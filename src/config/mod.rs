//! Settings: defaults, then a file, then the environment, then flags.
//!
//! The defaults are `etc/nusku.toml`, which is also the manual. A name that is
//! not in it and a value out of its range are refused, wherever they are given:
//! a server that starts does what its settings say.

mod auth;
mod channels;
mod cors;
mod encryption;
mod http;
pub mod import;
mod load;
mod notification;
mod policy;
mod pooling;
mod redact;
mod subscriber;
mod validate;
mod waiting;
mod websocket;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use auth::{AuthSettings, AuthStrategy, KeystoneSettings, TokenSettings};
pub use channels::{
    MailSettings, MailTemplate, SmtpMode, SmtpTls, TrusteeSettings, WebhookSettings,
    is_this_machine,
};
pub use cors::CorsSettings;
pub use encryption::EncryptionSettings;
pub use http::{ForwardedHeader, HttpSettings, TlsSettings};
pub use load::{ConfigError, Flag, Sources};
pub use notification::NotificationSettings;
pub use policy::PolicySettings;
pub use pooling::{Overridden, PoolingSettings};
pub use redact::shown_uri;
pub use subscriber::SubscriberType;
pub use waiting::WaitingSettings;
pub use websocket::WebsocketSettings;

/// The settings file that documents every option, compiled in as the defaults.
pub const DEFAULTS: &str = include_str!("../../etc/nusku.toml");

/// Everything an operator can set.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Serve `/v2/health`, and with pools `/v2/pools` and `/v2/flavors`.
    pub admin_mode: bool,
    /// Keep an MD5 checksum with every message and show it.
    pub enable_checksum: bool,
    /// Limits and defaults a client can run into.
    pub transport: Limits,
    /// Who is believed to be who.
    pub auth: AuthSettings,
    /// Who may do what.
    pub policy: PolicySettings,
    /// Pre-signed URLs.
    pub signed_url: SignedUrlSettings,
    /// The HTTP front end.
    pub http: HttpSettings,
    /// The WebSocket front end.
    pub websocket: WebsocketSettings,
    /// Pages of other origins.
    pub cors: CorsSettings,
    /// Keys of message bodies at rest.
    pub encryption: EncryptionSettings,
    /// Where messages are kept.
    pub storage: StorageSettings,
    /// Requests that wait for messages, and streams.
    pub waiting: WaitingSettings,
    /// Telling subscribers.
    pub notification: NotificationSettings,
    /// Spreading queues over several stores.
    pub pooling: PoolingSettings,
    /// Garbage collection.
    pub gc: GcSettings,
    /// Logs.
    pub log: LogSettings,
}

impl Settings {
    /// The settings as a TOML file that [`Settings::load`] takes back. Without
    /// `reveal_secrets`, a comment stands in the place of each secret, and stars
    /// in that of a password, with which no database can be opened by mistake.
    ///
    /// # Errors
    ///
    /// None that is known: the settings are all plain values.
    pub fn to_toml(&self, reveal_secrets: bool) -> Result<String, toml::ser::Error> {
        if reveal_secrets {
            return toml::to_string(self);
        }
        let mut shown = self.clone();
        shown.storage.uri = shown_uri(&self.storage.uri);
        let mut hidden: Vec<_> = shown
            .secrets()
            .into_iter()
            .filter_map(|(key, secret)| secret.take().and_then(|_| key.rsplit_once('.')))
            .collect();
        if !std::mem::take(&mut shown.encryption.keys).is_empty() {
            hidden.extend(SECRET_LIST.rsplit_once('.'));
        }
        let mut text = toml::to_string(&shown)?;
        // A comment and no made-up value: what is read back must not be a key
        // that everybody knows.
        for (section, name) in hidden {
            let comment = format!("[{section}]\n# {name} is set; --reveal-secrets shows it\n");
            text = text.replacen(&format!("[{section}]\n"), &comment, 1);
        }
        Ok(text)
    }

    /// The settings that are never printed unless somebody asks for them.
    fn secrets(&mut self) -> [(&'static str, &mut Option<String>); SECRETS.len()] {
        let keystone = &mut self.auth.keystone;
        let values = [
            &mut self.signed_url.secret_key,
            &mut keystone.password,
            &mut keystone.application_credential_secret,
            &mut self.encryption.zaqar_key,
            &mut self.notification.mail.smtp_user_password,
            &mut self.notification.trustee.password,
        ];
        let mut keys = SECRETS.into_iter();
        values.map(|value| (keys.next().unwrap_or_default(), value))
    }
}

/// The names of [`Settings::secrets`], in the same order.
const SECRETS: [&str; 6] = [
    "signed_url.secret_key",
    "auth.keystone.password",
    "auth.keystone.application_credential_secret",
    "encryption.zaqar_key",
    "notification.mail.smtp_user_password",
    "notification.trustee.password",
];

/// The one setting that is a list of secrets.
const SECRET_LIST: &str = "encryption.keys";

/// Whether a setting, or an item of it, must never be told.
fn is_secret(key: &str) -> bool {
    SECRETS.contains(&key) || key.starts_with(SECRET_LIST)
}

/// Limits a client can run into; each one is named in the error it causes.
/// Names and defaults are those of Zaqar's `[transport]` section.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Life of a message that names none, in seconds.
    pub default_message_ttl: u32,
    /// Shown as a queue's default delay, in seconds.
    pub default_message_delay: u32,
    /// Life of a claim that names none, in seconds.
    pub default_claim_ttl: u32,
    /// Grace of a claim that names none, in seconds.
    pub default_claim_grace: u32,
    /// Life of a subscription that names none, in seconds.
    pub default_subscription_ttl: u32,
    /// Who can subscribe.
    pub subscriber_types: Vec<SubscriberType>,
    /// Most queues in a page.
    pub max_queues_per_page: u32,
    /// Most messages in a page, and ids in a bulk request.
    pub max_messages_per_page: u32,
    /// Most subscriptions in a page.
    pub max_subscriptions_per_page: u32,
    /// Most messages in a claim or a pop.
    pub max_messages_per_claim_or_pop: u32,
    /// Most pools in a page.
    pub max_pools_per_page: u32,
    /// Most flavors in a page.
    pub max_flavors_per_page: u32,
    /// Largest body of a queue's creation or update, in bytes.
    pub max_queue_metadata: u64,
    /// Largest body of a post, in bytes.
    pub max_messages_post_size: u64,
    /// Longest life of a message, in seconds.
    pub max_message_ttl: u32,
    /// Longest delay of a message, in seconds.
    pub max_message_delay: u32,
    /// Longest life of a claim, in seconds.
    pub max_claim_ttl: u32,
    /// Longest grace of a claim, in seconds.
    pub max_claim_grace: u32,
    /// Longest wait of a claim or a listing for messages, in seconds.
    pub max_wait: u32,
    /// Whether a client id must be a UUID.
    pub client_id_uuid_safe: ClientIdRule,
    /// Shortest client id that is not a UUID, in characters.
    pub min_length_client_id: usize,
    /// Longest client id that is not a UUID, in characters.
    pub max_length_client_id: usize,
    /// Whether deleting by ids takes the ids of the claims too.
    pub message_delete_with_claim_id: bool,
}

/// What a `Client-ID` must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientIdRule {
    /// A UUID.
    Strict,
    /// Any text of a length within the limits.
    Off,
}

/// Pre-signed URLs.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SignedUrlSettings {
    /// The key signatures are made with; nothing can be shared without one.
    pub secret_key: Option<String>,
}

impl fmt::Debug for SignedUrlSettings {
    /// Tells whether there is a key, never which.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret_key = self.secret_key.as_ref().map(|_| "(not shown)");
        f.debug_struct("SignedUrlSettings").field("secret_key", &secret_key).finish()
    }
}

/// Where messages are kept.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StorageSettings {
    /// `embedded:DIRECTORY`, or `mongodb://…`, which may have a password in it;
    /// `discard:` keeps nothing and is for benchmarks.
    pub uri: String,
    /// The embedded store.
    pub embedded: EmbeddedSettings,
    /// The MongoDB store.
    pub mongodb: MongodbSettings,
}

impl fmt::Debug for StorageSettings {
    /// Tells all but the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageSettings")
            .field("uri", &shown_uri(&self.uri))
            .field("embedded", &self.embedded)
            .field("mongodb", &self.mongodb)
            .finish()
    }
}

/// The embedded store.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddedSettings {
    /// Most requests that share one commit.
    pub max_requests_per_commit: usize,
    /// Most requests that wait for the writer; more are refused with 503.
    pub max_waiting_requests: usize,
    /// Threads that read.
    pub readers: usize,
    /// Page cache of the writer, in MiB.
    pub writer_cache_mib: u32,
    /// Page cache of each reader, in MiB.
    pub reader_cache_mib: u32,
    /// Bodies that stay in memory, posted or read last, in MiB.
    pub body_cache_mib: u32,
}

/// The MongoDB store. Names and defaults are those of Zaqar's section
/// `[drivers:message_store:mongodb]` where it has them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MongodbSettings {
    /// `mongodb`, `mongodb.fifo`, or `auto` for whichever is there.
    pub driver: MongodbDriverName,
    /// What the names of the databases begin with.
    pub database: String,
    /// The same for the records of queues, if it is another one.
    pub management_database: Option<String>,
    /// Databases that messages are spread over.
    pub partitions: u32,
    /// Most tries of a post that another process is in the way of.
    pub max_attempts: u32,
    /// The pause before the last of those tries, in seconds.
    pub max_retry_sleep: f64,
    /// Most seconds by which chance lengthens such a pause.
    pub max_retry_jitter: f64,
    /// Most repetitions of an operation that MongoDB failed in.
    pub max_reconnect_attempts: u32,
    /// The pause before the first repetition, in seconds; doubles each time.
    pub reconnect_sleep: f64,
    /// Longest wait for a database that does not answer, in seconds.
    pub max_wait: u32,
    /// Most connections to each server.
    pub max_pool_size: u32,
    /// Threads that talk to MongoDB.
    pub threads: usize,
    /// A PEM file with the certificates of those who sign servers' certificates.
    pub ssl_ca_certs: Option<String>,
    /// A PEM file with the certificate to show to servers, and its key.
    pub ssl_certfile: Option<String>,
    /// The same file, if it is named.
    pub ssl_keyfile: Option<String>,
    /// Whether servers' certificates are checked.
    pub ssl_cert_reqs: CertificateRule,
    /// How long a listing holds back what lies behind a gap, in seconds.
    pub hold_back: u32,
    /// Seconds between looks at a queue that somebody waits for.
    pub watch_interval: u32,
    /// How bodies are kept.
    pub body_encoding: BodyEncoding,
}

impl MongodbSettings {
    /// What the name of the queues' database begins with.
    #[must_use]
    pub fn queue_database(&self) -> &str {
        self.management_database.as_deref().unwrap_or(&self.database)
    }
}

/// Which of Zaqar's MongoDB drivers to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum MongodbDriverName {
    /// Whichever the database was made by.
    #[serde(rename = "auto")]
    Auto,
    /// Zaqar's `mongodb`.
    #[serde(rename = "mongodb")]
    Plain,
    /// Zaqar's `mongodb.fifo`.
    #[serde(rename = "mongodb.fifo")]
    Fifo,
}

/// Whether the certificate of a server is checked; names are Python's, as in Zaqar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum CertificateRule {
    /// It is.
    #[serde(rename = "CERT_REQUIRED")]
    Required,
    /// The same: a client has no use for a server without one.
    #[serde(rename = "CERT_OPTIONAL")]
    Optional,
    /// It is not.
    #[serde(rename = "CERT_NONE")]
    None,
}

/// How bodies are kept in MongoDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyEncoding {
    /// As BSON, which Zaqar reads.
    Bson,
    /// As JSON text, which only nusku reads.
    Text,
}

/// Garbage collection.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GcSettings {
    /// Seconds between rounds.
    pub interval: u32,
}

/// Logs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// `text` or `json`.
    pub format: LogFormat,
    /// What to log: `error`, `warn`, `info`, `debug`, `trace`, or a filter as
    /// `nusku=debug,info`.
    pub level: String,
    /// One line per request.
    pub requests: bool,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}
