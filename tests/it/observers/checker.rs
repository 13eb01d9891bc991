//! What was posted against what was seen.
//!
//! A producer posts one batch after the other. One that is not acknowledged may
//! be there or not, but only as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// One message as an observer met it.
#[derive(Clone, Debug)]
pub struct Sight {
    pub marker: u64,
    pub text: String,
}

/// What the producers posted and what the deleters took too early.
pub struct Ledger {
    /// Per producer.
    posted: Vec<Mutex<Vec<Posted>>>,
    excused: Mutex<BTreeSet<String>>,
}

/// One message as its producer knows it.
#[derive(Clone, Copy)]
struct Posted {
    /// The number of the first message of its batch.
    batch: usize,
    acknowledged: bool,
}

fn text(producer: usize, number: usize) -> String {
    format!("{producer} {number}")
}

fn read(text: &str) -> Option<(usize, usize)> {
    let (producer, number) = text.split_once(' ')?;
    Some((producer.parse().ok()?, number.parse().ok()?))
}

impl Ledger {
    pub fn new(producers: usize) -> Self {
        Self {
            posted: (0..producers).map(|_| Mutex::default()).collect(),
            excused: Mutex::default(),
        }
    }

    /// The texts of a producer's next batch, of `count` messages.
    pub fn announce(&self, producer: usize, count: usize) -> Vec<String> {
        let mut posted = self.posted[producer].lock().unwrap();
        let batch = posted.len();
        posted.resize(batch + count, Posted { batch, acknowledged: false });
        (batch..posted.len()).map(|number| text(producer, number)).collect()
    }

    /// The batch that was announced last is there.
    pub fn acknowledge(&self, producer: usize) {
        let mut posted = self.posted[producer].lock().unwrap();
        let last = posted.last().expect("announced before").batch;
        posted[last..].iter_mut().for_each(|it| it.acknowledged = true);
    }

    /// The texts of all messages that were acknowledged.
    pub fn acknowledged(&self) -> BTreeSet<String> {
        let of_one = |(producer, posted): (usize, &Mutex<Vec<Posted>>)| {
            let posted = posted.lock().unwrap();
            let acknowledged = (0..posted.len()).filter(|number| posted[*number].acknowledged);
            acknowledged.map(|number| text(producer, number)).collect::<Vec<_>>()
        };
        self.posted.iter().enumerate().flat_map(of_one).collect()
    }

    /// A message may be missed, because somebody deletes it.
    pub fn excuse(&self, text: String) {
        self.excused.lock().unwrap().insert(text);
    }

    /// Checks what all observers saw; how many messages were acknowledged, and
    /// how many of these every observer had to see.
    pub fn check(&self, observers: &[Vec<Sight>]) -> Result<(usize, usize), String> {
        let mut markers = BTreeMap::new();
        for (observer, sights) in observers.iter().enumerate() {
            self.check_one(sights).map_err(|wrong| format!("observer {observer}: {wrong}"))?;
            for sight in sights {
                // One marker for each message, and growing markers for each
                // observer: one common order.
                let marker = *markers.entry(&sight.text).or_insert(sight.marker);
                if marker != sight.marker {
                    return Err(format!("{sight:?} was seen at marker {marker} by another"));
                }
            }
        }
        let acknowledged = self.acknowledged().len();
        Ok((acknowledged, acknowledged - self.excused.lock().unwrap().len().min(acknowledged)))
    }

    fn check_one(&self, sights: &[Sight]) -> Result<(), String> {
        let mut last: Option<&Sight> = None;
        let mut last_numbers = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for sight in sights {
            let last_marker = last.map_or(0, |last| last.marker);
            if sight.marker <= last_marker {
                return Err(format!(
                    "{sight:?} does not lie behind marker {last_marker}: {last:?}"
                ));
            }
            last = Some(sight);
            if !seen.insert(sight.text.clone()) {
                return Err(format!("{sight:?} was seen before"));
            }
            let Some((producer, number)) = read(&sight.text) else {
                return Err(format!("{sight:?} was never posted"));
            };
            if number >= self.posted[producer].lock().unwrap().len() {
                return Err(format!("{sight:?} was not posted yet"));
            }
            if last_numbers.insert(producer, number).is_some_and(|last| last > number) {
                return Err(format!("{sight:?} comes after a later message of its producer"));
            }
        }
        self.check_batches(sights)?;
        self.check_missing(&seen)
    }

    /// The messages of a batch lie side by side.
    fn check_batches(&self, sights: &[Sight]) -> Result<(), String> {
        let batch_of = |sight: &Sight| {
            let (producer, number) = read(&sight.text)?;
            Some((producer, self.posted[producer].lock().unwrap()[number].batch))
        };
        let mut seen = BTreeSet::new();
        for same in sights.chunk_by(|one, next| batch_of(one) == batch_of(next)) {
            if !seen.insert(batch_of(&same[0])) {
                return Err(format!("{:?} is torn from its batch", same[0]));
            }
        }
        Ok(())
    }

    /// Nothing is missing that was acknowledged, and no batch is there in part.
    fn check_missing(&self, seen: &BTreeSet<String>) -> Result<(), String> {
        let excused = self.excused.lock().unwrap();
        for (producer, posted) in self.posted.iter().enumerate() {
            let posted = posted.lock().unwrap();
            let is_seen = |number: usize| seen.contains(&text(producer, number));
            let due = |number: &usize| {
                let Posted { batch, acknowledged } = posted[*number];
                let batch = (batch..posted.len()).take_while(|it| posted[*it].batch == batch);
                acknowledged || batch.clone().any(is_seen)
            };
            let missed = |number: &usize| {
                !is_seen(*number) && !excused.contains(&text(producer, *number)) && due(number)
            };
            if let Some(missed) = (0..posted.len()).find(missed) {
                let why =
                    if posted[missed].acknowledged { "was acknowledged" } else { "has a batch" };
                return Err(format!("{:?} {why} and was never seen", text(producer, missed)));
            }
        }
        Ok(())
    }
}

/// Two producers: three messages of 0 acknowledged, one of 1; two more of 1 not.
fn ledger() -> Ledger {
    let ledger = Ledger::new(2);
    for (producer, count) in [(0, 1), (0, 2), (1, 1)] {
        ledger.announce(producer, count);
        ledger.acknowledge(producer);
    }
    ledger.announce(1, 2);
    ledger
}

fn sights(texts: &[&str]) -> Vec<Sight> {
    let sight = |(at, text): (usize, &&str)| Sight { marker: at as u64 + 1, text: (*text).into() };
    texts.iter().enumerate().map(sight).collect()
}

#[test]
fn a_proper_sequence_passes() {
    let ledger = ledger();
    let all = sights(&["0 0", "1 0", "0 1", "0 2"]);
    assert_eq!(ledger.check(&[all.clone(), all]), Ok((4, 4)));
    assert!(ledger.check(&[sights(&["0 0", "1 0", "1 1", "1 2", "0 1", "0 2"])]).is_ok());
    ledger.excuse("0 1".into());
    assert_eq!(ledger.check(&[sights(&["0 0", "1 0", "0 2"])]), Ok((4, 3)));
}

#[test]
fn every_fault_is_found() {
    let wrong = [
        ("was acknowledged", vec!["0 0", "1 0", "0 2"]),
        ("seen before", vec!["0 0", "1 0", "0 0", "0 1", "0 2"]),
        ("later message", vec!["0 1", "1 0", "0 0", "0 2"]),
        ("never posted", vec!["0 0", "1 0", "what", "0 1", "0 2"]),
        ("not posted yet", vec!["0 0", "1 0", "1 3", "0 1", "0 2"]),
        ("torn from its batch", vec!["0 0", "0 1", "1 0", "0 2"]),
        ("has a batch", vec!["0 0", "1 0", "1 1", "0 1", "0 2"]),
    ];
    for (fault, texts) in wrong {
        let found = ledger().check(&[sights(&texts)]).unwrap_err();
        assert!(found.contains(fault), "{found}");
    }
    let mut backwards = sights(&["0 0", "1 0", "0 1", "0 2"]);
    backwards[2].marker = 2;
    assert!(ledger().check(&[backwards]).unwrap_err().contains("behind marker"));
    let one = sights(&["0 0", "1 0", "0 1", "0 2"]);
    let other = sights(&["0 0", "0 1", "0 2", "1 0"]);
    assert!(ledger().check(&[one, other]).unwrap_err().contains("by another"));
}
