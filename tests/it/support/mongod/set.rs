//! A replica set.

use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, ServerAddress};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::network::{Network, Reach};
use super::process::Mongod;
use crate::cli::program::PATIENCE;

const NAME: &str = "rs";

/// How long members wait for a primary before they elect another, in
/// milliseconds. Calm ones are not misled by a busy machine.
const CALM: i32 = 10_000;
const ALERT: i32 = 1500;

/// How often somebody who waits looks again.
const PAUSE: Duration = Duration::from_millis(20);

/// Members that have elected a primary. Dropped, nothing is left of it.
pub struct ReplicaSet {
    members: Vec<Mongod>,
    /// Between the members, if it can be cut.
    network: Option<Network>,
}

impl ReplicaSet {
    /// One member: durable and ordered like a large set, and quick.
    pub async fn single() -> Self {
        Self::initiate(start_members(1).await, None, CALM).await
    }

    /// Three members, each as quick to miss another as it may be.
    pub async fn of_three() -> Self {
        let members = start_members(3).await;
        let ports: Vec<_> = members.iter().map(Mongod::port).collect();
        Self::initiate(members, Some(Network::before(&ports)), ALERT).await
    }

    /// Three members that nobody is going to disturb, with no network to cut.
    pub async fn of_three_undisturbed() -> Self {
        Self::initiate(start_members(3).await, None, CALM).await
    }

    async fn initiate(members: Vec<Mongod>, network: Option<Network>, patience: i32) -> Self {
        let set = Self { members, network };
        let hosts = set.hosts().into_iter().zip(0..);
        let members: Vec<_> = hosts.map(|(host, id)| doc! { "_id": id, "host": host }).collect();
        let settings = doc! {
            "electionTimeoutMillis": patience,
            "heartbeatIntervalMillis": patience / 5,
        };
        let config = doc! { "_id": NAME, "members": members, "settings": settings };
        set.ask(0, doc! { "replSetInitiate": config }).await.unwrap();
        set.wait_until_complete().await;
        set
    }

    /// Where clients find it.
    pub fn uri(&self) -> String {
        format!("mongodb://{}/?replicaSet={NAME}", self.hosts().join(","))
    }

    /// How the members know each other.
    fn hosts(&self) -> Vec<String> {
        let host = |(number, member): (usize, &Mongod)| match &self.network {
            Some(network) => network.gate(number).to_string(),
            None => format!("127.0.0.1:{}", member.port()),
        };
        self.members.iter().enumerate().map(host).collect()
    }

    /// A member by its number.
    pub fn member(&mut self, number: usize) -> &mut Mongod {
        &mut self.members[number]
    }

    /// The number of the primary, cut links aside; waits until there is one.
    pub async fn primary(&self) -> usize {
        let patience = Patience::new();
        loop {
            if let Some(primary) = self.find_primary().await {
                return primary;
            }
            patience.pause().await;
        }
    }

    async fn find_primary(&self) -> Option<usize> {
        let mut primaries = Vec::new();
        for member in 0..self.members.len() {
            if let Some(hello) = self.hello(member).await
                && is(&hello, "isWritablePrimary")
            {
                primaries.push((hello.get_object_id("electionId").unwrap(), member));
            }
        }
        // One that was replaced may not know it yet.
        primaries.into_iter().max().map(|(_, member)| member)
    }

    /// Waits until there is a primary and all others follow it.
    pub async fn wait_until_complete(&self) {
        let patience = Patience::new();
        for member in 0..self.members.len() {
            while !self
                .hello(member)
                .await
                .is_some_and(|hello| is(&hello, "isWritablePrimary") || is(&hello, "secondary"))
            {
                patience.pause().await;
            }
        }
        self.primary().await;
    }

    /// What a member says about itself, if everybody can reach it.
    async fn hello(&self, member: usize) -> Option<Document> {
        let is_cut = self.network.as_ref().is_some_and(|network| network.is_cut(member));
        let process = &self.members[member];
        if is_cut || process.is_frozen() || !process.is_running() {
            return None;
        }
        self.ask(member, doc! { "hello": 1 }).await.ok()
    }

    /// The primary resigns in good order and another one takes over at once; or,
    /// alone, the same after a second.
    pub async fn step_down(&self) {
        let alone = self.members.len() == 1;
        let seconds = if alone { 1 } else { 10 };
        let command =
            doc! { "replSetStepDown": seconds, "secondaryCatchUpPeriodSecs": 1, "force": alone };
        let patience = Patience::new();
        // Refused while nobody has caught up.
        while self.ask(self.primary().await, command.clone()).await.is_err() {
            patience.pause().await;
        }
    }

    /// Kills the primary, without warning; its number.
    pub async fn kill_primary(&mut self) -> usize {
        let primary = self.primary().await;
        self.members[primary].kill();
        primary
    }

    /// Starts whoever was killed, and waits until the set is complete again.
    pub async fn restart_all(&mut self) {
        for member in self.members.iter_mut().filter(|member| !member.is_running()) {
            member.restart();
        }
        self.wait_until_complete().await;
    }

    /// Cuts a member off from the others, from clients too or not. It goes on
    /// running; connections across the cut neither answer nor end.
    pub fn cut_off(&self, member: usize, from_clients_too: bool) {
        let reach = if from_clients_too { Reach::Nobody } else { Reach::Clients };
        self.network().set_reach(member, reach);
    }

    /// Ends what [`Self::cut_off`] began.
    pub fn heal(&self, member: usize) {
        self.network().set_reach(member, Reach::Everybody);
    }

    fn network(&self) -> &Network {
        self.network.as_ref().expect("a network to cut")
    }

    /// Runs a command of the administrator on one member, around the network.
    pub async fn ask(&self, member: usize, command: Document) -> mongodb::error::Result<Document> {
        let port = Some(self.members[member].port());
        let options = ClientOptions::builder()
            .hosts(vec![ServerAddress::Tcp { host: "127.0.0.1".into(), port }])
            .direct_connection(true)
            .server_selection_timeout(Duration::from_secs(5))
            .build();
        Client::with_options(options)?.database("admin").run_command(command).await
    }
}

/// Whether a member says that it is in this state.
fn is(hello: &Document, state: &str) -> bool {
    hello.get_bool(state).unwrap_or(false)
}

async fn start_members(count: usize) -> Vec<Mongod> {
    let mut starting = JoinSet::new();
    for _ in 0..count {
        starting.spawn_blocking(|| Mongod::start(Some(NAME)));
    }
    starting.join_all().await
}

/// Of somebody who looks again and again, but not for ever.
struct Patience(Instant);

impl Patience {
    fn new() -> Self {
        Self(Instant::now() + PATIENCE)
    }

    async fn pause(&self) {
        assert!(Instant::now() < self.0, "the replica set does not get there");
        sleep(PAUSE).await;
    }
}
