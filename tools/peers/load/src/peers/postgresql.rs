//! PostgreSQL: a table that is a queue, with the columns, indexes and statements of pgmq.

use std::error::Error;

use bytes::{BufMut, Bytes, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};
use tokio_postgres::{Client, NoTls, Statement};

use crate::peer::{LEASE_SECONDS, Peer, Place, Result, check_size};

/// A connection with its statements prepared.
pub struct Postgresql {
    client: Client,
    queue: String,
    /// Prepared by the first step, when there is a table.
    statements: Option<Statements>,
    /// Messages that were taken and not deleted yet.
    taken: Vec<i64>,
}

#[derive(Clone)]
struct Statements {
    send: Statement,
    read: Statement,
    delete: Statement,
}

impl Postgresql {
    async fn statements(&mut self) -> Result<Statements> {
        if let Some(statements) = &self.statements {
            return Ok(statements.clone());
        }
        let queue = &self.queue;
        let send = format!(
            "INSERT INTO {queue} (vt, message) SELECT clock_timestamp(), unnest($1::jsonb[])"
        );
        let read = format!(
            "WITH taken AS (
                 SELECT msg_id FROM {queue} WHERE vt <= clock_timestamp()
                 ORDER BY msg_id LIMIT $1 FOR UPDATE SKIP LOCKED
             )
             UPDATE {queue} AS queue
             SET vt = clock_timestamp() + interval '{LEASE_SECONDS} seconds', read_ct = read_ct + 1
             FROM taken WHERE queue.msg_id = taken.msg_id
             RETURNING queue.msg_id, queue.read_ct, queue.enqueued_at, queue.vt, queue.message"
        );
        let delete = format!("DELETE FROM {queue} WHERE msg_id = ANY($1::bigint[])");
        let statements = Statements {
            send: self.client.prepare(&send).await?,
            read: self.client.prepare(&read).await?,
            delete: self.client.prepare(&delete).await?,
        };
        self.statements = Some(statements.clone());
        Ok(statements)
    }
}

impl Peer for Postgresql {
    const FILL_BATCH: usize = 1000;

    async fn connect(place: &Place) -> Result<Self> {
        let settings = format!("host=127.0.0.1 port={} user=peers dbname=postgres", place.port);
        let (client, connection) = tokio_postgres::connect(&settings, NoTls).await?;
        // A connection that breaks shows in the step that wants it.
        tokio::spawn(connection);
        Ok(Self { client, queue: place.queue.clone(), statements: None, taken: Vec::new() })
    }

    async fn create(&mut self) -> Result<()> {
        let queue = &self.queue;
        let make = format!(
            "CREATE TABLE IF NOT EXISTS {queue} (
                 msg_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
                 read_ct int NOT NULL DEFAULT 0,
                 enqueued_at timestamptz NOT NULL DEFAULT now(),
                 vt timestamptz NOT NULL,
                 message jsonb
             );
             CREATE INDEX IF NOT EXISTS {queue}_vt ON {queue} (vt)"
        );
        Ok(self.client.batch_execute(&make).await?)
    }

    async fn remove(&mut self) -> Result<()> {
        Ok(self.client.batch_execute(&format!("DROP TABLE {}", self.queue)).await?)
    }

    async fn waiting(&mut self) -> Result<u64> {
        let count = format!("SELECT count(*) FROM {}", self.queue);
        let row = self.client.query_one(&count, &[]).await?;
        Ok(u64::try_from(row.try_get::<_, i64>(0)?)?)
    }

    async fn settle(&mut self) -> Result<()> {
        Ok(self.client.batch_execute(&format!("VACUUM (ANALYZE) {}", self.queue)).await?)
    }

    async fn post(&mut self, bodies: &[Bytes]) -> Result<()> {
        let send = self.statements().await?.send;
        let bodies: Vec<_> = bodies.iter().map(|body| Jsonb(body)).collect();
        let inserted = self.client.execute(&send, &[&bodies]).await?;
        if inserted != bodies.len() as u64 {
            return Err(format!("{inserted} of {} messages inserted", bodies.len()).into());
        }
        Ok(())
    }

    async fn take(&mut self, most: usize) -> Result<usize> {
        let read = self.statements().await?.read;
        for row in self.client.query(&read, &[&i64::try_from(most)?]).await? {
            check_size(row.try_get::<_, Jsonb>("message")?.0.len())?;
            self.taken.push(row.try_get("msg_id")?);
        }
        Ok(self.taken.len())
    }

    async fn acknowledge(&mut self) -> Result<()> {
        let delete = self.statements().await?.delete;
        let deleted = self.client.execute(&delete, &[&self.taken]).await?;
        if deleted != self.taken.len() as u64 {
            return Err(format!("{deleted} of {} messages deleted", self.taken.len()).into());
        }
        self.taken.clear();
        Ok(())
    }
}

/// The text of a JSON value, not parsed.
#[derive(Debug)]
struct Jsonb<'a>(&'a [u8]);

/// What the binary form of `jsonb` begins with.
const JSONB_VERSION: u8 = 1;

impl ToSql for Jsonb<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> std::result::Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_u8(JSONB_VERSION);
        out.put_slice(self.0);
        Ok(IsNull::No)
    }

    accepts!(JSONB);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Jsonb<'a> {
    fn from_sql(
        _: &Type,
        raw: &'a [u8],
    ) -> std::result::Result<Self, Box<dyn Error + Sync + Send>> {
        match raw {
            [JSONB_VERSION, text @ ..] => Ok(Self(text)),
            _ => Err("jsonb of another version".into()),
        }
    }

    accepts!(JSONB);
}
