//! Many at once.

use super::scene::Scene;

/// Every message goes to one worker, and no worker waits while there is one.
pub async fn a_crowd_shares_nothing_and_leaves_nothing(scene: Scene) {
    const WORKERS: u64 = 60;
    let workers: Vec<_> = (0..WORKERS).map(|_| scene.worker_on_its_way("q", 3)).collect();
    let barging = async {
        // Others who claim without waiting.
        let mut got = Vec::new();
        while got.len() < 20 {
            if let Some(claim) = scene.claim("q", 2).await {
                got.extend(super::scene::numbers(&claim));
            }
            tokio::task::yield_now().await;
        }
        got
    };
    let posting = async {
        let mut next = 0;
        for batch in (1..=5).cycle() {
            let numbers: Vec<_> = (next..(next + batch).min(WORKERS * 3 + 30)).collect();
            if numbers.is_empty() {
                break;
            }
            next += batch;
            scene.post("q", &numbers).await;
        }
    };
    let (mut all, ()) = tokio::join!(barging, posting);
    for worker in workers {
        let got = worker.gets().await;
        assert!((1..=3).contains(&got.len()), "nobody is left, for there is enough: {got:?}");
        all.extend(got);
    }
    while let Some(claim) = scene.claim("q", 20).await {
        all.extend(super::scene::numbers(&claim));
    }
    all.sort_unstable();
    assert_eq!(all, (0..WORKERS * 3 + 30).collect::<Vec<_>>());
    scene.await_waiters(0).await;
}
