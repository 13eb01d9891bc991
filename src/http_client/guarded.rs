//! Connections to allowed addresses only.
//!
//! Names are looked up once, what they stand for is checked, and what was checked is
//! connected to: a name that stands for something else a moment later gains nothing.

use std::fmt;
use std::future::ready;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::Semaphore;
use tower_service::Service;

/// Most names that are looked up at a time: each takes a thread, for as long as the
/// system likes.
const MOST_LOOKUPS: usize = 64;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Which addresses may be connected to.
#[derive(Clone)]
pub struct Guard(Arc<dyn Fn(IpAddr) -> bool + Send + Sync>);

impl Guard {
    /// A guard that allows what `allows` says.
    pub fn new(allows: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(allows))
    }

    fn allows(&self, address: IpAddr) -> bool {
        (self.0)(address)
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

/// The guard allows no address of the host.
#[derive(Debug, thiserror::Error)]
#[error("the address of the host is not allowed")]
pub(super) struct Forbidden;

/// Looks up names, and keeps what is not allowed to itself.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    guard: Option<Guard>,
    lookups: Arc<Semaphore>,
}

impl Resolver {
    pub(super) fn new(guard: Option<Guard>) -> Self {
        Self { guard, lookups: Arc::new(Semaphore::new(MOST_LOOKUPS)) }
    }

    async fn resolve(self, name: Name) -> Result<std::vec::IntoIter<SocketAddr>, BoxError> {
        let permit = self.lookups.acquire_owned().await?;
        let found = tokio::task::spawn_blocking(move || {
            let found = (name.as_str(), 0).to_socket_addrs();
            // Held until the system has answered, not until somebody stops waiting.
            drop(permit);
            found
        });
        let mut addresses: Vec<_> = found.await??.collect();
        let found_any = !addresses.is_empty();
        addresses.retain(|address| self.guard.as_ref().is_none_or(|it| it.allows(address.ip())));
        if found_any && addresses.is_empty() {
            Err(Forbidden.into())
        } else {
            Ok(addresses.into_iter())
        }
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        self.clone().resolve(name).boxed()
    }
}

/// Asks the guard about addresses that are no names: nobody looks those up.
#[derive(Clone, Debug)]
pub(super) struct GuardedConnector {
    connector: HttpConnector<Resolver>,
    guard: Option<Guard>,
}

impl GuardedConnector {
    pub(super) fn new(connector: HttpConnector<Resolver>, guard: Option<Guard>) -> Self {
        Self { connector, guard }
    }

    fn forbids(&self, uri: &Uri) -> bool {
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
        match (&self.guard, host.parse::<IpAddr>()) {
            (Some(guard), Ok(address)) => !guard.allows(address),
            _ => false,
        }
    }
}

impl Service<Uri> for GuardedConnector {
    type Response = <HttpConnector<Resolver> as Service<Uri>>::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        if self.forbids(&uri) {
            return ready(Err(Forbidden.into())).boxed();
        }
        let connected = self.connector.call(uri);
        async move { Ok(connected.await?) }.boxed()
    }
}
