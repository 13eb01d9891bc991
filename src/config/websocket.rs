//! `[websocket]`: where the WebSocket front end listens, and what it puts up with.

use serde::{Deserialize, Serialize};

use super::validate::{Check, check_text, within};

/// The WebSocket front end.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WebsocketSettings {
    /// Whether it has a port of its own, beside its path on the HTTP port.
    pub enabled: bool,
    /// Address to listen on.
    pub bind: String,
    /// Port to listen on; 0 lets the system choose.
    pub port: u16,
    /// Origins whose pages may connect; `*` for all.
    pub allowed_origin: Vec<String>,
    /// Most open connections, on both ports together.
    pub max_connections: usize,
    /// Longest wait for a handshake on the port of its own, in seconds.
    pub handshake_timeout: u32,
    /// Largest message from a client, in bytes.
    pub max_message_bytes: usize,
    /// Most bytes that wait for a client to read them.
    pub max_outbox_bytes: usize,
    /// Longest wait for room for a message to a client, in seconds.
    pub send_timeout: u32,
    /// Seconds between pings; 0 sends none.
    pub ping_interval: u32,
    /// Longest silence after a ping, in seconds.
    pub pong_timeout: u32,
    /// Most subscriptions that a connection may have for itself.
    pub max_subscriptions_per_connection: usize,
}

impl WebsocketSettings {
    /// Whether a page of that origin may connect.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        self.allowed_origin.iter().any(|it| it == "*" || it.eq_ignore_ascii_case(origin))
    }
}

pub(super) fn check(websocket: &WebsocketSettings) -> Check {
    check_text("websocket.bind", Some(&websocket.bind))?;
    within("websocket.max_connections", websocket.max_connections, 1..=1_000_000)?;
    within("websocket.handshake_timeout", websocket.handshake_timeout, 1..=3_600)?;
    within("websocket.max_message_bytes", websocket.max_message_bytes, 1_024..=134_217_728)?;
    within("websocket.max_outbox_bytes", websocket.max_outbox_bytes, 1_024..=1_073_741_824)?;
    within("websocket.send_timeout", websocket.send_timeout, 1..=3_600)?;
    within("websocket.ping_interval", websocket.ping_interval, 0..=3_600)?;
    within("websocket.pong_timeout", websocket.pong_timeout, 1..=86_400)?;
    let key = "websocket.max_subscriptions_per_connection";
    within(key, websocket.max_subscriptions_per_connection, 0..=100_000)
}

#[cfg(test)]
mod tests {
    use crate::config::Settings;

    #[test]
    fn origins_are_compared_as_a_whole() {
        let mut websocket = Settings::defaults().unwrap().websocket;
        assert!(websocket.allows("https://anybody.example"));
        websocket.allowed_origin = vec!["https://example.net".to_owned()];
        assert!(websocket.allows("https://EXAMPLE.net"));
        for other in ["https://example.net.evil", "http://example.net", "null", ""] {
            assert!(!websocket.allows(other), "{other}");
        }
    }
}
