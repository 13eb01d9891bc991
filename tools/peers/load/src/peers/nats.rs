//! NATS: a work queue of JetStream; publications and acknowledgements of a batch at once,
//! and each of them answered by the server.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::stream::{self, RetentionPolicy, StorageType};
use async_nats::{Client, ConnectOptions, Subject};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::try_join_all;

use crate::peer::{LEASE_SECONDS, Peer, Place, Result, check_size};

const CONSUMER: &str = "workers";

/// What NATS calls an acknowledgement.
const ACK: Bytes = Bytes::from_static(b"+ACK");

/// How long an answer may take: on a slow disk, many flushes are ahead of it.
const PATIENCE: Duration = Duration::from_mins(1);

/// A connection with JetStream on it.
pub struct Nats {
    client: Client,
    jetstream: Context,
    queue: String,
    /// Looked up by the first take.
    consumer: Option<PullConsumer>,
    /// Where the acknowledgements of what was taken go.
    taken: Vec<Subject>,
}

impl Peer for Nats {
    const FILL_BATCH: usize = 500;

    async fn connect(place: &Place) -> Result<Self> {
        let options = ConnectOptions::new().request_timeout(Some(PATIENCE));
        let client = options.connect(format!("127.0.0.1:{}", place.port)).await?;
        let jetstream = ContextBuilder::new().timeout(PATIENCE).build(client.clone());
        let queue = place.queue.clone();
        Ok(Self { client, jetstream, queue, consumer: None, taken: Vec::new() })
    }

    async fn create(&mut self) -> Result<()> {
        let stream = stream::Config {
            name: self.queue.clone(),
            subjects: vec![self.queue.clone()],
            retention: RetentionPolicy::WorkQueue,
            storage: StorageType::File,
            ..stream::Config::default()
        };
        let consumer = pull::Config {
            durable_name: Some(CONSUMER.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_secs(LEASE_SECONDS.into()),
            max_ack_pending: -1,
            ..pull::Config::default()
        };
        let stream = self.jetstream.get_or_create_stream(stream).await?;
        stream.get_or_create_consumer(CONSUMER, consumer).await?;
        Ok(())
    }

    async fn remove(&mut self) -> Result<()> {
        self.jetstream.delete_stream(&self.queue).await?;
        Ok(())
    }

    /// An acknowledged message leaves a work queue.
    async fn waiting(&mut self) -> Result<u64> {
        let stream = self.jetstream.get_stream(&self.queue).await?;
        Ok(stream.get_info().await?.state.messages)
    }

    async fn post(&mut self, bodies: &[Bytes]) -> Result<()> {
        let mut sent = Vec::with_capacity(bodies.len());
        for body in bodies {
            sent.push(self.jetstream.publish(self.queue.clone(), body.clone()).await?);
        }
        try_join_all(sent.into_iter().map(IntoFuture::into_future)).await?;
        Ok(())
    }

    async fn take(&mut self, most: usize) -> Result<usize> {
        if self.consumer.is_none() {
            let stream = self.jetstream.get_stream_no_info(&self.queue).await?;
            self.consumer = Some(stream.get_consumer(CONSUMER).await?);
        }
        let consumer = self.consumer.as_ref().ok_or("there is no consumer")?;
        let mut messages = consumer.fetch().max_messages(most).messages().await?;
        while let Some(message) = messages.next().await {
            let message = message?;
            check_size(message.payload.len())?;
            self.taken.push(message.reply.clone().ok_or("a message without a reply subject")?);
        }
        Ok(self.taken.len())
    }

    /// As the client's `double_ack`, which makes a subscription for each answer; requests
    /// share one.
    async fn acknowledge(&mut self) -> Result<()> {
        let taken = std::mem::take(&mut self.taken);
        try_join_all(taken.into_iter().map(|reply| self.client.request(reply, ACK))).await?;
        Ok(())
    }
}
