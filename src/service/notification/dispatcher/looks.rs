//! Which queues are looked at, and when: one look at a queue at a time, and not two of
//! them too quickly.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::{Id, JoinSet};

use super::{COOL_DOWN, SHORT_COOL_DOWN, Shared};
use crate::model::QueueKey;

/// Looks that ask the store at the same time.
const AT_ONCE: usize = 32;

/// The queues that are looked at.
#[derive(Default)]
pub(super) struct Looks {
    /// Whether to look again then.
    running: HashMap<QueueKey, bool>,
    tasks: JoinSet<()>,
    queues: HashMap<Id, QueueKey>,
}

impl Looks {
    /// Looks at queues in which something is due, until the end.
    pub(super) async fn run(mut self, shared: Arc<Shared>) {
        let gate = Arc::new(Semaphore::new(AT_ONCE));
        let due = Arc::clone(&shared.service.notifications.due);
        loop {
            tokio::select! {
                biased;
                () = shared.ending() => break,
                queues = due.take() => {
                    for queue in queues {
                        self.begin(&shared, &gate, queue);
                    }
                }
                Some(ended) = self.tasks.join_next_with_id() => {
                    let id = ended.map_or_else(|failed| failed.id(), |(id, ())| id);
                    if let Some(queue) = self.end(id) {
                        self.begin(&shared, &gate, queue);
                    }
                }
            }
        }
        while self.tasks.join_next().await.is_some() {}
    }

    /// Looks at the queue, or has it looked at again.
    fn begin(&mut self, shared: &Arc<Shared>, gate: &Arc<Semaphore>, queue: QueueKey) {
        if let Some(again) = self.running.get_mut(&queue) {
            *again = true;
            return;
        }
        self.running.insert(queue.clone(), false);
        let task = look(Arc::clone(shared), Arc::clone(gate), queue.clone());
        self.queues.insert(self.tasks.spawn(task).id(), queue);
    }

    /// Notes the end of a look; returns the queue if it is to be looked at again.
    fn end(&mut self, id: Id) -> Option<QueueKey> {
        let queue = self.queues.remove(&id)?;
        let again = self.running.remove(&queue)?;
        again.then_some(queue)
    }
}

async fn look(shared: Arc<Shared>, gate: Arc<Semaphore>, queue: QueueKey) {
    let found = {
        // The gate is never closed.
        let _permit = gate.acquire().await;
        shared.look(&queue).await.unwrap_or_else(|error| {
            // The walk comes back to it.
            tracing::warn!(
                project.id = %queue.project,
                queue.name = %queue.name,
                %error,
                "cannot see whom to tell of messages"
            );
            false
        })
    };
    let pause = if found { SHORT_COOL_DOWN } else { COOL_DOWN };
    tokio::select! {
        biased;
        () = shared.ending() => {}
        () = tokio::time::sleep(pause) => {}
    }
}
