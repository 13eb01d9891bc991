//! beanstalkd: its text protocol, the commands of a batch sent at once.

use std::fmt::Write;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::peer::{LEASE_SECONDS, Peer, Place, Result, check_size};

/// A connection that uses one tube and watches no other.
pub struct Beanstalkd {
    stream: BufReader<TcpStream>,
    tube: String,
    line: String,
    /// Jobs that were reserved and not deleted yet.
    taken: Vec<u64>,
}

impl Beanstalkd {
    async fn send(&mut self, commands: &[u8]) -> Result<()> {
        Ok(self.stream.get_mut().write_all(commands).await?)
    }

    /// Reads a line, which is in `self.line` then.
    async fn read_line(&mut self) -> Result<()> {
        self.line.clear();
        if self.stream.read_line(&mut self.line).await? == 0 {
            return Err("beanstalkd hung up".into());
        }
        Ok(())
    }

    /// Reads an answer that is a line beginning with `word`.
    async fn expect(&mut self, word: &str) -> Result<()> {
        self.read_line().await?;
        let answer = self.line.trim_end();
        if answer.split(' ').next() == Some(word) {
            return Ok(());
        }
        Err(format!("beanstalkd answers {answer:?} where {word} is due").into())
    }

    /// Number `index` behind the word of the line that was read.
    fn number(&self, index: usize) -> Result<u64> {
        let number = self.line.trim_end().split(' ').nth(index + 1).and_then(|it| it.parse().ok());
        number.ok_or_else(|| format!("beanstalkd answers {:?}", self.line).into())
    }

    /// Reads the data that follow a line with their size.
    async fn data(&mut self, size: u64) -> Result<Vec<u8>> {
        let mut data = vec![0; usize::try_from(size)? + 2];
        self.stream.read_exact(&mut data).await?;
        data.truncate(data.len() - 2);
        Ok(data)
    }
}

impl Peer for Beanstalkd {
    const FILL_BATCH: usize = 500;

    async fn connect(place: &Place) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", place.port)).await?;
        stream.set_nodelay(true)?;
        let tube = place.queue.clone();
        let mut peer =
            Self { stream: BufReader::new(stream), tube, line: String::new(), taken: Vec::new() };
        let tube = &peer.tube;
        let commands = format!("use {tube}\r\nwatch {tube}\r\nignore default\r\n");
        peer.send(commands.as_bytes()).await?;
        peer.expect("USING").await?;
        peer.expect("WATCHING").await?;
        peer.expect("WATCHING").await?;
        Ok(peer)
    }

    /// Whoever uses a tube makes it.
    async fn create(&mut self) -> Result<()> {
        Ok(())
    }

    /// Only job by job, each with a flush; they are in nobody's way until the server and
    /// its directory go.
    async fn remove(&mut self) -> Result<()> {
        Ok(())
    }

    async fn waiting(&mut self) -> Result<u64> {
        let command = format!("stats-tube {}\r\n", self.tube);
        self.send(command.as_bytes()).await?;
        self.expect("OK").await?;
        let size = self.number(0)?;
        let stats = String::from_utf8(self.data(size).await?)?;
        let count = |name: &str| -> Option<u64> {
            let line = stats.lines().find_map(|line| line.strip_prefix(name))?;
            line.strip_prefix(": ")?.parse().ok()
        };
        match (count("current-jobs-ready"), count("current-jobs-reserved")) {
            (Some(ready), Some(reserved)) => Ok(ready + reserved),
            _ => Err(format!("beanstalkd does not count: {stats}").into()),
        }
    }

    async fn post(&mut self, bodies: &[Bytes]) -> Result<()> {
        let mut commands = Vec::new();
        for body in bodies {
            let head = format!("put 0 0 {LEASE_SECONDS} {}\r\n", body.len());
            commands.extend_from_slice(head.as_bytes());
            commands.extend_from_slice(body);
            commands.extend_from_slice(b"\r\n");
        }
        self.send(&commands).await?;
        for _ in bodies {
            self.expect("INSERTED").await?;
        }
        Ok(())
    }

    async fn take(&mut self, most: usize) -> Result<usize> {
        self.send("reserve-with-timeout 0\r\n".repeat(most).as_bytes()).await?;
        for _ in 0..most {
            self.read_line().await?;
            if self.line.trim_end() == "TIMED_OUT" {
                continue;
            }
            if !self.line.starts_with("RESERVED ") {
                return Err(format!("beanstalkd answers {:?} to reserve", self.line).into());
            }
            let (id, size) = (self.number(0)?, self.number(1)?);
            check_size(self.data(size).await?.len())?;
            self.taken.push(id);
        }
        Ok(self.taken.len())
    }

    async fn acknowledge(&mut self) -> Result<()> {
        let taken = std::mem::take(&mut self.taken);
        let mut commands = String::new();
        for id in &taken {
            write!(commands, "delete {id}\r\n")?;
        }
        self.send(commands.as_bytes()).await?;
        for _ in taken {
            self.expect("DELETED").await?;
        }
        Ok(())
    }
}
