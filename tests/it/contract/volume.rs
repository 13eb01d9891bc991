//! Promises about the store as a whole.

use super::{Store, key_of};

async fn volume(store: &Store) -> (u64, u64) {
    let volume = store.data().volume(store.now).await.unwrap();
    (volume.claimed, volume.free)
}

pub async fn volume_counts_all_queues_of_all_projects(store: Store) {
    assert_eq!(volume(&store).await, (0, 0));
    let mut queues = Vec::new();
    for (project, name) in [("one", "q"), ("one", "r"), ("two", "q")] {
        let queue = key_of(project, name);
        store.make_at(&queue).await;
        store.post_many(&queue, 5).await;
        store.claim(&queue, 2).await;
        queues.push(queue);
    }
    assert_eq!(volume(&store).await, (6, 9));
    store.messages().pop(&queues[0], 1, store.now).await.unwrap();
    assert_eq!(volume(&store).await, (6, 8));
    store.queues().delete(&queues[1]).await.unwrap();
    assert_eq!(volume(&store).await, (4, 5));
}

pub async fn volume_counts_expired_claims_as_free(mut store: Store) {
    let queue = store.make("q").await;
    store.post_many(&queue, 5).await;
    store.claim(&queue, 2).await;
    assert_eq!(volume(&store).await, (2, 3));
    store.pass(100);
    assert_eq!(volume(&store).await, (0, 5));
    store.pass(900);
    assert_eq!(volume(&store).await, (0, 0));
}

pub async fn a_store_that_works_answers_a_ping(mut store: Store) {
    assert_eq!(store.data().ping().await, Ok(()));
    store.reopen().await;
    assert_eq!(store.data().ping().await, Ok(()));
}
