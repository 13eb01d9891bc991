//! Builds a server from settings, and takes it apart again.
//!
//! The only file that names concrete drivers and front ends. Everything else
//! knows them by their traits and by [`Service`].

mod pools;
mod websockets;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use self::websockets::{OwnPort, Websockets};
use crate::channels;
use crate::clock::Clock;
use crate::config::{AuthStrategy, PolicySettings, Settings, StorageSettings};
use crate::service::Service;
use crate::service::notification::Dispatcher;
use crate::service::policy::{self, PolicyBook, PolicyError};
use crate::storage::discard::DiscardDriver;
use crate::storage::embedded::{EmbeddedDriver, OpenError};
use crate::storage::mongodb::{MongodbDriver, OpenError as MongodbOpenError};
use crate::storage::pooling::{Parts, PoolRouter};
use crate::storage::{self, Storage};
use crate::tasks::watch::{self, Files};
use crate::tasks::{Task, gc, waits};
use crate::transport::auth::{self, Authenticator};
use crate::transport::http::{self, Certificate, TlsError};

/// How soon a changed file is noticed, at the latest.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Why the server did not start; every text is one clear sentence.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The storage URI names a driver that is not in this build.
    #[error(
        "this build has no driver for a storage.uri of {scheme}:, only embedded:, mongodb: and discard:"
    )]
    NoSuchDriver {
        /// What the URI begins with; the rest may hold a password.
        scheme: String,
    },
    /// The store cannot be opened.
    #[error("cannot open the store {uri}: {reason}")]
    Store {
        /// The URI.
        uri: String,
        /// What the driver said.
        reason: OpenError,
    },
    /// The MongoDB store cannot be used.
    #[error(transparent)]
    Mongodb(#[from] MongodbOpenError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// Host and port.
        address: String,
        /// What the system said.
        reason: io::Error,
    },
    /// Nobody could tell who is calling.
    #[error(transparent)]
    Auth(#[from] auth::SetupError),
    /// Subscribers cannot be reached.
    #[error(transparent)]
    Channels(#[from] channels::SetupError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The front end did not come up.
    #[error("cannot serve HTTP: {0}")]
    Serve(io::Error),
    /// The policy cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The store was opened and then did not do what it was asked for.
    #[error("garbage could not be collected: {0}")]
    Collect(storage::Error),
}

/// A whole server that runs in this process until it is stopped.
#[must_use = "a server that nobody stops runs as long as the process"]
pub struct Running {
    address: SocketAddr,
    websockets: Websockets,
    http: ServerHandle,
    served: JoinHandle<io::Result<()>>,
    service: Arc<Service>,
    dispatcher: Dispatcher,
    gc: Task,
    waits: Task,
    watches: Vec<Task>,
    storage: Storage,
}

/// Starts the server that `settings` describe, by the time of `clock`. Once
/// this returns, clients can connect.
///
/// # Errors
///
/// [`StartError`]; nothing is left running then.
pub async fn start(settings: &Settings, clock: Clock) -> Result<Running, StartError> {
    // The address first: a port in use is found out before a store is made.
    let listener = listen(&settings.http.bind, settings.http.port)?;
    let address = listener.local_addr().map_err(StartError::Serve)?;
    warn_of_strangers(settings.auth.strategy, address);
    let own_port = OwnPort::open(settings)?;
    let websocket_address = own_port.as_ref().map_or(address, OwnPort::address);
    if websocket_address != address {
        warn_of_strangers(settings.auth.strategy, websocket_address);
    }
    let auth_files = Files::look(settings.auth.watched_files());
    let authenticator = Authenticator::new(&settings.auth, clock.clone(), Handle::current())?;
    let authenticator = authenticator.map(Arc::new);
    let policy_files = Files::look(settings.policy.watched_files());
    let policy = Arc::new(PolicyBook::open(&settings.policy)?);
    let tls_files = Files::look(settings.http.tls.files());
    let certificate = Certificate::load(&settings.http.tls)?;
    let channels = Arc::new(channels::open(settings, clock.clone())?);
    let (storage, router) = open_all(settings).await?;

    let service = Service::new(storage.clone(), clock.clone(), settings);
    let service = service.with_channels(Arc::clone(&channels));
    let mut service = service.with_policy(Arc::clone(&policy));
    if let Some(router) = router {
        service = service.with_pools(router);
    }
    let service = Arc::new(service);
    let hub = websockets::hub(
        &service,
        authenticator.as_ref(),
        &channels,
        &clock,
        settings,
        websocket_address,
    );
    let (known, shown) = (authenticator.clone(), certificate.as_ref());
    let rest = http::serve(Arc::clone(&service), known, settings, listener, shown, Some(&hub));
    let both = rest.and_then(|rest| Ok((rest, Websockets::start(hub, settings, own_port, shown)?)));
    let (server, websockets) = match both {
        Ok(both) => both,
        Err(reason) => {
            storage.data.close().await;
            return Err(StartError::Serve(reason));
        }
    };
    let interval = Duration::from_secs(settings.gc.interval.into());
    let mut watches = vec![watch::start(policy_files, WATCH_INTERVAL, move || policy.reload())];
    watches.extend(authenticator.map(|authenticator| {
        watch::start(auth_files, WATCH_INTERVAL, move || authenticator.reload())
    }));
    watches.extend(certificate.map(|certificate| renew(certificate, tls_files)));
    Ok(Running {
        address,
        websockets,
        http: server.handle(),
        served: tokio::spawn(server),
        waits: waits::start(Arc::clone(&storage.data), service.watcher(), clock.clone()),
        dispatcher: Dispatcher::start(&service),
        service,
        gc: gc::start(Arc::clone(&storage.data), clock, interval),
        watches,
        storage,
    })
}

impl Running {
    /// Where it listens, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where WebSockets have a port of their own, if they have one.
    pub fn websocket_address(&self) -> Option<SocketAddr> {
        self.websockets.address()
    }

    /// Completes only if the server ends although nobody stopped it.
    ///
    /// # Errors
    ///
    /// What ended it, if it was not its own will.
    pub async fn ended(&mut self) -> io::Result<()> {
        tokio::select! {
            ended = &mut self.served => ended.unwrap_or_else(|lost| Err(lost.into())),
            ended = self.websockets.ended() => ended,
        }
    }

    /// Answers those who wait, ends WebSockets, stops accepting, answers what is in
    /// flight (for `http.shutdown_timeout` at most), lets attempts to tell subscribers
    /// end (for some seconds), ends the tasks and closes the store.
    pub async fn stop(self) {
        self.service.stop_waiting();
        self.websockets.stop().await;
        self.http.stop(true).await;
        self.dispatcher.stop().await;
        self.gc.stop().await;
        self.waits.stop().await;
        for watch in self.watches {
            watch.stop().await;
        }
        self.storage.data.close().await;
    }
}

/// Collects the garbage of the stores that `settings` name, by the time of
/// `clock`, without serving anybody; returns how many messages went.
///
/// # Errors
///
/// [`StartError`]; nothing is left open then.
pub async fn collect(settings: &Settings, clock: &Clock) -> Result<u64, StartError> {
    let (storage, router) = open_all(settings).await?;
    let opened = match &router {
        Some(router) => router.open_all().await,
        None => Ok(()),
    };
    let collected = match opened {
        Ok(()) => gc::once(storage.data.as_ref(), clock).await,
        Err(error) => Err(error),
    };
    storage.data.close().await;
    collected.map_err(StartError::Collect)
}

/// The rules in force under `settings` as a policy file, and what in them was
/// surely meant in another way.
///
/// # Errors
///
/// [`PolicyError`], if there is anything wrong with them.
pub fn policy(settings: &PolicySettings) -> Result<(String, Vec<String>), PolicyError> {
    let policy = policy::load(settings)?;
    Ok((policy.to_string(), policy.warnings().to_vec()))
}

/// Reads the certificate anew whenever its files change.
fn renew(certificate: Arc<Certificate>, files: Files) -> Task {
    watch::start(files, WATCH_INTERVAL, move || match certificate.reload() {
        Ok(()) => tracing::info!("the certificate was read anew"),
        Err(error) => tracing::error!(%error, "the certificate stays as it was"),
    })
}

/// Headers that anybody can set are no proof of anything.
fn warn_of_strangers(strategy: AuthStrategy, address: SocketAddr) {
    if strategy == AuthStrategy::Noauth && !address.ip().is_loopback() {
        tracing::warn!(
            %address,
            "auth.strategy is noauth: WHOEVER CAN CONNECT IS BELIEVED to be of any project and to \
             have any role"
        );
    }
}

fn listen(bind: &str, port: u16) -> Result<TcpListener, StartError> {
    TcpListener::bind((bind, port))
        .map_err(|reason| StartError::Listen { address: format!("{bind}:{port}"), reason })
}

/// Opens the server's own store and, if there are pools, what stands before them:
/// each of them is opened when it is needed.
async fn open_all(settings: &Settings) -> Result<(Storage, Option<Arc<PoolRouter>>), StartError> {
    let own = open(&settings.storage).await?;
    if !settings.pooling.enabled {
        return Ok((own, None));
    }
    // No other process can change what is in an embedded store.
    let is_shared = settings.storage.uri.starts_with("mongodb");
    let memory = Duration::from_secs(settings.pooling.cache_time.into());
    let router = PoolRouter::new(Parts {
        control: Arc::clone(&own.control),
        own: own.data,
        virtual_pool: settings.pooling.enable_virtual_pool,
        opener: Arc::new(pools::Opener(settings.storage.clone())),
        memory: is_shared.then_some(memory),
        probe_timeout: Duration::from_secs(settings.pooling.probe_timeout.into()),
    });
    Ok((Storage { control: own.control, data: router.clone() }, Some(router)))
}

/// Opens the store that the URI names, the driver first.
async fn open(settings: &StorageSettings) -> Result<Storage, StartError> {
    let uri = &settings.uri;
    match uri.split_once(':') {
        Some(("embedded", directory)) => {
            let driver = EmbeddedDriver::open(Path::new(directory), &settings.embedded)
                .map_err(|reason| StartError::Store { uri: uri.clone(), reason })?;
            Ok(Storage { control: driver.clone(), data: driver })
        }
        Some(("mongodb" | "mongodb.fifo" | "mongodb+srv", _)) => {
            let driver = MongodbDriver::open(uri, &settings.mongodb).await?;
            Ok(Storage { control: driver.clone(), data: driver })
        }
        Some(("discard", _)) => {
            tracing::warn!(
                "storage.uri is discard: - NOTHING IS KEPT, every message is lost at once"
            );
            let driver = DiscardDriver::new();
            Ok(Storage { control: driver.clone(), data: driver })
        }
        other => {
            let scheme = other.map_or(uri.as_str(), |(scheme, _)| scheme).to_owned();
            Err(StartError::NoSuchDriver { scheme })
        }
    }
}
