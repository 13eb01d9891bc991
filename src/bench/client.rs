//! One connection to the server, kept alive and made anew when it breaks.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HeaderValue, LOCATION};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::target::Target;

/// Why a request did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// The server answered, but not with 2xx.
    Status(u16),
    /// The connection could not be made, or broke.
    Connection,
    /// No answer within `--timeout`.
    Timeout,
    /// A 2xx answer that is not what the API promises.
    Unreadable,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Connection => f.write_str("connection"),
            Self::Timeout => f.write_str("timeout"),
            Self::Unreadable => f.write_str("unreadable"),
        }
    }
}

/// Whether an answer's body is of interest. One that is not is read all the
/// same, as the connection must be empty for the next answer, but not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Hand it over.
    Keep,
    /// Forget it.
    Skip,
}

/// A 2xx answer.
#[derive(Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The `Location` header.
    pub location: Option<HeaderValue>,
    /// The body; empty if it was to be skipped.
    pub body: Bytes,
}

type Sender = SendRequest<Full<Bytes>>;

/// One connection: one request at a time, the next when the last is answered.
#[derive(Debug)]
pub struct Connection {
    target: Arc<Target>,
    timeout: Duration,
    sender: Option<Sender>,
    connects: u64,
}

impl Connection {
    /// A connection to `target` that is made when it is needed; an answer may
    /// take `timeout`.
    #[must_use]
    pub fn new(target: Arc<Target>, timeout: Duration) -> Self {
        Self { target, timeout, sender: None, connects: 0 }
    }

    /// How often the connection had to be made again.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.connects.saturating_sub(1)
    }

    /// Connects, whether or not there is a connection already.
    ///
    /// # Errors
    ///
    /// The system's reason, or a timeout.
    pub async fn connect(&mut self) -> io::Result<()> {
        let connecting = Self::open(&self.target);
        self.sender = match tokio::time::timeout(self.timeout, connecting).await {
            Ok(sender) => Some(sender?),
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        };
        self.connects += 1;
        Ok(())
    }

    /// Sends `request`, waits for the answer and reads it to its end.
    ///
    /// A connection the server closed between two requests is replaced
    /// silently, as keep-alive allows that; one that breaks within a request
    /// is a failure, because the server may have done the work.
    ///
    /// # Errors
    ///
    /// Why it did not succeed.
    pub async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        body: Body,
    ) -> Result<Answer, Failure> {
        match tokio::time::timeout(self.timeout, self.attempt(request, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Timeout),
        }
    }

    /// As [`Connection::exchange`]. The connection is kept only if it comes to
    /// the end of the answer: one that broke or was given up is dropped.
    async fn attempt(
        &mut self,
        mut request: Request<Full<Bytes>>,
        body: Body,
    ) -> Result<Answer, Failure> {
        loop {
            let kept = self.kept().await;
            let fresh = kept.is_none();
            let mut sender = match kept {
                Some(sender) => sender,
                None => Self::open(&self.target).await.map_err(|_| Failure::Connection)?,
            };
            self.connects += u64::from(fresh);
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let answer = read(response, body).await;
                    self.sender = Some(sender);
                    return answer;
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !fresh => request = unsent,
                    _ => return Err(Failure::Connection),
                },
            }
        }
    }

    /// The connection of the last request, if the server still keeps it.
    async fn kept(&mut self) -> Option<Sender> {
        let mut sender = self.sender.take()?;
        sender.ready().await.ok().map(|()| sender)
    }

    async fn open(target: &Target) -> io::Result<Sender> {
        let stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // How it ends is seen by the request that needs it next.
        tokio::spawn(async { drop(connection.await) });
        Ok(sender)
    }
}

async fn read(response: Response<Incoming>, body: Body) -> Result<Answer, Failure> {
    let (mut head, mut incoming) = response.into_parts();
    let succeeded = head.status.is_success();
    let mut kept = Bytes::new();
    if succeeded && body == Body::Keep {
        kept = incoming.collect().await.map_err(|_| Failure::Connection)?.to_bytes();
    } else {
        while let Some(frame) = incoming.frame().await {
            frame.map_err(|_| Failure::Connection)?;
        }
    }
    if !succeeded {
        return Err(Failure::Status(head.status.as_u16()));
    }
    let location = head.headers.remove(LOCATION);
    Ok(Answer { status: head.status.as_u16(), location, body: kept })
}
