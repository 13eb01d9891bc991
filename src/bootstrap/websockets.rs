//! The WebSocket front end: its hub, and its port of its own if it has one.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use tokio::task::JoinHandle;

use super::{StartError, listen};
use crate::clock::Clock;
use crate::config::Settings;
use crate::service::Service;
use crate::service::notification::Channels;
use crate::transport::auth::Authenticator;
use crate::transport::http::Certificate;
use crate::transport::websocket::{self, ConnectionChannel, Hub, Parts};

/// The port of its own, before anything is served there.
pub(super) struct OwnPort {
    listener: TcpListener,
    address: SocketAddr,
}

impl OwnPort {
    /// Listens where `settings` say; `None` if they want no such port.
    pub(super) fn open(settings: &Settings) -> Result<Option<Self>, StartError> {
        let websocket = &settings.websocket;
        if !websocket.enabled {
            return Ok(None);
        }
        let listener = listen(&websocket.bind, websocket.port)?;
        let address = listener.local_addr().map_err(StartError::Serve)?;
        Ok(Some(Self { listener, address }))
    }

    /// Where it listens, with the real port.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A hub whose connections `channels` can reach from now on. Subscriptions name them
/// by `address`.
pub(super) fn hub(
    service: &Arc<Service>,
    authenticator: Option<&Arc<Authenticator>>,
    channels: &Channels,
    clock: &Clock,
    settings: &Settings,
    address: SocketAddr,
) -> Arc<Hub> {
    let parts = Parts {
        service: Arc::clone(service),
        authenticator: authenticator.cloned(),
        clock: clock.clone(),
        worker: channels.worker(),
        authority: address.to_string(),
    };
    let hub = Hub::new(parts, settings);
    channels.bind(Arc::new(ConnectionChannel::new(Arc::clone(&hub))));
    hub
}

/// All of it, running.
pub(super) struct Websockets {
    hub: Arc<Hub>,
    own: Option<Own>,
}

struct Own {
    address: SocketAddr,
    handle: ServerHandle,
    served: JoinHandle<io::Result<()>>,
}

impl Websockets {
    /// Serves connections of `hub` on `port`, if there is one.
    pub(super) fn start(
        hub: Arc<Hub>,
        settings: &Settings,
        port: Option<OwnPort>,
        certificate: Option<&Arc<Certificate>>,
    ) -> io::Result<Self> {
        let Some(OwnPort { listener, address }) = port else { return Ok(Self { hub, own: None }) };
        let server = websocket::serve(&hub, settings, listener, certificate)?;
        let own = Own { address, handle: server.handle(), served: tokio::spawn(server) };
        Ok(Self { hub, own: Some(own) })
    }

    /// Where the port of its own is.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.own.as_ref().map(|own| own.address)
    }

    /// Completes only if the port of its own ends although nobody ended it.
    pub(super) async fn ended(&mut self) -> io::Result<()> {
        match &mut self.own {
            Some(own) => (&mut own.served).await.unwrap_or_else(|lost| Err(lost.into())),
            None => std::future::pending().await,
        }
    }

    /// Ends all connections, and then the port of its own.
    pub(super) async fn stop(self) {
        self.hub.stop().await;
        if let Some(own) = self.own {
            own.handle.stop(true).await;
        }
    }
}
