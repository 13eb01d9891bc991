//! Following a queue: its messages as they come, for as long as somebody reads.

use std::future::{Future, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;

use super::lines::Place;
use crate::model::{ClientId, Marker, Message};
use crate::service::access::Permit;
use crate::service::access::actions::ListMessages;
use crate::service::{Error, MessageListing, MessagePage, Result, Service};

/// What a follower is told next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// These messages came, by ascending marker; never none.
    Messages(Vec<Message>),
    /// Nothing came for as long as a heart beat.
    Quiet,
}

/// Somebody who follows a queue. Keeps one page at most, and reads the next
/// when it is asked for.
pub struct Follower {
    service: Arc<Service>,
    queue: Permit<ListMessages>,
    client: ClientId,
    /// Where the next page begins, and what it leaves out.
    listing: MessageListing,
    /// The first page, until it was told.
    first: Option<MessagePage>,
    /// Whether there may be more to read already.
    more: bool,
    place: Place,
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Service {
    /// Follows a queue from the listing's marker on, or from its oldest message.
    /// Messages are shown as in a listing by markers: one that was claimed or
    /// delayed when the follower passed it is not shown afterwards.
    ///
    /// # Errors
    ///
    /// As [`Service::list_messages`]; [`Error::InvalidRequest`] for a marker
    /// that is none, behind which nothing would ever come;
    /// [`Error::TooManyWaiters`].
    pub async fn follow(
        self: &Arc<Self>,
        queue: Permit<ListMessages>,
        client: ClientId,
        listing: MessageListing,
    ) -> Result<Follower> {
        if let Some(marker) = listing.marker.as_deref()
            && Marker::parse(marker).is_none()
        {
            return Err(Error::InvalidRequest(
                "The marker (or Last-Event-ID) must be a marker of a message or its id.".to_owned(),
            ));
        }
        let over = Box::pin(self.clock.sleep(self.waiting.max_stream));
        let place = self.waiting.lines.listen(&queue)?;
        let service = Arc::clone(self);
        let (first, more) = (None, true);
        let mut follower = Follower { service, queue, client, listing, first, more, place, over };
        // What is wrong with the request is told before the first message.
        follower.first = Some(follower.page().await?);
        Ok(follower)
    }
}

impl Follower {
    /// The queue that is followed.
    #[must_use]
    pub fn queue(&self) -> &Permit<ListMessages> {
        &self.queue
    }

    /// What comes next, as soon as there is anything; `None` when it is over:
    /// the server stops, or the stream has lasted as long as one may.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if the store does not answer.
    pub async fn next(&mut self) -> Result<Option<Followed>> {
        let mut quiet = pin!(self.service.clock.sleep(self.service.waiting.heartbeat));
        loop {
            // Also for a queue in which there is always more.
            tokio::select! {
                biased;
                () = &mut self.over => return Ok(None),
                () = ready(()) => if self.place.is_over() { return Ok(None) },
            }
            let page = match self.first.take() {
                Some(first) => Some(first),
                None if self.more => Some(self.page().await?),
                None => None,
            };
            self.more = false;
            if let Some(MessagePage { messages, last: Some(last), .. }) = page {
                self.more = true;
                self.listing.marker = Some(last.to_string());
                if messages.is_empty() {
                    continue;
                }
                return Ok(Some(Followed::Messages(messages)));
            }
            tokio::select! {
                biased;
                () = &mut self.over => return Ok(None),
                goes_on = self.place.called() => if !goes_on { return Ok(None) },
                () = &mut quiet => return Ok(Some(Followed::Quiet)),
            }
            self.more = true;
        }
    }

    async fn page(&self) -> Result<MessagePage> {
        let listing = self.listing.clone();
        let list = self.service.list_messages(&self.queue, &self.client, listing);
        self.service.waiting.in_turn(list).await
    }
}
