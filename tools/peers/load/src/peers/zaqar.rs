//! nusku and Zaqar: the same API, a connection kept alive; a claim and the deletion of
//! what it got hold of, in one request each.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::http::Http;
use crate::peer::{LEASE_SECONDS, Peer, Place, Result, check_size};

/// Seconds for which a message is kept: longer than any comparison takes.
const TTL_SECONDS: u32 = 1_000_000;

/// A connection of a client of its own.
pub struct Zaqar {
    http: Http,
    /// The path of the queue.
    path: String,
    /// Messages that were claimed and not deleted yet.
    taken: Vec<String>,
}

#[derive(Deserialize)]
struct Claim<'a> {
    #[serde(borrow)]
    messages: Vec<Claimed<'a>>,
}

#[derive(Deserialize)]
struct Claimed<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Deserialize)]
struct Stats {
    messages: Counts,
}

#[derive(Deserialize)]
struct Counts {
    total: u64,
}

impl Peer for Zaqar {
    /// As many as fit into 256 KiB, which is what a post may have at most.
    const FILL_BATCH: usize = 190;

    async fn connect(place: &Place) -> Result<Self> {
        let headers = format!(
            "Client-ID: {}\r\nX-Project-ID: peers\r\nContent-Type: application/json\r\n",
            Uuid::new_v4(),
        );
        let http = Http::connect(place.port, &headers).await?;
        Ok(Self { http, path: format!("/v2/queues/{}", place.queue), taken: Vec::new() })
    }

    async fn create(&mut self) -> Result<()> {
        let make = format!("PUT {}", self.path);
        self.http.exchange(&make, |body| body.extend(b"{}")).await?.with_status(&[201, 204])?;
        Ok(())
    }

    async fn remove(&mut self) -> Result<()> {
        let delete = format!("DELETE {}", self.path);
        self.http.exchange(&delete, |_| ()).await?.with_status(&[204])?;
        Ok(())
    }

    async fn waiting(&mut self) -> Result<u64> {
        let stats = format!("GET {}/stats", self.path);
        let answer = self.http.exchange(&stats, |_| ()).await?.with_status(&[200])?;
        let stats: Stats = serde_json::from_slice(answer.body)?;
        Ok(stats.messages.total)
    }

    async fn post(&mut self, bodies: &[Bytes]) -> Result<()> {
        let post = format!("POST {}/messages", self.path);
        let write = |request: &mut Vec<u8>| {
            let mut before = "{\"messages\": [";
            for body in bodies {
                request.extend(before.as_bytes());
                request.extend(format!("{{\"ttl\": {TTL_SECONDS}, \"body\": ").as_bytes());
                request.extend(body);
                before = "}, ";
            }
            request.extend(b"}]}");
        };
        self.http.exchange(&post, write).await?.with_status(&[201])?;
        Ok(())
    }

    async fn take(&mut self, most: usize) -> Result<usize> {
        let claim = format!("POST {}/claims?limit={most}", self.path);
        let terms = format!("{{\"ttl\": {LEASE_SECONDS}, \"grace\": 60}}");
        let write = |request: &mut Vec<u8>| request.extend(terms.as_bytes());
        let answer = self.http.exchange(&claim, write).await?.with_status(&[201, 204])?;
        if answer.status == 204 {
            return Ok(0);
        }
        let claim: Claim = serde_json::from_slice(answer.body)?;
        for message in claim.messages {
            check_size(message.body.get().len())?;
            self.taken.push(message.id.into_owned());
        }
        Ok(self.taken.len())
    }

    async fn acknowledge(&mut self) -> Result<()> {
        let delete = format!("DELETE {}/messages?ids={}", self.path, self.taken.join(","));
        self.http.exchange(&delete, |_| ()).await?.with_status(&[204])?;
        self.taken.clear();
        Ok(())
    }
}
