//! How many subscribers may be in the works at once. One that only waits makes room
//! for others: a store remembers where it was.

use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Places for subscribers.
pub(super) struct Slots {
    all: u32,
    free: Arc<Semaphore>,
    wanted: Notify,
}

impl Slots {
    pub(super) fn new(all: u32) -> Self {
        let free = Arc::new(Semaphore::new(usize::try_from(all).unwrap_or(1)));
        Self { all, free, wanted: Notify::new() }
    }

    /// At least one of them, at most `most`; asks those who wait to make room if
    /// there is none. `None` if they are closed, which they never are.
    pub(super) async fn take(&self, most: u32) -> Option<OwnedSemaphorePermit> {
        let free = u32::try_from(self.free.available_permits()).unwrap_or(u32::MAX);
        let wanted = most.min(free).max(1);
        if let Ok(slots) = Arc::clone(&self.free).try_acquire_many_owned(wanted) {
            return Some(slots);
        }
        self.wanted.notify_one();
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Completes for one of those who wait, once its slot is wanted.
    pub(super) async fn wanted(&self) {
        loop {
            self.wanted.notified().await;
            // There may be room again since it was asked for.
            if self.free.available_permits() == 0 {
                return;
            }
        }
    }

    /// Completes once nobody has one.
    pub(super) async fn idle(&self) {
        let _all = self.free.acquire_many(self.all).await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::Slots;

    fn is_ready(future: std::pin::Pin<&mut impl Future>) -> bool {
        future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn those_who_wait_make_room_one_at_a_time() {
        let slots = Slots::new(2);
        let mut all = slots.take(5).await.unwrap();
        assert_eq!(all.num_permits(), 2);
        let (mut first, mut second) = (pin!(slots.wanted()), pin!(slots.wanted()));
        assert!(!is_ready(first.as_mut()) && !is_ready(second.as_mut()));
        let mut newcomer = pin!(slots.take(5));
        assert!(!is_ready(newcomer.as_mut()));
        assert!(is_ready(first.as_mut()) && !is_ready(second.as_mut()));
        drop(all.split(1));
        assert!(is_ready(newcomer.as_mut()));
    }

    #[tokio::test]
    async fn nobody_leaves_where_there_is_room() {
        let slots = Slots::new(1);
        let only = slots.take(1).await;
        let mut newcomer = pin!(slots.take(1));
        assert!(!is_ready(newcomer.as_mut()));
        drop(only);
        assert!(is_ready(newcomer.as_mut()));
        let mut waiting = pin!(slots.wanted());
        assert!(!is_ready(waiting.as_mut()), "nobody wants it any more");
    }

    #[tokio::test]
    async fn idle_when_all_are_back() {
        let slots = Slots::new(3);
        let one = slots.take(1).await;
        let mut idle = pin!(slots.idle());
        assert!(!is_ready(idle.as_mut()));
        drop(one);
        assert!(is_ready(idle.as_mut()));
    }
}
