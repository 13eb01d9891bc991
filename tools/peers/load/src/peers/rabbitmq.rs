//! RabbitMQ: a quorum queue; confirms for a batch at once, a consumer that is ahead by a
//! batch, one acknowledgement for all that was taken.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};
use tokio::time::timeout;

use crate::peer::{Peer, Place, Result, check_size};

/// Persistent, in AMQP's words. Messages of quorum queues are, whatever they say.
const PERSISTENT: u8 = 2;

/// How long an empty queue is waited for: AMQP does not say that there is nothing.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long the rest of a batch is waited for.
const REST_PATIENCE: Duration = Duration::from_millis(5);

/// A connection with one channel.
pub struct RabbitMq {
    queue: String,
    channel: Channel,
    /// Made by the first take: whoever only posts must not be sent messages.
    consumer: Option<Consumer>,
    /// The last message that was taken.
    tag: u64,
    // Ends when it is dropped.
    _connection: Connection,
}

impl RabbitMq {
    async fn declare(&mut self, passive: bool) -> Result<u64> {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let options = QueueDeclareOptions { passive, ..QueueDeclareOptions::durable() };
        let name = self.queue.as_str().into();
        let queue = self.channel.queue_declare(name, options, arguments).await?;
        Ok(queue.message_count().into())
    }

    /// Twice a batch: one in hand and one on its way.
    async fn subscribe(&mut self, batch: usize) -> Result<Consumer> {
        let prefetch = u16::try_from(batch * 2)?;
        self.channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions::default();
        let name = self.queue.as_str().into();
        let table = FieldTable::default();
        Ok(self.channel.basic_consume(name, "".into(), options, table).await?)
    }
}

impl Peer for RabbitMq {
    const FILL_BATCH: usize = 500;

    async fn connect(place: &Place) -> Result<Self> {
        let url = format!("amqp://guest:guest@127.0.0.1:{}/%2f", place.port);
        let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let queue = place.queue.clone();
        Ok(Self { queue, channel, consumer: None, tag: 0, _connection: connection })
    }

    async fn create(&mut self) -> Result<()> {
        self.declare(false).await?;
        Ok(())
    }

    async fn remove(&mut self) -> Result<()> {
        let name = self.queue.as_str().into();
        self.channel.queue_delete(name, QueueDeleteOptions::default()).await?;
        Ok(())
    }

    async fn waiting(&mut self) -> Result<u64> {
        self.declare(true).await
    }

    async fn post(&mut self, bodies: &[Bytes]) -> Result<()> {
        let sent = try_join_all(bodies.iter().map(|body| {
            self.channel.basic_publish(
                "".into(),
                self.queue.as_str().into(),
                BasicPublishOptions::default(),
                body,
                BasicProperties::default().with_delivery_mode(PERSISTENT),
            )
        }))
        .await?;
        for confirmation in try_join_all(sent).await? {
            if !confirmation.is_ack() {
                return Err(format!("RabbitMQ answers {confirmation:?} to a message").into());
            }
        }
        Ok(())
    }

    async fn take(&mut self, most: usize) -> Result<usize> {
        let mut consumer = match self.consumer.take() {
            Some(consumer) => consumer,
            None => self.subscribe(most).await?,
        };
        let mut taken = 0;
        while taken < most {
            let patience = if taken == 0 { PATIENCE } else { REST_PATIENCE };
            let Ok(delivery) = timeout(patience, consumer.next()).await else { break };
            let delivery = delivery.ok_or("RabbitMQ ended the consumer")??;
            check_size(delivery.data.len())?;
            self.tag = delivery.delivery_tag;
            taken += 1;
        }
        self.consumer = Some(consumer);
        Ok(taken)
    }

    /// AMQP has no answer to an acknowledgement.
    async fn acknowledge(&mut self) -> Result<()> {
        Ok(self.channel.basic_ack(self.tag, BasicAckOptions { multiple: true }).await?)
    }
}
