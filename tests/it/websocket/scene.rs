//! A server with both front ends, of which the test sees the inside.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use nusku::clock::Clock;
use nusku::config::{Settings, Sources};
use nusku::model::{ProjectId, QueueName, WorkerId};
use nusku::service::Service;
use nusku::service::notification::channel::{Channel, Content, Notification, Outcome};
use nusku::service::policy::PolicyBook;
use nusku::storage::Storage;
use nusku::storage::embedded::EmbeddedDriver;
use nusku::transport::auth::Authenticator;
use nusku::transport::http;
use nusku::transport::websocket::{self, ConnectionChannel, Hub, Parts};
use serde_json::Value;
use tokio::sync::oneshot;

use super::Client;
use crate::support::{Request, START};

pub struct Scene {
    pub address: SocketAddr,
    pub http: SocketAddr,
    pub clock: Clock,
    pub hub: Arc<Hub>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _directory: tempfile::TempDir,
}

impl Scene {
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings::load(&Sources::default()).unwrap();
        settings.http.workers = 1;
        settings.http.shutdown_timeout = 1;
        change(&mut settings);
        let clock = Clock::manual(START);
        let driver = EmbeddedDriver::open(directory.path(), &settings.storage.embedded).unwrap();
        let storage = Storage { control: driver.clone(), data: driver };
        let policy = Arc::new(PolicyBook::open(&settings.policy).unwrap());
        let service = Service::new(storage, clock.clone(), &settings).with_policy(policy);
        let [own, main] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let (address, http) = (own.local_addr().unwrap(), main.local_addr().unwrap());
        let (time, service) = (clock.clone(), Arc::new(service));
        let (send, receive) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let runtime = tokio::runtime::Handle::current();
                let authenticator = Authenticator::new(&settings.auth, time.clone(), runtime);
                let authenticator = authenticator.unwrap().map(Arc::new);
                let parts = Parts {
                    service: Arc::clone(&service),
                    authenticator: authenticator.clone(),
                    clock: time,
                    worker: WorkerId::random(),
                    authority: address.to_string(),
                };
                let hub = Hub::new(parts, &settings);
                let own = websocket::serve(&hub, &settings, own, None).unwrap();
                let main = http::serve(service, authenticator, &settings, main, None, Some(&hub));
                let main = main.unwrap();
                send.send(Arc::clone(&hub)).unwrap();
                let handles = [own.handle(), main.handle()];
                let served = [tokio::spawn(own), tokio::spawn(main)];
                let _ = stopped.await;
                hub.stop().await;
                for handle in handles {
                    handle.stop(true).await;
                }
                for served in served {
                    served.await.unwrap().unwrap();
                }
            });
        });
        let hub = receive.recv().unwrap();
        let (stop, thread) = (Some(stop), Some(thread));
        Self { address, http, clock, hub, stop, thread, _directory: directory }
    }

    /// A connection to the port of its own.
    pub fn client(&self) -> Client {
        Client::connect(self.address, "/")
    }

    /// A REST request with the usual headers.
    pub fn rest(&self, method: &str, path: &str) -> Request {
        Request::new(self.http, method, path)
            .header("Client-ID", crate::support::CLIENT)
            .header("X-Project-ID", "acme")
    }

    /// What the queue has by way of subscriptions, as REST lists them.
    pub fn subscriptions(&self, queue: &str) -> Vec<Value> {
        let path = format!("/v2/queues/{queue}/subscriptions");
        let page = self.rest("GET", &path).expect(200).json();
        page["subscriptions"].as_array().unwrap().clone()
    }

    /// Returns when so many connections are open, and nothing is left of others.
    pub fn await_open(&self, count: usize) {
        let mut open = self.hub.open();
        runtime().block_on(open.wait_for(|&open| open == count)).unwrap();
    }

    /// Tells a subscriber of something, as the server does.
    pub fn push(&self, subscriber: &str, document: &str) -> Outcome {
        let notification = Notification {
            id: "1".to_owned(),
            project: ProjectId::new("acme"),
            queue: QueueName::parse("q").unwrap(),
            subscriber: subscriber.to_owned(),
            options: serde_json::Map::new(),
            content: Content::Message,
            document: document.to_owned(),
            now: START,
        };
        let channel = ConnectionChannel::new(Arc::clone(&self.hub));
        runtime().block_on(channel.deliver(&notification))
    }

    /// Stops the server, as a signal does.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}
