//! Who delivers to which subscription: in memory only, for one process has the
//! store, and what it held ends with it.

use std::collections::HashMap;

use crate::model::{Timestamp, WorkerId};

/// Subscriptions in somebody's hands, by number. Changed inside a transaction, and
/// undone with it.
#[derive(Debug, Default)]
pub struct Holds {
    held: HashMap<u64, Hold>,
    /// What the open transaction has replaced, oldest first.
    before: Vec<(u64, Option<Hold>)>,
}

#[derive(Clone, Copy, Debug)]
struct Hold {
    worker: WorkerId,
    until: Timestamp,
}

impl Holds {
    /// Whether nobody holds it.
    pub fn is_free(&self, number: u64, now: Timestamp) -> bool {
        self.held.get(&number).is_none_or(|hold| hold.until <= now)
    }

    /// Whether this worker holds it.
    pub fn is_held_by(&self, number: u64, worker: WorkerId, now: Timestamp) -> bool {
        self.held.get(&number).is_some_and(|hold| hold.worker == worker && hold.until > now)
    }

    /// Gives it to a worker.
    pub fn put(&mut self, number: u64, worker: WorkerId, until: Timestamp) {
        let before = self.held.insert(number, Hold { worker, until });
        self.before.push((number, before));
    }

    /// Lets go of it, if this worker had it last.
    pub fn drop(&mut self, number: u64, worker: WorkerId) {
        if self.held.get(&number).is_some_and(|hold| hold.worker == worker) {
            let before = self.held.remove(&number);
            self.before.push((number, before));
        }
    }

    /// The transaction was committed.
    pub fn keep(&mut self) {
        self.before.clear();
    }

    /// The transaction was rolled back.
    pub fn undo(&mut self) {
        while let Some((number, before)) = self.before.pop() {
            match before {
                Some(hold) => self.held.insert(number, hold),
                None => self.held.remove(&number),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1000);

    #[test]
    fn a_rollback_gives_back_what_was_held_before() {
        let (mine, theirs) = (WorkerId::random(), WorkerId::random());
        let mut holds = Holds::default();
        holds.put(1, mine, NOW.plus(5));
        holds.put(2, mine, NOW.plus(5));
        holds.keep();
        holds.drop(1, theirs);
        assert!(!holds.is_free(1, NOW), "only its holder lets go");
        holds.drop(1, mine);
        holds.put(1, theirs, NOW.plus(9));
        holds.put(2, mine, NOW.plus(9));
        holds.put(3, mine, NOW.plus(9));
        holds.undo();
        assert!(holds.is_held_by(1, mine, NOW.plus(4)) && holds.is_free(1, NOW.plus(5)));
        assert!(holds.is_held_by(2, mine, NOW.plus(4)) && holds.is_free(2, NOW.plus(5)));
        assert!(holds.is_free(3, NOW));
        holds.undo();
        assert!(holds.is_held_by(1, mine, NOW), "nothing is undone twice");
    }
}
