//! What several tests need: a real server on a port of its own, over a fresh
//! store, with a clock that only moves when told to.

#![allow(clippy::needless_pass_by_value, reason = "tests write a document where it is used")]

mod broken;
mod client;
pub mod mongod;
pub mod peers;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use nusku::clock::Clock;
use nusku::config::{Settings, Sources};
use nusku::model::Timestamp;
use nusku::service::Service;
use nusku::service::policy::PolicyBook;
use nusku::storage::Storage;
use nusku::storage::embedded::EmbeddedDriver;
use nusku::tasks::waits;
use nusku::transport::auth::Authenticator;
use nusku::transport::http;
use serde_json::{Value, json};

pub use client::{Answer, Request};

/// When every test begins: 2027-06-26T00:51:46Z.
pub const START: Timestamp = Timestamp::from_seconds(1_813_971_106);

/// Who the tests are, unless they say otherwise.
pub const CLIENT: &str = "3381af92-2b9e-11e3-b191-71861300734c";
/// Somebody else.
pub const OTHER_CLIENT: &str = "0f9d2c4e-6a51-4c1e-9b7e-2d7c5a1f8e30";

/// A server under test.
pub struct TestApp {
    address: SocketAddr,
    websocket_address: Option<SocketAddr>,
    clock: Clock,
    /// What the test may look at and change, where it built the service itself.
    service: Option<Arc<Service>>,
    policy: Option<Arc<PolicyBook>>,
    stop: Option<Box<dyn FnOnce() + Send + Sync>>,
    thread: Option<JoinHandle<()>>,
    /// The store and where it lies, if the test made it.
    store: Option<(Storage, Arc<tempfile::TempDir>)>,
}

impl TestApp {
    /// A server with the settings every operator starts with.
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    /// A server with some settings changed.
    pub fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(change);
        let driver = EmbeddedDriver::open(dir.path(), &settings.storage.embedded).unwrap();
        let storage = Storage { control: driver.clone(), data: driver };
        Self::over(storage, &settings, Arc::new(dir))
    }

    /// Another server over the same store, with other settings.
    pub fn beside(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let (storage, dir) = self.store.as_ref().unwrap();
        Self::over(storage.clone(), &settings(change), Arc::clone(dir))
    }

    /// Where the store is.
    pub fn directory(&self) -> &Path {
        self.store.as_ref().unwrap().1.path()
    }

    /// A server over that store, with some settings changed.
    pub fn on(storage: Storage, change: impl FnOnce(&mut Settings)) -> Self {
        Self::over(storage, &settings(change), Arc::new(tempfile::tempdir().unwrap()))
    }

    /// A server whose store cannot answer.
    pub fn broken() -> Self {
        Self::over(
            broken::storage(),
            &settings(|s| s.admin_mode = true),
            Arc::new(tempfile::tempdir().unwrap()),
        )
    }

    fn over(storage: Storage, settings: &Settings, dir: Arc<tempfile::TempDir>) -> Self {
        let clock = Clock::manual(START);
        let policy = Arc::new(PolicyBook::open(&settings.policy).unwrap());
        let service = Service::new(storage.clone(), clock.clone(), settings);
        let channels = Arc::new(nusku::channels::open(settings, clock.clone()).unwrap());
        let service = service.with_policy(Arc::clone(&policy)).with_channels(channels);
        let service = Arc::new(service);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (settings, auth_clock) = (settings.clone(), clock.clone());
        let (data, shared, ticks) =
            (Arc::clone(&storage.data), Arc::clone(&service), clock.clone());
        let (send, receive) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let runtime = tokio::runtime::Handle::current();
                let authenticator = Authenticator::new(&settings.auth, auth_clock, runtime);
                let authenticator = authenticator.unwrap().map(Arc::new);
                let waits = waits::start(data, shared.watcher(), ticks);
                let server =
                    http::serve(shared, authenticator, &settings, listener, None, None).unwrap();
                send.send(server.handle()).unwrap();
                server.await.unwrap();
                waits.stop().await;
            });
        });
        let handle: ServerHandle = receive.recv().unwrap();
        // Told without waiting for an answer: there is no runtime here.
        let stop: Box<dyn FnOnce() + Send + Sync> = Box::new(move || drop(handle.stop(false)));
        Self {
            address,
            websocket_address: None,
            clock,
            service: Some(service),
            policy: Some(policy),
            stop: Some(stop),
            thread: Some(thread),
            store: Some((storage, dir)),
        }
    }

    /// A server with all that belongs to one, as the program starts it. Where its
    /// data is, is up to the caller.
    pub fn whole(change: impl FnOnce(&mut Settings)) -> Self {
        let clock = Clock::manual(START);
        let settings = settings(|settings| {
            settings.http.port = 0;
            settings.websocket.enabled = true;
            settings.websocket.port = 0;
            change(settings);
        });
        let (send, receive) = std::sync::mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let time = clock.clone();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let running = nusku::bootstrap::start(&settings, time).await.unwrap();
                send.send((running.address(), running.websocket_address())).unwrap();
                let _ = stopped.await;
                running.stop().await;
            });
        });
        let (address, websocket_address) = receive.recv().unwrap();
        let stop: Box<dyn FnOnce() + Send + Sync> = Box::new(move || {
            let _ = stop.send(());
        });
        Self {
            address,
            websocket_address,
            clock,
            service: None,
            policy: None,
            stop: Some(stop),
            thread: Some(thread),
            store: None,
        }
    }

    /// Lets time pass.
    pub fn advance(&self, seconds: i64) {
        self.clock.advance(seconds);
    }

    /// Returns when so many requests wait for messages.
    pub fn await_waiters(&self, count: usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let service = self.service.as_ref().unwrap();
        let mut waiters = service.waiters();
        runtime.block_on(waiters.wait_for(|&waiters| waiters == count)).unwrap();
        while service.resting_waiters() != count {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// What a stop does first.
    pub fn stop_waiting(&self) {
        self.service.as_ref().unwrap().stop_waiting();
    }

    /// Has the policy read again, as the server does when its files change.
    pub fn reload_policy(&self) {
        self.policy.as_ref().unwrap().reload();
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where WebSockets have a port of their own, in a whole server.
    pub fn websocket_address(&self) -> SocketAddr {
        self.websocket_address.unwrap()
    }

    /// A request with the usual headers.
    pub fn request(&self, method: &str, path: &str) -> Request {
        Request::new(self.address, method, path)
            .header("Client-ID", CLIENT)
            .header("X-Project-ID", "acme")
    }

    pub fn get(&self, path: &str) -> Request {
        self.request("GET", path)
    }

    pub fn delete(&self, path: &str) -> Request {
        self.request("DELETE", path)
    }

    pub fn put(&self, path: &str, body: Value) -> Request {
        self.request("PUT", path).json(&body)
    }

    pub fn post(&self, path: &str, body: Value) -> Request {
        self.request("POST", path).json(&body)
    }

    pub fn patch(&self, path: &str, body: Value) -> Request {
        self.request("PATCH", path).json(&body)
    }

    /// Makes a queue with this metadata.
    pub fn queue(&self, name: &str, metadata: Value) {
        self.put(&format!("/v2/queues/{name}"), metadata).expect(201);
    }

    /// Posts messages with these bodies; returns their addresses.
    pub fn post_bodies(&self, queue: &str, bodies: &[Value]) -> Vec<String> {
        let messages: Vec<_> = bodies.iter().map(|body| json!({ "body": body })).collect();
        self.post_messages(queue, &messages)
    }

    /// Posts messages; returns their addresses.
    pub fn post_messages(&self, queue: &str, messages: &[Value]) -> Vec<String> {
        let path = format!("/v2/queues/{queue}/messages");
        let answer = self.post(&path, json!({ "messages": messages })).expect(201).json();
        let resources = answer["resources"].as_array().unwrap();
        resources.iter().map(|href| href.as_str().unwrap().to_owned()).collect()
    }

    /// Claims messages; returns the claim's address and the messages.
    pub fn claim(&self, queue: &str, limit: u32, terms: Value) -> (String, Vec<Value>) {
        let path = format!("/v2/queues/{queue}/claims?limit={limit}");
        let answer = self.post(&path, terms).expect(201);
        let messages = answer.json()["messages"].as_array().unwrap().clone();
        (answer.header("location").unwrap().to_owned(), messages)
    }

    /// The bodies in a listing of the queue, own messages included.
    pub fn bodies(&self, queue: &str) -> Vec<Value> {
        let path = format!("/v2/queues/{queue}/messages?echo=true&limit=20");
        bodies(&self.get(&path).expect(200).json()["messages"])
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop();
        }
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings: Settings = Settings::load(&Sources::default()).unwrap();
    settings.http.workers = 1;
    settings.http.shutdown_timeout = 1;
    settings.storage.embedded.readers = 1;
    settings.storage.embedded.writer_cache_mib = 2;
    settings.storage.embedded.reader_cache_mib = 1;
    change(&mut settings);
    settings
}

/// The bodies of messages.
pub fn bodies(messages: &Value) -> Vec<Value> {
    messages.as_array().unwrap().iter().map(|message| message["body"].clone()).collect()
}

/// The last part of an address.
pub fn id_of(href: &str) -> &str {
    href.rsplit('/').next().unwrap()
}
