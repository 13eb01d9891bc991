//! How a wait ends that nothing comes of.

use super::scene::{Scene, WAIT, soon};

pub async fn a_wait_ends_with_its_time(scene: Scene) {
    let worker = scene.worker("q", 1).await;
    let reader = scene.reader("q", None).await;
    scene.clock.advance(WAIT - 1);
    assert!(!worker.0.is_finished() && !reader.is_finished());
    scene.clock.advance(1);
    assert!(worker.gets().await.is_empty());
    assert!(soon(reader).await.unwrap().messages.is_empty());
    scene.await_waiters(0).await;
}

pub async fn who_leaves_makes_way(scene: Scene) {
    let first = scene.worker("q", 1).await;
    let second = scene.worker("q", 1).await;
    first.0.abort();
    scene.await_waiters(1).await;
    scene.post("q", &[1]).await;
    assert_eq!(second.gets().await, [1]);
}

/// Wherever the waiter is when it is dropped: waiting, claiming, or claimed.
pub async fn what_is_handed_to_nobody_comes_back(scene: Scene) {
    for round in 0..40 {
        let worker = scene.worker("q", 1).await;
        let numbers = [round];
        let post = scene.post("q", &numbers);
        let abort = async {
            for _ in 0..round * 3 {
                tokio::task::yield_now().await;
            }
            worker.0.abort();
        };
        tokio::join!(post, abort);
        if let Ok(claim) = worker.0.await {
            assert!(claim.is_some());
        } else {
            let next = scene.worker_on_its_way("q", 1);
            assert_eq!(next.gets().await, [round], "at once, not when a claim ends");
        }
    }
}

pub async fn the_end_of_the_server_ends_all_waiting(scene: Scene) {
    let worker = scene.worker("q", 1).await;
    let reader = scene.reader("q", None).await;
    let mut follower = scene.follow("q").await;
    scene.service.stop_waiting();
    assert!(worker.gets().await.is_empty());
    assert!(soon(reader).await.unwrap().messages.is_empty());
    assert_eq!(soon(follower.next()).await, Ok(None));
    // Whoever comes now is answered at once.
    assert!(scene.worker_on_its_way("q", 1).gets().await.is_empty());
}
