//! What reads messages, for those who feed it garbage on purpose: the targets in
//! `fuzz/`. Not for anybody else.

use bytes::Bytes;

use super::msgpack;
use super::outbox::Encoding;
use super::reply::Reply;
use super::request::{self, Echo};

/// Reads a message as a request and returns the reply that tells of it.
#[must_use]
pub fn told(message: &[u8], is_binary: bool) -> Vec<u8> {
    let encoding = if is_binary { Encoding::MessagePack } else { Encoding::Json };
    let read = request::text(Bytes::copy_from_slice(message), encoding)
        .and_then(|text| request::read(&text, encoding, 65_536, true));
    let echo = match read {
        Ok(request) => request.echo,
        Err(unread) => unread.echo,
    };
    told_with(&echo)
}

fn told_with(echo: &Echo) -> Vec<u8> {
    Reply::new(200, b"{}".to_vec()).envelope(echo)
}

/// The MessagePack value of a JSON text, if it has one.
#[must_use]
pub fn packed(text: &[u8]) -> Option<Vec<u8>> {
    msgpack::from_json(text)
}

/// The JSON text of a MessagePack value, if it has one.
#[must_use]
pub fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    msgpack::to_json(bytes).ok()
}
