//! What was posted against what was seen.

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
    /// Per producer: messages announced, and of these acknowledged.
    posted: Vec<Mutex<(usize, usize)>>,
    excused: Mutex<BTreeSet<String>>,
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

    /// The texts of the next `count` messages of a producer.
    pub fn announce(&self, producer: usize, count: usize) -> Vec<String> {
        let mut posted = self.posted[producer].lock().unwrap();
        let first = posted.0;
        posted.0 += count;
        (first..posted.0).map(|number| text(producer, number)).collect()
    }

    /// The oldest `count` messages announced and not acknowledged yet, are.
    pub fn acknowledge(&self, producer: usize, count: usize) {
        self.posted[producer].lock().unwrap().1 += count;
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
        let acknowledged = self.posted.iter().map(|posted| posted.lock().unwrap().1).sum();
        Ok((acknowledged, acknowledged - self.excused.lock().unwrap().len().min(acknowledged)))
    }

    fn check_one(&self, sights: &[Sight]) -> Result<(), String> {
        let mut last_marker = 0;
        let mut last_numbers = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for sight in sights {
            if sight.marker <= last_marker {
                return Err(format!("{sight:?} does not lie behind marker {last_marker}"));
            }
            last_marker = sight.marker;
            if !seen.insert(sight.text.as_str()) {
                return Err(format!("{sight:?} was seen before"));
            }
            let Some((producer, number)) = read(&sight.text) else {
                return Err(format!("{sight:?} was never posted"));
            };
            if number >= self.posted[producer].lock().unwrap().0 {
                return Err(format!("{sight:?} was not posted yet"));
            }
            if last_numbers.insert(producer, number).is_some_and(|last| last > number) {
                return Err(format!("{sight:?} comes after a later message of its producer"));
            }
        }
        let excused = self.excused.lock().unwrap();
        for (producer, posted) in self.posted.iter().enumerate() {
            let (_, acknowledged) = *posted.lock().unwrap();
            let mut due = (0..acknowledged).map(|number| text(producer, number));
            if let Some(missed) =
                due.find(|it| !seen.contains(it.as_str()) && !excused.contains(it))
            {
                return Err(format!("{missed:?} was acknowledged and never seen"));
            }
        }
        Ok(())
    }
}

/// Two producers: three messages of 0 acknowledged, one of 1; one more of 1 not.
fn ledger() -> Ledger {
    let ledger = Ledger::new(2);
    ledger.announce(0, 3);
    ledger.acknowledge(0, 3);
    ledger.announce(1, 2);
    ledger.acknowledge(1, 1);
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
    assert!(ledger.check(&[sights(&["0 0", "1 0", "1 1", "0 1", "0 2"])]).is_ok());
    ledger.excuse("0 1".into());
    assert_eq!(ledger.check(&[sights(&["0 0", "1 0", "0 2"])]), Ok((4, 3)));
}

#[test]
fn every_fault_is_found() {
    let wrong = [
        ("never seen", vec!["0 0", "1 0", "0 2"]),
        ("seen before", vec!["0 0", "1 0", "0 0", "0 1", "0 2"]),
        ("later message", vec!["0 1", "1 0", "0 0", "0 2"]),
        ("never posted", vec!["0 0", "1 0", "what", "0 1", "0 2"]),
        ("not posted yet", vec!["0 0", "1 0", "1 2", "0 1", "0 2"]),
    ];
    for (fault, texts) in wrong {
        let found = ledger().check(&[sights(&texts)]).unwrap_err();
        assert!(found.contains(fault), "{found}");
    }
    let mut backwards = sights(&["0 0", "1 0", "0 1", "0 2"]);
    backwards[2].marker = 2;
    assert!(ledger().check(&[backwards]).unwrap_err().contains("behind marker"));
    let one = sights(&["0 0", "1 0", "0 1", "0 2"]);
    let other = sights(&["0 0", "0 1", "1 0", "0 2"]);
    assert!(ledger().check(&[one, other]).unwrap_err().contains("by another"));
}
