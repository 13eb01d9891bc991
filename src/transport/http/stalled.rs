//! Ends connections on which nothing gets done.
//!
//! The implementation below us times the first head of a connection and the
//! idle time between requests. It waits for ever, though, for the rest of a
//! later head, for the rest of a chunked body that nobody wants, and for a
//! client that does not read its answer. So whatever has had no request in work
//! for longer than a good client can need is shut down here.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::{Extensions, ServiceRequest};
use actix_web::{HttpRequest, rt};
use tokio::sync::Notify;

/// How often a worker looks at its connections.
const ROUND: Duration = Duration::from_secs(1);

thread_local! {
    /// The connections of this worker, and of those that are closed some.
    static CONNECTIONS: RefCell<Vec<Weak<Connection>>> = const { RefCell::new(Vec::new()) };
    /// Whether somebody looks at them.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// A connection, as long as the server has it open.
struct Connection {
    /// A second handle: the first one belongs to the implementation below.
    socket: TcpStream,
    requests: Cell<u32>,
    idle_since: Cell<Instant>,
    /// Requests that want to know when the client hangs up.
    listening: Cell<u32>,
    hung_up: Notify,
}

impl Connection {
    /// Whether the client has said that it sends no more, which is all that can
    /// be seen of one that is gone.
    fn has_hung_up(&self) -> bool {
        matches!(self.socket.peek(&mut [0]), Ok(0))
    }
}

/// A connection, for whoever still works for it when its request is answered.
pub struct Watched(Rc<Connection>);

impl Watched {
    /// Ends the connection, whatever is under way.
    pub fn shut_down(&self) {
        // One that the client closed meanwhile is as good.
        let _ = self.0.socket.shutdown(Shutdown::Both);
    }

    /// Says that the connection is worked for, until what is returned is dropped.
    pub fn working(&self) -> Working {
        self.0.requests.set(self.0.requests.get() + 1);
        Working(Rc::clone(&self.0))
    }
}

/// The connection of `request`, if it is watched.
pub fn watched(request: &HttpRequest) -> Option<Watched> {
    request.conn_data::<Rc<Connection>>().cloned().map(Watched)
}

/// Does `work`, which may take `wait` seconds, unless the client hangs up meanwhile:
/// `None` then, within a [`ROUND`]. Work that does not wait is always done: a client
/// that says that it will send no more may still read the answer.
pub async fn unless_hung_up<T>(
    request: &HttpRequest,
    wait: Option<i64>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let connection = request.conn_data::<Rc<Connection>>().filter(|_| wait > Some(0));
    let Some(connection) = connection else { return Some(work.await) };
    let listening = Listening::to(connection);
    tokio::select! {
        biased;
        done = work => Some(done),
        () = listening.0.hung_up.notified() => None,
    }
}

/// Somebody who wants to know when the client hangs up.
struct Listening(Rc<Connection>);

impl Listening {
    fn to(connection: &Rc<Connection>) -> Self {
        connection.listening.set(connection.listening.get() + 1);
        Self(Rc::clone(connection))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.listening.set(self.0.listening.get().saturating_sub(1));
    }
}

/// A request in work; nothing is shut down while it exists.
pub struct Working(Rc<Connection>);

/// To be called for every connection, before anything is read from it. With no
/// request in work for longer than `limit`, it is shut down.
pub fn watch(io: &dyn Any, data: &mut Extensions, limit: Duration) {
    let plain = io.downcast_ref::<rt::net::TcpStream>();
    let encrypted = || Some(io.downcast_ref::<TlsStream<rt::net::TcpStream>>()?.get_ref().0);
    let Some(stream) = plain.or_else(encrypted) else { return };
    // Without a second handle it goes unwatched; to refuse it would be worse.
    let Ok(socket) = stream.as_fd().try_clone_to_owned() else { return };
    let connection = Rc::new(Connection {
        socket: socket.into(),
        requests: Cell::new(0),
        idle_since: Cell::new(Instant::now()),
        listening: Cell::new(0),
        hung_up: Notify::new(),
    });
    CONNECTIONS.with_borrow_mut(|all| all.push(Rc::downgrade(&connection)));
    data.insert(connection);
    if !WATCHED.replace(true) {
        rt::spawn(async move {
            loop {
                rt::time::sleep(ROUND).await;
                round(limit);
            }
        });
    }
}

/// Says that the connection of `request` is worked for, until what is returned
/// is dropped.
pub fn working(request: &ServiceRequest) -> Option<Working> {
    let connection = request.conn_data::<Rc<Connection>>()?;
    Some(Watched(Rc::clone(connection)).working())
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.requests.set(self.0.requests.get().saturating_sub(1));
        self.0.idle_since.set(Instant::now());
    }
}

/// Shuts down what has stalled, tells of clients that hung up, and forgets what is
/// closed.
fn round(limit: Duration) {
    CONNECTIONS.with_borrow_mut(|all| {
        all.retain(|connection| {
            let Some(connection) = connection.upgrade() else { return false };
            let has_stalled =
                connection.requests.get() == 0 && connection.idle_since.get().elapsed() > limit;
            if has_stalled {
                // One that the client closed meanwhile is as good.
                let _ = connection.socket.shutdown(Shutdown::Both);
            }
            if connection.listening.get() > 0 && connection.has_hung_up() {
                connection.hung_up.notify_waiters();
            }
            !has_stalled
        });
    });
}
