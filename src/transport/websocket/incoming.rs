//! What a client sends: frames, put together to messages.

use actix_http::ws::{CloseCode, CloseReason, OpCode, Parser, ProtocolError};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

/// The longest head of a frame, in bytes.
const HEAD_MAX: usize = 14;

/// What came from a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// JSON, as UTF-8.
    Text(Bytes),
    /// MessagePack, most likely.
    Binary(Bytes),
    /// To be sent back in a pong.
    Ping(Bytes),
    /// An answer to a ping, or a sign of life that nobody asked for.
    Pong,
    /// It wants to end the connection.
    Close(Option<CloseReason>),
    /// It does not keep to the protocol.
    Broken(CloseCode, &'static str),
    /// The connection is gone.
    Gone,
}

/// The messages of a client.
pub(super) struct Incoming<P> {
    payload: P,
    buffer: BytesMut,
    /// A message whose end has not come yet.
    begun: Option<(OpCode, BytesMut)>,
    max: usize,
}

impl<P, E> Incoming<P>
where
    P: Stream<Item = Result<Bytes, E>> + Unpin,
{
    /// Reads messages of up to `max` bytes.
    pub(super) fn new(payload: P, max: usize) -> Self {
        Self { payload, buffer: BytesMut::new(), begun: None, max }
    }

    /// The next message. Nothing is lost if this is not waited for to its end.
    pub(super) async fn next(&mut self) -> Heard {
        loop {
            if let Some(heard) = self.buffered() {
                return heard;
            }
            match self.payload.next().await {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(_)) | None => return Heard::Gone,
            }
        }
    }

    /// Reads and forgets, until the client closes the connection.
    pub(super) async fn drain(&mut self) {
        while let Some(Ok(_)) = self.payload.next().await {}
    }

    fn buffered(&mut self) -> Option<Heard> {
        loop {
            match Parser::parse(&mut self.buffer, true, self.max) {
                Ok(Some((is_last, kind, payload))) => {
                    let payload = payload.unwrap_or_default();
                    if let Some(heard) = self.frame(is_last, kind, payload) {
                        return Some(heard);
                    }
                }
                Ok(None) if self.buffer.len() > self.max + HEAD_MAX => return Some(too_large()),
                Ok(None) => return None,
                Err(ProtocolError::Overflow) => return Some(too_large()),
                Err(_) => return Some(broken("The frame is malformed.")),
            }
        }
    }

    fn frame(&mut self, is_last: bool, kind: OpCode, payload: BytesMut) -> Option<Heard> {
        match (kind, is_last) {
            (OpCode::Text | OpCode::Binary, _) if self.begun.is_some() => {
                Some(broken("A message began within another one."))
            }
            (OpCode::Text | OpCode::Binary, true) => Some(message(kind, payload)),
            (OpCode::Text | OpCode::Binary, false) => {
                self.begun = Some((kind, payload));
                None
            }
            (OpCode::Continue, _) => self.go_on(is_last, &payload),
            (_, false) => Some(broken("A control frame was fragmented.")),
            (OpCode::Ping, true) => Some(Heard::Ping(payload.freeze())),
            (OpCode::Pong, true) => Some(Heard::Pong),
            (OpCode::Close, true) => Some(match Parser::try_parse_close_payload(&payload) {
                Ok(reason) => Heard::Close(reason),
                Err(_) => broken("The reason to close is malformed."),
            }),
            (OpCode::Bad, true) => Some(broken("The frame is of no known kind.")),
        }
    }

    fn go_on(&mut self, is_last: bool, payload: &[u8]) -> Option<Heard> {
        let Some((_, begun)) = &mut self.begun else {
            return Some(broken("A message goes on that did not begin."));
        };
        if begun.len() + payload.len() > self.max {
            return Some(too_large());
        }
        begun.extend_from_slice(payload);
        if !is_last {
            return None;
        }
        self.begun.take().map(|(kind, whole)| message(kind, whole))
    }
}

fn message(kind: OpCode, payload: BytesMut) -> Heard {
    let payload = payload.freeze();
    match kind {
        OpCode::Text if std::str::from_utf8(&payload).is_err() => {
            Heard::Broken(CloseCode::Invalid, "The text is not UTF-8.")
        }
        OpCode::Text => Heard::Text(payload),
        _ => Heard::Binary(payload),
    }
}

fn broken(what: &'static str) -> Heard {
    Heard::Broken(CloseCode::Protocol, what)
}

fn too_large() -> Heard {
    Heard::Broken(CloseCode::Size, "The message is too large.")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    fn frame(kind: OpCode, is_last: bool, payload: &[u8]) -> Bytes {
        let mut bytes = BytesMut::new();
        Parser::write_message(&mut bytes, payload, kind, is_last, true);
        bytes.freeze()
    }

    async fn heard(parts: Vec<Bytes>) -> Vec<Heard> {
        let payload = stream::iter(parts.into_iter().map(Ok::<_, Infallible>));
        let mut incoming = Incoming::new(payload, 100);
        let mut all = Vec::new();
        loop {
            match incoming.next().await {
                Heard::Gone => return all,
                heard @ Heard::Broken(..) => {
                    all.push(heard);
                    return all;
                }
                heard => all.push(heard),
            }
        }
    }

    #[tokio::test]
    async fn fragments_are_put_together_around_a_ping() {
        let whole = [
            frame(OpCode::Text, false, b"{\"a\":"),
            frame(OpCode::Ping, true, b"?"),
            frame(OpCode::Continue, false, b" \xc3"),
            frame(OpCode::Continue, true, b"\xa9}"),
            frame(OpCode::Binary, true, b"\xff"),
        ]
        .concat();
        let bytewise = whole.chunks(1).map(Bytes::copy_from_slice).collect();
        let expected = vec![
            Heard::Ping(Bytes::from_static(b"?")),
            Heard::Text(Bytes::from_static("{\"a\": é}".as_bytes())),
            Heard::Binary(Bytes::from_static(b"\xff")),
        ];
        assert_eq!(heard(bytewise).await, expected);
        assert_eq!(heard(vec![whole.into()]).await, expected);
    }

    #[tokio::test]
    async fn what_breaks_the_protocol_has_its_code() {
        let unmasked = Bytes::from_static(b"\x81\x01x");
        let reserved = Bytes::from_static(b"\x83\x80\0\0\0\0");
        for (bytes, code) in [
            (unmasked, CloseCode::Protocol),
            (reserved, CloseCode::Protocol),
            (frame(OpCode::Continue, true, b"x"), CloseCode::Protocol),
            (frame(OpCode::Ping, false, b"x"), CloseCode::Protocol),
            (frame(OpCode::Text, true, b"\xff"), CloseCode::Invalid),
            (frame(OpCode::Text, true, &[b'x'; 101]), CloseCode::Size),
            // Refused before all of it has come.
            (frame(OpCode::Text, true, &[b'x'; 1_000]).slice(..200), CloseCode::Size),
        ] {
            let all = heard(vec![bytes.clone()]).await;
            assert!(matches!(all[..], [Heard::Broken(it, _)] if it == code), "{bytes:?}: {all:?}");
        }
        let two = vec![
            frame(OpCode::Text, false, &[b'x'; 60]),
            frame(OpCode::Continue, true, &[b'x'; 60]),
        ];
        assert!(matches!(heard(two).await[..], [Heard::Broken(CloseCode::Size, _)]));
    }
}
