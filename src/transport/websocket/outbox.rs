//! What is on its way to a client: bounded, and written by the connection when the
//! client reads.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use actix_http::ws::{CloseReason, OpCode, Parser};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

use super::msgpack;

/// What a message costs beside its payload, in bytes.
const MESSAGE_COST: usize = 64;

/// How messages to a client are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// JSON, in text frames.
    Json,
    /// MessagePack, in binary frames.
    MessagePack,
}

impl Encoding {
    /// A message with that JSON text. What MessagePack has no form for stays JSON.
    pub(super) fn message(self, text: &[u8]) -> Outgoing {
        let packed = match self {
            Self::Json => None,
            Self::MessagePack => msgpack::from_json(text),
        };
        match packed {
            Some(packed) => Outgoing { kind: OpCode::Binary, payload: packed.into() },
            None => Outgoing { kind: OpCode::Text, payload: Bytes::copy_from_slice(text) },
        }
    }
}

/// A frame to be written.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    kind: OpCode,
    payload: Bytes,
}

impl Outgoing {
    fn cost(&self) -> usize {
        self.payload.len() + MESSAGE_COST
    }
}

/// The connection takes nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed;

/// Messages for one client, in order.
#[derive(Debug)]
pub(super) struct Outbox {
    state: Mutex<State>,
    limit: usize,
    /// Wakes whoever writes.
    writer: AtomicWaker,
    /// Tells that there is room again, or never will be.
    room: Notify,
    /// Tells that the connection has to end, or did.
    over: Notify,
    is_packed: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    cost: usize,
    stage: Stage,
    /// Somebody waited too long for room.
    is_too_slow: bool,
}

#[derive(Debug)]
enum Waiting {
    Message(Outgoing),
    /// What is said last.
    Farewell(Option<CloseReason>),
}

/// How far the connection is. It never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Open,
    /// Nothing more is taken.
    Closed,
    /// The writer ends when it has written what is there.
    Finished,
    /// Nobody writes any more.
    Gone,
}

impl State {
    fn advance(&mut self, stage: Stage) {
        self.stage = self.stage.max(stage);
    }
}

impl Outbox {
    /// An empty one that takes up to `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            state: Mutex::default(),
            limit,
            writer: AtomicWaker::new(),
            room: Notify::new(),
            over: Notify::new(),
            is_packed: AtomicBool::new(false),
        }
    }

    /// How messages are written that nobody asked for.
    pub(super) fn encoding(&self) -> Encoding {
        if self.is_packed.load(Ordering::Relaxed) { Encoding::MessagePack } else { Encoding::Json }
    }

    /// Changes [`Outbox::encoding`].
    pub(super) fn set_encoding(&self, encoding: Encoding) {
        self.is_packed.store(encoding == Encoding::MessagePack, Ordering::Relaxed);
    }

    /// Hands a message over as soon as there is room; one that is too large for
    /// any room goes alone.
    pub(super) async fn send(&self, message: Outgoing) -> Result<(), Closed> {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            match self.offer(&message) {
                Some(outcome) => return outcome,
                None => room.await,
            }
        }
    }

    /// Hands a ping or a pong over, unless there is no room: who does not read
    /// needs none.
    pub(super) fn send_control(&self, kind: OpCode, payload: Bytes) {
        let _ = self.offer(&Outgoing { kind, payload });
    }

    /// `None` if there is no room now.
    fn offer(&self, message: &Outgoing) -> Option<Result<(), Closed>> {
        let mut state = self.state();
        if state.stage > Stage::Open {
            return Some(Err(Closed));
        }
        if state.cost > 0 && state.cost + message.cost() > self.limit {
            return None;
        }
        state.cost += message.cost();
        state.waiting.push_back(Waiting::Message(message.clone()));
        drop(state);
        self.writer.wake();
        Some(Ok(()))
    }

    /// Says that the client reads too slowly: the connection has to end.
    pub(super) fn give_up(&self) {
        self.state().is_too_slow = true;
        self.over.notify_waiters();
    }

    /// Whether [`Outbox::give_up`] was called.
    pub(super) fn is_too_slow(&self) -> bool {
        self.state().is_too_slow
    }

    /// Returns when the connection is gone or has to end.
    pub(super) async fn over(&self) {
        loop {
            let over = self.over.notified();
            tokio::pin!(over);
            over.as_mut().enable();
            if self.is_too_slow() || self.state().stage == Stage::Gone {
                return;
            }
            over.await;
        }
    }

    /// Returns when nobody writes any more.
    pub(super) async fn gone(&self) {
        loop {
            let over = self.over.notified();
            tokio::pin!(over);
            over.as_mut().enable();
            if self.state().stage == Stage::Gone {
                return;
            }
            over.await;
        }
    }

    /// Takes nothing more, and says that last, after what is there. With a client
    /// that does not read, before: what is there it would not get anyway.
    pub(super) fn close(&self, reason: Option<CloseReason>) {
        let mut state = self.state();
        if state.is_too_slow {
            state.waiting.clear();
        }
        state.advance(Stage::Closed);
        state.waiting.push_back(Waiting::Farewell(reason));
        drop(state);
        self.room.notify_waiters();
        self.writer.wake();
    }

    /// Has the writer end, once it has written what is there.
    pub(super) fn finish(&self) {
        self.state().advance(Stage::Finished);
        self.room.notify_waiters();
        self.writer.wake();
    }

    /// What writes it all: the body of the answer to the handshake.
    pub(super) fn writer(self: &Arc<Self>) -> Writer {
        Writer(Arc::clone(self))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what is in an outbox, a message whenever the connection wants more.
pub(super) struct Writer(Arc<Outbox>);

impl Stream for Writer {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let outbox = &self.0;
        outbox.writer.register(context.waker());
        let mut state = outbox.state();
        let mut frame = BytesMut::new();
        match state.waiting.pop_front() {
            Some(Waiting::Message(message)) => {
                state.cost -= message.cost();
                drop(state);
                outbox.room.notify_waiters();
                Parser::write_message(&mut frame, &message.payload, message.kind, true, false);
            }
            Some(Waiting::Farewell(reason)) => Parser::write_close(&mut frame, reason, false),
            None if state.stage >= Stage::Finished => return Poll::Ready(None),
            None => return Poll::Pending,
        }
        Poll::Ready(Some(Ok(frame.freeze())))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let outbox = &self.0;
        let mut state = outbox.state();
        state.advance(Stage::Gone);
        state.waiting.clear();
        drop(state);
        outbox.room.notify_waiters();
        outbox.over.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{FutureExt, StreamExt};

    use super::*;

    fn text(length: usize) -> Outgoing {
        Encoding::Json.message(&vec![b'x'; length])
    }

    #[tokio::test]
    async fn what_does_not_fit_waits_for_the_reader() {
        let outbox = Arc::new(Outbox::new(1_000));
        let mut writer = outbox.writer();
        outbox.send(text(800)).await.unwrap();
        let mut second = Box::pin(outbox.send(text(200)));
        assert_eq!(second.as_mut().now_or_never(), None);
        assert_eq!(writer.next().await.unwrap().unwrap().len(), 4 + 800);
        assert_eq!(second.await, Ok(()));
        assert_eq!(writer.next().await.unwrap().unwrap().len(), 4 + 200);
        // Larger than any room: it goes alone.
        outbox.send(text(5_000)).await.unwrap();
        assert_eq!(outbox.send(text(1)).now_or_never(), None);
    }

    #[tokio::test]
    async fn a_farewell_comes_last_and_then_nothing() {
        let outbox = Arc::new(Outbox::new(1_000));
        let mut writer = outbox.writer();
        outbox.send(text(1)).await.unwrap();
        outbox.close(Some(actix_http::ws::CloseCode::Away.into()));
        assert_eq!(outbox.send(text(1)).await, Err(Closed));
        assert_eq!(writer.next().await.unwrap().unwrap()[0], 0x81);
        assert_eq!(writer.next().await.unwrap().unwrap()[..], [0x88, 2, 3, 0xe9]);
        assert!(writer.next().now_or_never().is_none(), "the client has time to answer");
        outbox.finish();
        assert!(writer.next().await.is_none());
    }

    #[tokio::test]
    async fn whoever_waits_hears_of_the_end() {
        let outbox = Arc::new(Outbox::new(10));
        let writer = outbox.writer();
        outbox.send(text(100)).await.unwrap();
        let (waiting, over) = (outbox.send(text(1)), outbox.over());
        let end = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            drop(writer);
        };
        assert_eq!(tokio::join!(waiting, over, end).0, Err(Closed));
        outbox.gone().await;
    }

    #[test]
    fn messagepack_falls_back_to_json() {
        let packed = Encoding::MessagePack.message(b"[1]");
        assert_eq!((packed.kind, &packed.payload[..]), (OpCode::Binary, &b"\x91\x01"[..]));
        let text = Encoding::MessagePack.message(b"[1e400]");
        assert_eq!((text.kind, &text.payload[..]), (OpCode::Text, &b"[1e400]"[..]));
    }
}
