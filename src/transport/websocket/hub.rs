//! All connections of this server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use uuid::Uuid;

use super::outbox::Outbox;
use crate::clock::Clock;
use crate::config::{Settings, WebsocketSettings};
use crate::model::WorkerId;
use crate::service::Service;
use crate::transport::auth::Authenticator;

/// How long connections get to say goodbye when the server stops.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a hub is made of.
pub struct Parts {
    /// What connections ask.
    pub service: Arc<Service>,
    /// Who knows callers; without one, headers are believed.
    pub authenticator: Option<Arc<Authenticator>>,
    /// By which the proofs of callers end.
    pub clock: Clock,
    /// Who delivers to the connections.
    pub worker: WorkerId,
    /// Host and port of the front end, as subscriptions tell them.
    pub authority: String,
}

/// All connections, and what they share.
pub struct Hub {
    pub(super) service: Arc<Service>,
    pub(super) authenticator: Option<Arc<Authenticator>>,
    pub(super) clock: Clock,
    pub(super) worker: WorkerId,
    pub(super) settings: WebsocketSettings,
    pub(super) log_requests: bool,
    authority: String,
    connections: Mutex<HashMap<Uuid, Arc<Outbox>>>,
    open: watch::Sender<usize>,
    stopping: watch::Sender<bool>,
}

impl Hub {
    /// A hub without connections.
    #[must_use]
    pub fn new(parts: Parts, settings: &Settings) -> Arc<Self> {
        let Parts { service, authenticator, clock, worker, authority } = parts;
        Arc::new(Self {
            service,
            authenticator,
            clock,
            worker,
            settings: settings.websocket.clone(),
            log_requests: settings.log.requests,
            authority,
            connections: Mutex::default(),
            open: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
        })
    }

    /// How many connections are open, and those whose traces are still removed.
    #[must_use]
    pub fn open(&self) -> watch::Receiver<usize> {
        self.open.subscribe()
    }

    /// Ends all connections, and waits until nothing of them is left: for ten
    /// seconds at most.
    pub async fn stop(&self) {
        self.stopping.send_replace(true);
        let mut open = self.open.subscribe();
        if timeout(PATIENCE, open.wait_for(|&open| open == 0)).await.is_err() {
            tracing::warn!(open = *open.borrow(), "WebSocket connections were cut off");
        }
    }

    /// Becomes true when the server stops.
    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Lets a connection in; `None` if there are too many, or the server stops.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Place> {
        let max = self.settings.max_connections;
        let has_room = !*self.stopping.borrow()
            && self.open.send_if_modified(|open| {
                let has_room = *open < max;
                *open += usize::from(has_room);
                has_room
            });
        if !has_room {
            return None;
        }
        let place = Place {
            hub: Arc::clone(self),
            id: Uuid::new_v4(),
            outbox: Arc::new(Outbox::new(self.settings.max_outbox_bytes)),
        };
        self.connections().insert(place.id, Arc::clone(&place.outbox));
        Some(place)
    }

    /// How subscriptions name a connection. Zaqar's servers would post there, and
    /// nothing that listens takes it: this server tells its connections itself.
    pub(super) fn subscriber(&self, id: Uuid) -> String {
        format!("http://{}/{id}", self.authority)
    }

    /// The way to the connection that a subscription names.
    pub(super) fn outbox_of(&self, subscriber: &str) -> Option<Arc<Outbox>> {
        let id = Uuid::try_parse(subscriber.rsplit('/').next()?).ok()?;
        self.connections().get(&id).cloned()
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Outbox>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a connection among the others, until it is dropped.
pub(super) struct Place {
    pub(super) hub: Arc<Hub>,
    pub(super) id: Uuid,
    pub(super) outbox: Arc<Outbox>,
}

impl Place {
    /// From now on nothing is pushed to the connection.
    pub(super) fn leave(&self) {
        self.hub.connections().remove(&self.id);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
        self.outbox.finish();
        self.hub.open.send_modify(|open| *open = open.saturating_sub(1));
    }
}
