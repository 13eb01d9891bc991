//! One connection, from the handshake to its end.

use std::time::{Duration, Instant};

use actix_http::ws::{CloseCode, CloseReason, OpCode};
use actix_web::web::Payload;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, pending};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};

use super::actions::{self, Call};
use super::hub::Place;
use super::incoming::{Heard, Incoming};
use super::outbox::{Closed, Encoding};
use super::reply::Reply;
use super::request::{self, Echo, Request, Unread};
use super::schema::Action;
use super::session::{Admitted, Session};
use crate::service::ConnectionSubscription;
use crate::transport::http::stalled::Watched;

/// Says that a proof of who somebody is has ended; Zaqar's.
const EXPIRED: CloseCode = CloseCode::Other(4003);

/// How long a client gets to answer a goodbye, and then to read the last of it.
const GOODBYE: Duration = Duration::from_secs(3);

/// How often the removal of a subscription is tried, and the pause in between.
const REMOVAL_TRIES: u32 = 3;
const REMOVAL_PAUSE: Duration = Duration::from_secs(1);

/// A connection.
pub(super) struct Connection {
    place: Place,
    incoming: Incoming<Payload>,
    wire: Option<Watched>,
    session: Session,
    subscriptions: Vec<ConnectionSubscription>,
}

/// Why a connection ends.
enum End {
    /// It is gone.
    Gone,
    /// The client says so.
    Client(Option<CloseReason>),
    /// The server says so.
    Server(CloseCode, &'static str),
}

impl Connection {
    /// A connection that nothing was read from. Its socket is ended by `wire`, if
    /// nothing else helps.
    pub(super) fn new(place: Place, payload: Payload, wire: Option<Watched>) -> Self {
        let incoming = Incoming::new(payload, place.hub.settings.max_message_bytes);
        Self { place, incoming, wire, session: Session::default(), subscriptions: Vec::new() }
    }

    /// Serves it to its end, and leaves nothing of it behind.
    pub(super) async fn serve(mut self) {
        // Silence is not what it is ended for.
        let _working = self.wire.as_ref().map(Watched::working);
        let end = self.converse().await;
        self.place.leave();
        let subscriptions = std::mem::take(&mut self.subscriptions);
        let hub = std::sync::Arc::clone(&self.place.hub);
        let removal = async {
            for subscription in &subscriptions {
                remove(&hub.service, subscription).await;
            }
        };
        tokio::join!(removal, self.part(end));
    }

    async fn converse(&mut self) -> End {
        let mut stopping = self.place.hub.stopping();
        let mut expiry: LocalBoxFuture<'static, ()> = pending().boxed_local();
        let mut pings = self.pings();
        let mut heard_at = Instant::now();
        loop {
            let heard = tokio::select! {
                _ = stopping.wait_for(|&stops| stops) => {
                    return End::Server(CloseCode::Away, "The server stops.");
                }
                () = self.place.outbox.over() => return self.verdict(),
                () = &mut expiry => return End::Server(EXPIRED, "Authentication expired."),
                () = tick(pings.as_mut()) => {
                    if heard_at.elapsed() > self.longest_silence() {
                        return End::Server(CloseCode::Policy, "A ping was not answered.");
                    }
                    self.place.outbox.send_control(OpCode::Ping, Bytes::new());
                    continue;
                }
                heard = self.incoming.next() => heard,
            };
            heard_at = Instant::now();
            let (message, encoding) = match heard {
                Heard::Text(text) => (text, Encoding::Json),
                Heard::Binary(bytes) => (bytes, Encoding::MessagePack),
                Heard::Ping(payload) => {
                    self.place.outbox.send_control(OpCode::Pong, payload);
                    continue;
                }
                Heard::Pong => continue,
                Heard::Close(reason) => return End::Client(reason),
                Heard::Broken(code, what) => return End::Server(code, what),
                Heard::Gone => return End::Gone,
            };
            let expires = self.session.expires();
            if let Err(end) = self.answer(message, encoding).await {
                return end;
            }
            if self.session.expires() != expires {
                expiry = self.expiry();
            }
        }
    }

    /// Ends when the caller's proof does.
    fn expiry(&self) -> LocalBoxFuture<'static, ()> {
        let Some(expires) = self.session.expires() else { return pending().boxed_local() };
        let clock = &self.place.hub.clock;
        let rest = expires.seconds().saturating_sub(clock.now().seconds());
        clock.sleep(u32::try_from(rest.max(0)).unwrap_or(u32::MAX)).boxed_local()
    }

    fn pings(&self) -> Option<Interval> {
        let seconds = self.place.hub.settings.ping_interval;
        let mut pings = (seconds > 0).then(|| interval(Duration::from_secs(seconds.into())))?;
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.reset();
        Some(pings)
    }

    fn longest_silence(&self) -> Duration {
        let settings = &self.place.hub.settings;
        Duration::from_secs(u64::from(settings.ping_interval) + u64::from(settings.pong_timeout))
    }

    fn verdict(&self) -> End {
        if self.place.outbox.is_too_slow() {
            return End::Server(CloseCode::Again, "The client reads too slowly.");
        }
        End::Gone
    }

    async fn answer(&mut self, message: Bytes, encoding: Encoding) -> Result<(), End> {
        let begun = Instant::now();
        let limits = self.place.hub.service.limits();
        let max_fields = limits.max_queue_metadata.max(crate::transport::http::SMALL_BYTES_MAX);
        let strict = self.place.hub.authenticator.is_some();
        let read = request::text(message, encoding)
            .and_then(|text| request::read(&text, encoding, max_fields, strict));
        let (echo, reply) = match &read {
            Err(unread @ Unread { echo, .. }) => (echo.clone(), Reply::from(unread)),
            Ok(request) => {
                let reply = self.reply(request, encoding).await?;
                let is_login = request.action == Action::Authenticate;
                let echo = if is_login { Echo::of(request.action) } else { request.echo.clone() };
                (echo, reply)
            }
        };
        self.log(read.as_ref().ok(), &reply, begun);
        let message = encoding.message(&reply.envelope(&echo));
        let patience = Duration::from_secs(self.place.hub.settings.send_timeout.into());
        match timeout(patience, self.place.outbox.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Closed)) => Err(End::Gone),
            Err(_) => {
                self.place.outbox.give_up();
                Err(self.verdict())
            }
        }
    }

    async fn reply(&mut self, request: &Request, encoding: Encoding) -> Result<Reply, End> {
        let hub = &self.place.hub;
        if request.action == Action::Authenticate {
            return Ok(self.session.authenticate(hub, request).await);
        }
        let (caller, project) = match self.session.admit(hub, request).await {
            Admitted::Yes(caller, project) => (caller, project),
            Admitted::No(reply) => return Ok(reply),
            Admitted::Expired => return Err(End::Server(EXPIRED, "Authentication expired.")),
        };
        let call = Call { hub, caller, project, request, connection: self.place.id };
        let subscribed = self.subscriptions.len();
        let reply = actions::perform(&call, &mut self.subscriptions).await;
        if self.subscriptions.len() > subscribed {
            self.place.outbox.set_encoding(encoding);
        }
        Ok(reply)
    }

    fn log(&self, request: Option<&Request>, reply: &Reply, begun: Instant) {
        let hub = &self.place.hub;
        let project = request.and_then(|it| it.headers.get("X-Project-ID")?.as_str());
        let (project, action) = (project.unwrap_or_default(), request.map(|it| it.action.name()));
        let (connection, action) = (self.place.id, action.unwrap_or_default());
        if let Some(reason) = &reply.reason {
            tracing::error!(
                websocket.connection = %connection, project.id = project,
                websocket.action = action, reason, "{}", reply.status
            );
        }
        if hub.log_requests {
            tracing::info!(
                websocket.connection = %connection,
                project.id = project,
                websocket.action = action,
                websocket.status = reply.status,
                duration.us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
                "request"
            );
        }
    }

    /// Says goodbye, and waits a little for the client to do so: whoever is still
    /// sending would otherwise not get to see it.
    async fn part(&mut self, end: End) {
        let outbox = &self.place.outbox;
        let reason = match end {
            End::Gone => return outbox.finish(),
            End::Client(reason) => reason.map(|reason| CloseReason::from(reason.code)),
            End::Server(code, why) => Some((code, why.to_owned()).into()),
        };
        outbox.close(reason);
        tokio::select! {
            () = self.incoming.drain() => {}
            () = outbox.gone() => {}
            () = sleep(GOODBYE) => {}
        }
        outbox.finish();
        if timeout(GOODBYE, outbox.gone()).await.is_err()
            && let Some(wire) = &self.wire
        {
            wire.shut_down();
        }
    }
}

async fn tick(pings: Option<&mut Interval>) {
    match pings {
        Some(pings) => {
            pings.tick().await;
        }
        None => pending().await,
    }
}

/// Ends a subscription. What cannot be ended now ends with its ttl.
async fn remove(service: &crate::service::Service, subscription: &ConnectionSubscription) {
    for attempt in 1..=REMOVAL_TRIES {
        match service.unsubscribe_connection(subscription).await {
            Ok(()) => return,
            Err(error) if attempt == REMOVAL_TRIES => {
                let subscription = subscription.id();
                tracing::warn!(%error, %subscription, "the subscription of a closed connection stays");
            }
            Err(_) => sleep(REMOVAL_PAUSE).await,
        }
    }
}
