//! Where queues go, and that none is lost on the way: one step cut short, or
//! somebody else in between, at each place where it could hurt.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::fake::{NOW, metadata, permit, queue};
use super::pool_store::{World, flavor, pool};
use crate::model::{ClientId, Flavor, Placement, PoolName, ProjectId};
use crate::service::{Draft, Error, MetadataChange, Result};
use crate::storage;

async fn put(world: &World, name: &str, entries: Value) -> Result<bool> {
    world.service.create_queue(&permit(name), metadata(entries)).await
}

async fn post(world: &World, name: &str) -> Result<()> {
    let draft = Draft { body: Some("1".into()), ..Draft::default() };
    let client = ClientId::Uuid(uuid::Uuid::nil());
    world.service.post_messages(&permit(name), &client, vec![draft]).await.map(drop)
}

async fn set_flavor(world: &World, name: &str, flavor: Value) -> Result<()> {
    let change = MetadataChange::Add("_flavor".to_owned(), flavor);
    world.service.update_queue(&permit(name), vec![change]).await.map(drop)
}

async fn delete(world: &World, name: &str) -> Result<()> {
    world.service.delete_queue(&permit(name)).await
}

fn make_flavor(world: &World, name: &str, pools: &[&str]) {
    let (project, name) = (ProjectId::new("acme"), flavor(name));
    let made = Flavor { project: project.clone(), name: name.clone(), capabilities: Vec::new() };
    world.control.flavors.lock().unwrap().insert((project, name.clone()), made);
    for pool in world.control.pools.lock().unwrap().values_mut() {
        if pools.contains(&pool.name.as_str()) {
            pool.flavor = Some(name.clone());
        }
    }
}

fn name(name: &str) -> PoolName {
    PoolName::parse(name).unwrap()
}

fn leaving(pool: &str) -> Placement {
    Placement { pool: name(pool), leaving: Some(NOW) }
}

fn is_unavailable<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::Storage(storage::Error::Unavailable(_))))
}

#[tokio::test]
async fn a_queue_is_placed_once() {
    let world = World::with(&[("a", 1), ("b", 0)]);
    assert_eq!(put(&world, "q", json!({"x": 1})).await, Ok(true));
    assert_eq!(world.pool_of(&queue("q")).as_deref(), Some("a"));
    assert_eq!(world.pool("a").count(&queue("q")), Some(0));
    assert_eq!(world.control.own.stored(&queue("q")), Some(json!({"x": 1})));

    // The weights change, and the queue stays.
    world
        .control
        .pools
        .lock()
        .unwrap()
        .extend([pool("a", 0), pool("b", 9)].map(|it| (it.name.clone(), it)));
    assert_eq!(put(&world, "q", json!({"x": 2})).await, Ok(false));
    post(&world, "q").await.unwrap();
    assert_eq!(world.pool("a").count(&queue("q")), Some(1));
    post(&world, "other").await.unwrap();
    assert_eq!(world.pool("b").count(&queue("other")), Some(1));
}

#[tokio::test]
async fn without_a_pool_there_is_no_new_queue() {
    let world = World::with(&[("a", 0)]);
    assert!(is_unavailable(&put(&world, "q", json!({})).await));
    assert!(is_unavailable(&post(&world, "q").await));
    assert_eq!(world.control.own.stored(&queue("q")), None, "nothing is left of it");
}

#[tokio::test]
async fn a_flavor_chooses_among_its_pools() {
    let world = World::with(&[("a", 100), ("b", 1)]);
    make_flavor(&world, "bulk", &["b"]);
    put(&world, "q", json!({"_flavor": "bulk"})).await.unwrap();
    assert_eq!(world.pool_of(&queue("q")).as_deref(), Some("b"));
    for _ in 0..20 {
        put(&world, "plain", json!({})).await.unwrap();
        assert_eq!(world.pool_of(&queue("plain")).as_deref(), Some("a"));
        delete(&world, "plain").await.unwrap();
    }
    let unknown = Err(Error::InvalidRequest("Flavor gold does not exist".to_owned()));
    assert_eq!(put(&world, "r", json!({"_flavor": "gold"})).await, unknown);
    assert_eq!(put(&world, "q", json!({"_flavor": "gold"})).await, unknown, "also if it exists");
    make_flavor(&world, "empty", &[]);
    assert!(is_unavailable(&put(&world, "r", json!({"_flavor": "empty"})).await));
    assert_eq!(world.control.placed(&queue("r")), None);
}

#[tokio::test]
async fn an_empty_queue_follows_its_flavor() {
    let world = World::with(&[("a", 1), ("b", 1)]);
    make_flavor(&world, "bulk", &["b"]);
    put(&world, "q", json!({})).await.unwrap();
    set_flavor(&world, "q", json!("bulk")).await.unwrap();
    assert_eq!(world.pool_of(&queue("q")).as_deref(), Some("b"));
    assert_eq!(
        (world.pool("a").count(&queue("q")), world.pool("b").count(&queue("q"))),
        (None, Some(0))
    );

    // Markers go on from where they were.
    post(&world, "q").await.unwrap();
    let before = world.pool("b").queues.lock().unwrap()[&queue("q")].1;
    let refused = set_flavor(&world, "q", json!(null)).await;
    let said = "Queue q holds messages; its _flavor can be changed only while it is empty.";
    assert_eq!(refused, Err(Error::Conflict(said.to_owned())));
    assert_eq!(
        world.control.placed(&queue("q")),
        Some(Placement { pool: name("b"), leaving: None })
    );
    assert_eq!(world.control.own.stored(&queue("q")).unwrap()["_flavor"], "bulk");

    world.pool("b").queues.lock().unwrap().get_mut(&queue("q")).unwrap().0 = 0;
    set_flavor(&world, "q", json!(null)).await.unwrap();
    assert!(world.pool("a").queues.lock().unwrap()[&queue("q")].1 >= before);
    let unknown = Error::InvalidBody("Flavor gold does not exist".to_owned());
    assert_eq!(set_flavor(&world, "q", json!("gold")).await, Err(unknown));
    assert_eq!(world.pool_of(&queue("q")).as_deref(), Some("a"));
}

#[tokio::test]
async fn a_queue_is_deleted_with_all_that_is_known_of_it() {
    let world = World::with(&[("a", 1)]);
    post(&world, "q").await.unwrap();
    delete(&world, "q").await.unwrap();
    assert_eq!(world.control.placed(&queue("q")), None);
    assert_eq!(world.pool("a").count(&queue("q")), None);
    assert_eq!(world.control.own.stored(&queue("q")), None);
    delete(&world, "q").await.unwrap();
}

#[tokio::test]
async fn a_deletion_that_fails_leaves_the_queue() {
    let world = World::with(&[("a", 1)]);
    post(&world, "q").await.unwrap();
    world.pool("a").is_down.store(true, Ordering::SeqCst);
    assert!(is_unavailable(&delete(&world, "q").await));
    world.pool("a").is_down.store(false, Ordering::SeqCst);
    post(&world, "q").await.unwrap();
    assert_eq!(world.pool("a").count(&queue("q")), Some(2));
}

#[tokio::test]
async fn who_is_marked_is_waited_for_and_then_settled() {
    let world = World::with(&[("a", 1)]);
    for (messages, kept) in [(1, Some(2)), (0, Some(1))] {
        post(&world, "q").await.unwrap();
        world.pool("a").queues.lock().unwrap().get_mut(&queue("q")).unwrap().0 = messages;
        world.control.set_placed(&queue("q"), Some(leaving("a")));
        assert!(is_unavailable(&put(&world, "q", json!({})).await), "somebody works on it");
        world.clock.advance(60);
        put(&world, "q", json!({})).await.unwrap();
        post_late(&world).await;
        assert_eq!(world.pool("a").count(&queue("q")), kept);
        assert_eq!(world.control.placed(&queue("q")).unwrap().leaving, None);
        delete(&world, "q").await.unwrap();
        world.clock.advance(-60);
    }
}

/// As [`post`], by a clock that was moved.
async fn post_late(world: &World) {
    world.clock.advance(-60);
    post(world, "q").await.unwrap();
    world.clock.advance(60);
}

#[tokio::test]
async fn a_deletion_goes_on_with_what_a_dead_one_left() {
    let world = World::with(&[("a", 1)]);
    post(&world, "q").await.unwrap();
    world.control.set_placed(&queue("q"), Some(leaving("a")));
    assert!(is_unavailable(&delete(&world, "q").await), "somebody works on it");
    world.clock.advance(60);
    delete(&world, "q").await.unwrap();
    assert_eq!(
        (world.control.placed(&queue("q")), world.pool("a").count(&queue("q"))),
        (None, None)
    );
}

#[tokio::test]
async fn an_entry_that_is_taken_away_meanwhile_is_made_again() {
    let world = World::with(&[("a", 1), ("b", 0)]);
    *world.control.interference.lock().unwrap() = Some(Box::new(|control| {
        // Another server deletes the queue, and drawing would choose otherwise now.
        control.set_placed(&queue("q"), None);
        let mut pools = control.pools.lock().unwrap();
        pools.get_mut(&name("a")).unwrap().weight = 0;
        pools.get_mut(&name("b")).unwrap().weight = 1;
    }));
    post(&world, "q").await.unwrap();
    assert_eq!(world.pool_of(&queue("q")).as_deref(), Some("a"), "where there was room already");
    assert_eq!(world.pool("a").count(&queue("q")), Some(1));
    assert_eq!(world.pool("b").count(&queue("q")), None);
}

#[tokio::test]
async fn room_in_the_wrong_pool_is_taken_back() {
    let world = World::with(&[("a", 1), ("b", 0)]);
    *world.control.interference.lock().unwrap() = Some(Box::new(|control| {
        control.set_placed(&queue("q"), Some(Placement { pool: name("b"), leaving: None }));
    }));
    post(&world, "q").await.unwrap();
    assert_eq!(world.pool("a").count(&queue("q")), None);
    assert_eq!(world.pool("b").count(&queue("q")), Some(1));
}

#[tokio::test]
async fn two_servers_agree_on_the_pool() {
    let world = World::with(&[("a", 1), ("b", 1), ("c", 1)]);
    let other = Arc::new(world.another());
    let world = Arc::new(world);
    for _ in 0..50 {
        let tasks: Vec<_> = [&world, &other, &world, &other]
            .map(|server| {
                let server = Arc::clone(server);
                tokio::spawn(async move { post(&server, "q").await.unwrap() })
            })
            .into();
        for task in tasks {
            task.await.unwrap();
        }
        let pools = ["a", "b", "c"].map(|name| world.pool(name).count(&queue("q")));
        let there: Vec<_> = pools.into_iter().flatten().collect();
        assert_eq!(there, [4]);
        delete(&other, "q").await.unwrap();
    }
}

#[tokio::test]
async fn what_no_pool_takes_is_in_the_virtual_one() {
    let world = World::with_virtual_pool(&[("a", 1)]);
    world.control.own.put_queue(&queue("old"), json!({}));
    assert_eq!(put(&world, "old", json!({})).await, Ok(false));
    post(&world, "old").await.unwrap();
    assert_eq!(world.control.placed(&queue("old")), None);
    let refused = set_flavor_of_old(&world).await;
    let said = "Queue old is in no pool; it gets a _flavor only when it is made anew.";
    assert_eq!(refused, Err(Error::Conflict(said.to_owned())));
    post(&world, "new").await.unwrap();
    assert_eq!(world.pool("a").count(&queue("new")), Some(1));

    let world = World::with_virtual_pool(&[]);
    post(&world, "new").await.unwrap();
    assert_eq!(world.control.placed(&queue("new")), None);
    delete(&world, "new").await.unwrap();
    assert_eq!(world.control.own.stored(&queue("new")), None);
}

async fn set_flavor_of_old(world: &World) -> Result<()> {
    make_flavor(world, "bulk", &["a"]);
    let refused = set_flavor(world, "old", json!("bulk")).await;
    world.control.pools.lock().unwrap().get_mut(&name("a")).unwrap().flavor = None;
    refused
}

#[tokio::test]
async fn messages_from_before_there_were_pools_are_not_hidden() {
    let world = World::with(&[("a", 1)]);
    world.pool("own").queues.lock().unwrap().insert(queue("old"), (1, 2));
    world.control.own.put_queue(&queue("old"), json!({}));
    let refused = post(&world, "old").await;
    assert!(matches!(&refused, Err(Error::Conflict(said)) if said.contains("enable_virtual_pool")));
    assert_eq!(world.control.placed(&queue("old")), None);
}

#[tokio::test]
async fn dead_letters_go_to_the_same_pool_or_stay() {
    let world = World::with(&[("a", 1), ("b", 0)]);
    post(&world, "q").await.unwrap();
    let placements = world.service.placements.clone().unwrap();
    let joins = async |other: &str| placements.join(&queue("q"), &queue(other).name).await.unwrap();
    for pool in world.control.pools.lock().unwrap().values_mut() {
        pool.weight = 1 - pool.weight;
    }
    assert!(joins("dead").await, "it is made where the queue is");
    assert_eq!(world.pool_of(&queue("dead")).as_deref(), Some("a"));
    assert_eq!(world.control.own.stored(&queue("dead")), Some(json!({})));
    post(&world, "elsewhere").await.unwrap();
    assert_eq!(world.pool_of(&queue("elsewhere")).as_deref(), Some("b"));
    assert!(!joins("elsewhere").await);
}

#[tokio::test]
async fn a_pool_that_is_down_concerns_its_queues_alone() {
    let world = World::with(&[("a", 1), ("b", 0)]);
    post(&world, "q").await.unwrap();
    for pool in world.control.pools.lock().unwrap().values_mut() {
        pool.weight = 1 - pool.weight;
    }
    post(&world, "r").await.unwrap();
    world.pool("a").is_down.store(true, Ordering::SeqCst);
    assert!(is_unavailable(&post(&world, "q").await));
    post(&world, "r").await.unwrap();
    let collected = storage::DataDriver::gc(world.router.as_ref(), NOW).await.unwrap();
    assert_eq!(collected.messages, 2, "of the other pool and of the server's own store");
    world.pool("a").is_down.store(false, Ordering::SeqCst);
    post(&world, "q").await.unwrap();
    assert_eq!(world.pool("a").count(&queue("q")), Some(2));
}

#[tokio::test]
async fn a_queue_of_a_pool_that_is_gone_is_not_made_anew_elsewhere() {
    let world = World::with(&[("a", 1)]);
    let gone = Placement { pool: name("gone"), leaving: None };
    world.control.set_placed(&queue("q"), Some(gone.clone()));
    assert!(is_unavailable(&post(&world, "q").await));
    assert_eq!(world.control.placed(&queue("q")), Some(gone));
    delete(&world, "q").await.unwrap();
    post(&world, "q").await.unwrap();
}

#[tokio::test]
async fn only_another_flavor_moves_a_queue() {
    let world = World::with(&[("a", 1)]);
    put(&world, "q", json!({})).await.unwrap();
    make_flavor(&world, "bulk", &["a"]);
    let change = MetadataChange::Add("team".to_owned(), json!("x"));
    world.service.update_queue(&permit("q"), vec![change]).await.unwrap();
    assert_eq!(world.pool_of(&queue("q")).as_deref(), Some("a"));
    assert_eq!(world.control.own.stored(&queue("q")), Some(json!({"team": "x"})));
    // Its pool has got that flavor: with messages and with no other pool it may stay.
    post(&world, "q").await.unwrap();
    world.control.pools.lock().unwrap().get_mut(&name("a")).unwrap().weight = 0;
    set_flavor(&world, "q", json!("bulk")).await.unwrap();
    assert_eq!(world.pool("a").count(&queue("q")), Some(1));
}
