//! Who held what, as the workers were told.

use std::collections::{BTreeMap, BTreeSet};

use nusku::model::{ClaimId, Timestamp};

/// What workers claimed and deleted so far.
#[derive(Default)]
pub struct Holdings {
    held: BTreeMap<String, Vec<Hold>>,
    /// What somebody set out to delete.
    doomed: BTreeSet<String>,
    /// What was deleted, and at which time.
    deleted: BTreeMap<String, Timestamp>,
}

/// A message in a claim, from `since` until just before `until`.
#[derive(Clone, Debug)]
pub struct Hold {
    pub claim: ClaimId,
    pub since: Timestamp,
    pub until: Timestamp,
}

impl Holdings {
    /// A worker was given this message, and may only be if nobody else has it.
    pub fn take(&mut self, text: &str, hold: Hold) -> Result<(), String> {
        if self.deleted.get(text).is_some_and(|at| *at <= hold.since) {
            return Err(format!("{text:?} was deleted and is handed out by {hold:?}"));
        }
        let holds = self.held.entry(text.to_owned()).or_default();
        let overlaps = |it: &&Hold| it.since < hold.until && hold.since < it.until;
        if let Some(other) = holds.iter().find(overlaps) {
            return Err(format!("{text:?} is in two live claims, {other:?} and {hold:?}"));
        }
        holds.push(hold);
        Ok(())
    }

    /// A claim was renewed: it holds this message until then.
    pub fn extend(&mut self, text: &str, claim: ClaimId, until: Timestamp) {
        let holds = self.held.get_mut(text).expect("taken before");
        holds.iter_mut().filter(|hold| hold.claim == claim).for_each(|hold| hold.until = until);
    }

    /// A worker is about to let go of this message: others may get it from now on.
    pub fn let_go(&mut self, text: &str, claim: ClaimId) {
        self.held.get_mut(text).expect("taken before").retain(|hold| hold.claim != claim);
    }

    /// A worker is about to delete this message.
    pub fn doom(&mut self, text: &str) {
        self.doomed.insert(text.to_owned());
    }

    /// The message was deleted.
    pub fn deleted(&mut self, text: &str, now: Timestamp) {
        self.deleted.insert(text.to_owned(), now);
    }

    /// How many were deleted.
    pub fn deletions(&self) -> usize {
        self.deleted.len()
    }

    /// Compares what is left in the end with what must and what may be.
    pub fn settle(&self, acknowledged: &BTreeSet<String>, left: &[String]) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for text in left {
            if !seen.insert(text) {
                return Err(format!("{text:?} is there twice"));
            }
            if self.deleted.contains_key(text) {
                return Err(format!("{text:?} was deleted and is there"));
            }
        }
        let is_lost = |text: &&String| !seen.contains(text) && !self.doomed.contains(*text);
        match acknowledged.iter().find(is_lost) {
            Some(lost) => Err(format!("{lost:?} was acknowledged and is lost")),
            None => Ok(()),
        }
    }
}

fn hold(claim: u64, since: i64) -> Hold {
    let at = Timestamp::from_seconds;
    Hold { claim: ClaimId::from_parts(0, claim), since: at(since), until: at(since + 100) }
}

#[test]
fn a_message_may_be_held_again_when_it_is_free() {
    let mut holdings = Holdings::default();
    let mut take = |claim, since| holdings.take("m", hold(claim, since));
    assert_eq!(take(1, 0), Ok(()));
    assert!(take(2, 99).unwrap_err().contains("two live claims"));
    assert_eq!(take(2, 100), Ok(()));
    holdings.let_go("m", hold(2, 0).claim);
    assert_eq!(holdings.take("m", hold(3, 100)), Ok(()));
    holdings.extend("m", hold(3, 0).claim, Timestamp::from_seconds(250));
    assert!(holdings.take("m", hold(4, 249)).is_err());
    assert_eq!(holdings.take("m", hold(4, 250)), Ok(()));
}

#[test]
fn what_was_deleted_stays_away_and_the_rest_stays() {
    let mut holdings = Holdings::default();
    let acknowledged = ["a", "b", "c"].map(str::to_owned).into();
    holdings.doom("a");
    holdings.doom("b");
    holdings.deleted("a", hold(1, 5).since);
    assert!(holdings.take("a", hold(1, 5)).unwrap_err().contains("was deleted"));
    let settle = |left: &[&str]| {
        let left: Vec<_> = left.iter().map(|text| (*text).to_owned()).collect();
        holdings.settle(&acknowledged, &left)
    };
    assert_eq!(settle(&["c"]), Ok(()));
    assert_eq!(settle(&["b", "c", "unasked"]), Ok(()));
    assert!(settle(&["b"]).unwrap_err().contains("lost"));
    assert!(settle(&["a", "c"]).unwrap_err().contains("was deleted and is there"));
    assert!(settle(&["c", "c"]).unwrap_err().contains("twice"));
}
