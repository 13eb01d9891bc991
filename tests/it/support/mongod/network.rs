//! The network between the members of a replica set, and to their clients.
//!
//! Everybody reaches a member only through its gate, a listener that hands
//! connections on. A gate knows who connects, since a member says so in its first
//! message (`hostInfo`, which is there for this purpose). A connection over a link
//! that is cut neither carries anything nor ends, until the link is healed; a new
//! one is refused, or the members would need half a minute to find each other.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Who reaches a member, and is reached by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Everybody,
    /// The other members are out of reach.
    Clients,
    Nobody,
}

/// Gates for all members, served by a runtime of their own: tests come and go.
pub struct Network {
    gates: Vec<SocketAddr>,
    /// Of each member.
    reach: watch::Sender<Vec<Reach>>,
    runtime: Option<Runtime>,
}

/// The way from one member, or from a client, to a member.
#[derive(Clone)]
struct Link {
    from: Option<usize>,
    to: usize,
    reach: watch::Receiver<Vec<Reach>>,
}

impl Network {
    /// A gate for each of the members, which listen on these ports.
    pub fn before(ports: &[u16]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("network")
            .enable_all()
            .build()
            .unwrap();
        let (reach, watched) = watch::channel(vec![Reach::Everybody; ports.len()]);
        let ports: Arc<[u16]> = ports.into();
        let mut gates = Vec::new();
        for to in 0..ports.len() {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            gates.push(listener.local_addr().unwrap());
            listener.set_nonblocking(true).unwrap();
            let link = Link { from: None, to, reach: watched.clone() };
            runtime.spawn(serve(listener, link, Arc::clone(&ports)));
        }
        Self { gates, reach, runtime: Some(runtime) }
    }

    /// Where a member is reached.
    pub fn gate(&self, member: usize) -> SocketAddr {
        self.gates[member]
    }

    /// Who reaches a member from now on.
    pub fn set_reach(&self, member: usize, reach: Reach) {
        self.reach.send_modify(|members| members[member] = reach);
    }

    /// Whether a member is cut off from any.
    pub fn is_cut(&self, member: usize) -> bool {
        self.reach.borrow()[member] != Reach::Everybody
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // In the background, for a test may be inside a runtime of its own.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

async fn serve(listener: std::net::TcpListener, link: Link, ports: Arc<[u16]>) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (link, ports) = (link.clone(), Arc::clone(&ports));
        // A connection ends as it pleases; who used it will know.
        tokio::spawn(async move { carry(stream, link, &ports).await.ok() });
    }
}

/// Hands one connection on until either side closes it.
async fn carry(mut stream: TcpStream, mut link: Link, ports: &[u16]) -> io::Result<()> {
    let hello = first_message(&mut stream).await?;
    link.from = ports.iter().position(|port| says_its_port(&hello, *port));
    if !link.is_whole(&link.reach.borrow()) {
        return Ok(());
    }
    let mut member = TcpStream::connect(("127.0.0.1", ports[link.to])).await?;
    stream.set_nodelay(true)?;
    member.set_nodelay(true)?;
    member.write_all(&hello).await?;
    let (from_them, to_them) = stream.into_split();
    let (from_member, to_member) = member.into_split();
    tokio::select! {
        ended = pump(from_them, to_member, link.clone()) => ended,
        ended = pump(from_member, to_them, link) => ended,
    }
}

/// A message of MongoDB begins with its length, of four bytes.
async fn first_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u32_le().await?;
    let mut message = length.to_le_bytes().to_vec();
    message.resize(length as usize, 0);
    stream.read_exact(&mut message[4..]).await?;
    Ok(message)
}

/// Whether the `hostInfo` in a greeting ends in this port.
fn says_its_port(hello: &[u8], port: u16) -> bool {
    let Some(at) = hello.windows(9).position(|name| name == b"hostInfo\0") else { return false };
    let host = hello[at + 13..].split(|byte| *byte == 0).next().unwrap_or_default();
    host.ends_with(format!(":{port}").as_bytes())
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, link: Link) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await;
        // An end does not get through a cut either.
        link.wait_until_whole().await;
        match read? {
            0 => return Ok(()),
            length => to.write_all(&buffer[..length]).await?,
        }
    }
}

impl Link {
    fn is_whole(&self, reach: &[Reach]) -> bool {
        match self.from {
            None => reach[self.to] != Reach::Nobody,
            Some(from) if from == self.to => true,
            Some(from) => [reach[from], reach[self.to]] == [Reach::Everybody; 2],
        }
    }

    async fn wait_until_whole(&self) {
        let mut watched = self.reach.clone();
        // Fails only when the network is gone, and this task with it.
        let _ = watched.wait_for(|reach| self.is_whole(reach)).await;
    }
}
