//! From settings to a driver that works, however long the database is away.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::doc;
use mongodb::error::{Error as MongoError, ErrorKind};
use mongodb::options::{ClientOptions, Tls, TlsOptions};
use mongodb::{Client, bson::Document};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use super::announcer::Announcer;
use super::error::{Fault, Patience, unavailable};
use super::options::{Target, URI};
use super::prepare::prepare;
use super::store::{Role, Store};
use super::topology::{Desertion, View, is_encrypting, words};
use super::{Engine, MongodbDriver, State};
use crate::config::MongodbSettings;
use crate::storage::Result;

/// Longest time that a start waits for the database before the server goes on
/// without it.
const START_LIMIT: Duration = Duration::from_secs(10);
/// The pause between two tries to reach the database.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the log hears that the database is away: first, and at most.
const QUIET_FIRST: Duration = Duration::from_secs(10);
const QUIET_MOST: Duration = Duration::from_mins(10);
/// Longest wait for the answer to a ping.
const PING_LIMIT: Duration = Duration::from_secs(2);
/// Longest second look at servers that could not be used.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// Codes of answers that no repetition makes better: the user, the password,
/// the rights.
const AUTHENTICATION_FAILED: i32 = 18;
const UNAUTHORIZED: i32 = 13;
const ATLAS_ERROR: i32 = 8000;

/// Why the driver cannot work with what it was given; each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The URI or another setting is wrong, or the database does not fit it.
    #[error("{setting}: {reason}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The system gives no threads.
    #[error("cannot start the threads of the MongoDB driver: {0}")]
    Threads(String),
}

impl OpenError {
    /// What is wrong with a setting.
    #[must_use]
    pub fn setting(setting: &'static str, reason: &dyn fmt::Display) -> Self {
        Self::Setting { setting, reason: reason.to_string() }
    }
}

/// Why a try to reach the database, or to prepare it, did not succeed.
#[derive(Debug)]
pub enum Setback {
    /// It may succeed later, as things are.
    Passing(String),
    /// Only somebody can help who changes a setting or the database.
    Lasting(OpenError),
}

impl From<MongoError> for Setback {
    fn from(error: MongoError) -> Self {
        let said = words(&error);
        let lasting = |setting, reason: &str| {
            Self::Lasting(OpenError::setting(setting, &format_args!("{reason} ({said})")))
        };
        let fault = Fault::from(error.clone());
        match (error.kind.as_ref(), fault.code()) {
            (ErrorKind::Authentication { .. }, _)
            | (_, Some(AUTHENTICATION_FAILED | ATLAS_ERROR)) => {
                lasting(URI, "MongoDB does not accept the user name and password")
            }
            (_, Some(UNAUTHORIZED)) => lasting(URI, "the user has not the rights that nusku needs"),
            (ErrorKind::InvalidTlsConfig { .. }, _) => {
                lasting("storage.mongodb.ssl_certfile", "the certificates cannot be used")
            }
            (ErrorKind::DnsResolve { .. }, _) => Self::Passing(said),
            _ if fault.is_passing() => Self::Passing(said),
            _ => lasting(URI, "the server does not do what nusku needs"),
        }
    }
}

impl MongodbDriver {
    /// Opens the store. If the database cannot be reached now, the driver keeps
    /// trying, and requests wait for it.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if the settings are wrong, or the database was reached and
    /// does not fit them.
    pub async fn open(
        uri: &str,
        settings: &MongodbSettings,
    ) -> std::result::Result<Arc<Self>, OpenError> {
        Self::open_as(Role::Main, uri, settings).await
    }

    /// Opens a pool: a store of messages whose queues are known to another one.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub async fn open_pool(
        uri: &str,
        settings: &MongodbSettings,
    ) -> std::result::Result<Arc<Self>, OpenError> {
        Self::open_as(Role::Pool, uri, settings).await
    }

    async fn open_as(
        role: Role,
        uri: &str,
        settings: &MongodbSettings,
    ) -> std::result::Result<Arc<Self>, OpenError> {
        let target = Target::parse(uri, settings)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(settings.threads)
            .enable_all()
            .thread_name("mongodb")
            .build()
            .map_err(|error| OpenError::Threads(error.to_string()))?;
        let (state, receiver) = watch::channel(State::Waiting("it is not ready yet".to_owned()));
        let (verdict, first) = oneshot::channel();
        let announcer = Arc::<Announcer>::default();
        let told = Arc::clone(&announcer);
        runtime.spawn(keep_trying(target, settings.clone(), role, told, state, verdict));
        // From here on, dropping the driver is what ends its threads.
        let patience = Patience::new(settings);
        let encoding = settings.body_encoding;
        let watch_interval = settings.watch_interval;
        let runtime = Some(runtime);
        let driver =
            Self { state: receiver, patience, encoding, announcer, watch_interval, runtime };
        match timeout(START_LIMIT.min(patience.whole), first).await {
            Ok(Ok(Err(refused))) => Err(refused),
            _ => Ok(Arc::new(driver)),
        }
    }

    /// For what does not wait for a database that was not reached yet.
    ///
    /// # Errors
    ///
    /// [`crate::storage::Error::Unavailable`] if it was not.
    pub(super) fn ready(&self) -> Result<()> {
        match &*self.state.borrow() {
            State::Waiting(why) => Err(unavailable(why)),
            State::Ready(_) => Ok(()),
        }
    }

    /// Whether the primary answers, soon.
    ///
    /// # Errors
    ///
    /// [`crate::storage::Error::Unavailable`] if not.
    pub(super) async fn ping_primary(&self) -> Result<()> {
        self.ready()?;
        let pong = self.run(|engine| async move { ping(&engine.store).await });
        let late = |_| Err(unavailable(&"the primary does not answer"));
        timeout(PING_LIMIT, pong).await.unwrap_or_else(late)
    }
}

async fn ping(store: &Store) -> Result<()> {
    let pong = store.client.database("admin").run_command(doc! { "ping": 1 }).await;
    pong.map(drop).map_err(|error| unavailable(&words(&error)))
}

/// Tries until the database is ready. What the first try came to goes to
/// `verdict` as well: a start that is refused ends there.
async fn keep_trying(
    target: Target,
    settings: MongodbSettings,
    role: Role,
    announcer: Arc<Announcer>,
    state: watch::Sender<State>,
    verdict: oneshot::Sender<std::result::Result<(), OpenError>>,
) {
    let mut verdict = Some(verdict);
    let mut silence = Silence::new();
    loop {
        match reach(&target, &settings, role).await {
            Ok(mut store) => {
                store.announcer = announcer;
                let engine = Engine::start(&Handle::current(), store);
                let layout = engine.store.layout;
                tracing::info!(hosts = target.hosts, %layout, "MongoDB is ready");
                state.send_replace(State::Ready(engine));
                verdict.take().map(|verdict| verdict.send(Ok(())));
                return;
            }
            Err(Setback::Lasting(error)) => {
                // Nobody listens any more if the start went on without it.
                let unheard = match verdict.take() {
                    Some(verdict) => {
                        verdict.send(Err(error)).err().and_then(std::result::Result::err)
                    }
                    None => Some(error),
                };
                let Some(error) = unheard else { return };
                tracing::error!(hosts = target.hosts, %error, "MongoDB cannot be used");
                state.send_replace(State::Waiting(error.to_string()));
            }
            Err(Setback::Passing(reason)) => {
                if silence.is_over(Instant::now()) {
                    tracing::warn!(
                        hosts = target.hosts,
                        reason,
                        "MongoDB is out of reach, trying on"
                    );
                }
                state.send_replace(State::Waiting(reason));
                verdict.take().map(|verdict| verdict.send(Ok(())));
            }
        }
        sleep(PAUSE).await;
    }
}

/// Spaces out what is said again and again.
struct Silence {
    until: Option<Instant>,
    length: Duration,
}

impl Silence {
    fn new() -> Self {
        Self { until: None, length: QUIET_FIRST }
    }

    /// Whether it is time to speak; then the next silence begins, twice as long.
    fn is_over(&mut self, now: Instant) -> bool {
        if self.until.is_some_and(|until| now < until) {
            return false;
        }
        self.until = Some(now + self.length);
        self.length = (self.length * 2).min(QUIET_MOST);
        true
    }
}

/// One try: a client of its own, a primary that answers, a database made ready.
async fn reach(
    target: &Target,
    settings: &MongodbSettings,
    role: Role,
) -> std::result::Result<Store, Setback> {
    let Greeting { client, hello, mut view } = greet(target, settings).await?;
    // However long an index takes, but not on a server that is gone.
    tokio::select! {
        store = prepare(client, &hello, target, settings, role) => store,
        _ = view.deserted(target) => Err(Setback::Passing(view.report())),
    }
}

/// A database that answers.
pub struct Greeting {
    /// A client of it.
    pub client: Client,
    /// What the primary, or the only server, says of itself.
    pub hello: Document,
    /// What the client sees of the servers.
    view: View,
}

/// Looks for a primary and greets it.
///
/// # Errors
///
/// Why there is none, as soon as that is clear, at the latest when a request
/// would give up.
pub async fn greet(
    target: &Target,
    settings: &MongodbSettings,
) -> std::result::Result<Greeting, Setback> {
    let mut options = target.options().await?;
    let (mut view, handler) = View::new();
    options.sdam_event_handler = Some(handler);
    let own = options.clone();
    let client = Client::with_options(options)?;
    let database = client.database("admin");
    let hello = database.run_command(doc! { "hello": 1 });
    let found = tokio::select! {
        hello = hello => match hello.map_err(Setback::from) {
            Ok(hello) => return Ok(Greeting { client, hello, view }),
            // The view may know more, in a moment.
            Err(Setback::Passing(_)) => timeout(PROBE_LIMIT, view.deserted(target)).await.ok(),
            Err(lasting) => return Err(lasting),
        },
        found = view.deserted(target) => Some(found),
        () = sleep(Patience::new(settings).whole) => None,
    };
    Err(match found {
        None => Setback::Passing(format!("there is no primary: {}", view.report())),
        Some(Desertion::Refused(error)) => Setback::Lasting(error),
        Some(Desertion::Away(report)) => Setback::Passing(report),
        Some(Desertion::Cut(report)) => match mismatch(target, own).await {
            Some(error) => Setback::Lasting(error),
            None => Setback::Passing(report),
        },
    })
}

/// Servers hang up at once if one side encrypts and the other does not. Whether
/// it is that: they would answer the other way round.
async fn mismatch(target: &Target, mut options: ClientOptions) -> Option<OpenError> {
    let strict = options.tls.is_some();
    let trusting = TlsOptions::builder().allow_invalid_certificates(true).build();
    options.tls = if strict { None } else { Some(Tls::Enabled(trusting)) };
    options.credential = None;
    options.repl_set_name = None;
    options.sdam_event_handler = None;
    options.direct_connection = Some(true);
    options.server_selection_timeout = Some(PROBE_LIMIT);
    for host in std::mem::take(&mut options.hosts) {
        options.hosts = vec![host];
        let client = Client::with_options(options.clone()).ok()?;
        let hello = client.database("admin").run_command(doc! { "hello": 1 }).await;
        client.shutdown().immediate(true).await;
        let answered = match hello {
            Ok(_) => true,
            Err(error) => !strict && is_encrypting(&error),
        };
        if answered {
            let reason = if strict {
                "has tls=true, but the servers do not encrypt"
            } else {
                "has no tls=true, but the servers want encryption"
            };
            let reason = format!("it {reason} ({})", target.hosts);
            return Some(OpenError::setting(URI, &reason));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_again_is_said_less_and_less_often() {
        let mut silence = Silence::new();
        let start = Instant::now();
        let mut is_over = |second: &u64| silence.is_over(start + Duration::from_secs(*second));
        let said: Vec<_> = (0..3600).filter(|second| is_over(second)).collect();
        assert_eq!(said, [0, 10, 30, 70, 150, 310, 630, 1230, 1830, 2430, 3030]);
    }
}
