//! What can happen to a store, and how often it does in a random history.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;

/// Queues by number; three belong to one project, the last to another.
pub const QUEUES: usize = 4;

/// Clients by number.
pub const CLIENTS: u128 = 3;

/// Chooses among what exists when the step is taken, mostly what is new.
pub type Pick = u16;

/// One step. Queues and clients are numbers.
#[derive(Clone, Debug)]
pub enum Step {
    Create(usize),
    DeleteQueue(usize),
    SetMetadata(usize, u8),
    Post { queue: usize, client: u128, messages: Vec<Life> },
    List { queue: usize, listing: Listing },
    Get { queue: usize, messages: Vec<Pick> },
    Delete { queue: usize, message: Pick, claim: Option<Pick> },
    DeleteMany { queue: usize, messages: Vec<Pick>, claims: Option<Vec<Pick>> },
    Pop { queue: usize, limit: u32 },
    Purge(usize),
    Claim { queue: usize, terms: Terms, limit: u32, include_delayed: bool, burial: Option<Burial> },
    GetClaim { queue: usize, claim: Pick },
    Renew { queue: usize, claim: Pick, terms: Terms },
    Release { queue: usize, claim: Pick },
    Subscribe { queue: usize, subscriber: u8, ttl: u64 },
    Unsubscribe { queue: usize, subscriber: u8 },
    Deliver { queue: usize, count: usize },
    Pass(u32),
    Gc,
    Restart,
}

/// How long a message lives and waits.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    pub ttl: u32,
    pub delay: u32,
}

/// How long a claim lives.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub ttl: u32,
    pub grace: u32,
}

/// A dead letter rule; the queue is one of the first three.
#[derive(Clone, Copy, Debug)]
pub struct Burial {
    pub max_claim_count: i64,
    pub queue: usize,
    pub ttl: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
pub struct Listing {
    pub from: From,
    pub limit: u32,
    pub without: Option<u128>,
    pub include_claimed: bool,
    pub include_delayed: bool,
}

/// Where a listing starts.
#[derive(Clone, Copy, Debug)]
pub enum From {
    Start,
    /// Behind a marker that was seen before.
    Marker(Pick),
    /// Behind a message that is there.
    Message(Pick),
    /// Behind everything there can be.
    End,
}

/// Histories of up to `most` steps.
pub fn history(most: usize) -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..most)
}

fn queue() -> impl Strategy<Value = usize> {
    // Most happens in two queues, or little would ever meet.
    prop_oneof![5 => 0..2_usize, 1 => 2..QUEUES]
}

fn step() -> impl Strategy<Value = Step> {
    let pick = any::<Pick>;
    let picks = || vec(any::<Pick>(), 0..5);
    prop_oneof![
        3 => queue().prop_map(Step::Create),
        1 => queue().prop_map(Step::DeleteQueue),
        1 => (queue(), 0..3_u8).prop_map(|(queue, value)| Step::SetMetadata(queue, value)),
        14 => (queue(), 0..CLIENTS, vec(life(), 1..6))
            .prop_map(|(queue, client, messages)| Step::Post { queue, client, messages }),
        8 => (queue(), listing()).prop_map(|(queue, listing)| Step::List { queue, listing }),
        3 => (queue(), picks()).prop_map(|(queue, messages)| Step::Get { queue, messages }),
        6 => (queue(), pick(), option::of(pick()))
            .prop_map(|(queue, message, claim)| Step::Delete { queue, message, claim }),
        4 => (queue(), picks(), option::of(picks()))
            .prop_map(|(queue, messages, claims)| Step::DeleteMany { queue, messages, claims }),
        3 => (queue(), 0..5_u32).prop_map(|(queue, limit)| Step::Pop { queue, limit }),
        1 => queue().prop_map(Step::Purge),
        14 => claim(),
        3 => (queue(), pick()).prop_map(|(queue, claim)| Step::GetClaim { queue, claim }),
        4 => (queue(), pick(), terms())
            .prop_map(|(queue, claim, terms)| Step::Renew { queue, claim, terms }),
        4 => (queue(), pick()).prop_map(|(queue, claim)| Step::Release { queue, claim }),
        5 => (queue(), 0..3_u8, select(vec![1, 60, 90, 400]))
            .prop_map(|(queue, subscriber, ttl)| Step::Subscribe { queue, subscriber, ttl }),
        1 => (queue(), 0..3_u8)
            .prop_map(|(queue, subscriber)| Step::Unsubscribe { queue, subscriber }),
        6 => (queue(), 0..4_usize).prop_map(|(queue, count)| Step::Deliver { queue, count }),
        8 => select(vec![1, 29, 30, 59, 60, 61, 90, 240]).prop_map(Step::Pass),
        3 => Just(Step::Gc),
        1 => Just(Step::Restart),
    ]
}

fn life() -> impl Strategy<Value = Life> {
    let ttl = prop_oneof![1 => Just(0), 8 => select(vec![60, 61, 90, 150, 300])];
    let delay = prop_oneof![5 => Just(0), 1 => select(vec![1, 30, 60, 90])];
    (ttl, delay).prop_map(|(ttl, delay)| Life { ttl, delay })
}

fn terms() -> impl Strategy<Value = Terms> {
    (select(vec![1, 60, 90]), select(vec![0, 1, 60])).prop_map(|(ttl, grace)| Terms { ttl, grace })
}

fn claim() -> impl Strategy<Value = Step> {
    let burial = (0..3_i64, 0..3_usize, option::of(select(vec![60, 200])))
        .prop_map(|(max_claim_count, queue, ttl)| Burial { max_claim_count, queue, ttl });
    (queue(), terms(), 1..6_u32, any::<bool>(), option::of(burial)).prop_map(
        |(queue, terms, limit, include_delayed, burial)| Step::Claim {
            queue,
            terms,
            limit,
            include_delayed,
            burial,
        },
    )
}

fn listing() -> impl Strategy<Value = Listing> {
    let from = prop_oneof![
        2 => Just(From::Start),
        4 => any::<Pick>().prop_map(From::Marker),
        2 => any::<Pick>().prop_map(From::Message),
        1 => Just(From::End),
    ];
    (from, 1..6_u32, option::of(0..CLIENTS), any::<bool>(), any::<bool>()).prop_map(
        |(from, limit, without, include_claimed, include_delayed)| Listing {
            from,
            limit,
            without,
            include_claimed,
            include_delayed,
        },
    )
}
