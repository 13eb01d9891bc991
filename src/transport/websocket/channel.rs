//! Messages pushed to connections.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::hub::Hub;
use super::outbox::Closed;
use crate::service::notification::channel::{Channel, Notification, Outcome};

/// The way to subscribers that are connections of this server.
///
/// Delivered is what stands in the outbox of its connection, in its order. What the
/// connection then does not write is lost with it, and so is the subscription.
pub struct ConnectionChannel(Arc<Hub>);

impl ConnectionChannel {
    /// The way to the connections of `hub`.
    #[must_use]
    pub fn new(hub: Arc<Hub>) -> Self {
        Self(hub)
    }
}

#[async_trait]
impl Channel for ConnectionChannel {
    fn target(&self, subscriber: &str) -> String {
        subscriber.to_owned()
    }

    async fn deliver(&self, notification: &Notification) -> Outcome {
        // Its subscriptions are about to go, and whatever is due for them with them. A
        // refusal would make dead letters of that.
        let not_now = |reason: &str| Outcome::TryAgain { reason: reason.to_owned(), after: None };
        let Some(outbox) = self.0.outbox_of(&notification.subscriber) else {
            return not_now("The connection is closed.");
        };
        let message = outbox.encoding().message(notification.document.as_bytes());
        let patience = Duration::from_secs(self.0.settings.send_timeout.into());
        match timeout(patience, outbox.send(message)).await {
            Ok(Ok(())) => Outcome::Delivered,
            Ok(Err(Closed)) => not_now("The connection is closed."),
            Err(_) => {
                outbox.give_up();
                not_now("The client did not read what was sent to it.")
            }
        }
    }
}
