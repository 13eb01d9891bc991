//! Servers and replica sets that all tests share, each test with databases of its own.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use mongodb::Client;
use mongodb::bson::doc;
use tokio::sync::OnceCell;

use super::{Mongod, ReplicaSet};

/// A set of one. Nobody may stop it.
pub async fn single() -> &'static ReplicaSet {
    static SET: OnceCell<ReplicaSet> = OnceCell::const_new();
    SET.get_or_init(ReplicaSet::single).await
}

/// A set of three. Nobody may stop any of them.
pub async fn three() -> &'static ReplicaSet {
    static SET: OnceCell<ReplicaSet> = OnceCell::const_new();
    SET.get_or_init(ReplicaSet::of_three_undisturbed).await
}

/// A server that belongs to no set. Nobody may stop it.
pub async fn lone() -> &'static Mongod {
    static SERVER: OnceCell<Mongod> = OnceCell::const_new();
    SERVER.get_or_init(|| async { Mongod::start(None) }).await
}

/// Databases on one of these whose names begin with `prefix` and `_`. They
/// are dropped with this, in the background.
pub struct Databases {
    /// Where they are.
    pub uri: String,
    /// What the names begin with, as in Zaqar's option `database`.
    pub prefix: String,
}

impl Databases {
    /// On `set`, under a prefix that no other test has.
    pub fn on(set: &ReplicaSet) -> Self {
        Self::at(set.uri())
    }

    /// On the server that belongs to no set.
    pub fn on_the_lone_server(server: &Mongod) -> Self {
        Self::at(format!("mongodb://127.0.0.1:{}/", server.port()))
    }

    fn at(uri: String) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let prefix = format!("t{}", NEXT.fetch_add(1, Ordering::SeqCst));
        Self { uri, prefix }
    }
}

impl Drop for Databases {
    fn drop(&mut self) {
        static CLEANER: LazyLock<Sender<(String, String)>> = LazyLock::new(start_cleaner);
        let _ = CLEANER.send((self.uri.clone(), self.prefix.clone()));
    }
}

/// A thread that drops databases: a test need not wait for that, nor care whether
/// it works, since all goes with the set in the end.
fn start_cleaner() -> Sender<(String, String)> {
    let (send, receive) = channel::<(String, String)>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    thread::spawn(move || {
        for (uri, prefix) in receive {
            let _ = runtime.block_on(drop_databases(&uri, &prefix));
        }
    });
    send
}

async fn drop_databases(uri: &str, prefix: &str) -> mongodb::error::Result<()> {
    let client = Client::with_uri_str(uri).await?;
    let ours = doc! { "name": { "$regex": format!("^{prefix}(_|$)") } };
    for name in client.list_database_names().filter(ours).await? {
        client.database(&name).drop().await?;
    }
    Ok(())
}
