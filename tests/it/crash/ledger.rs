//! What the clients of a killed server know, against what it has kept.

use std::collections::{BTreeMap, BTreeSet};

/// The texts posted together, in order.
pub type Batch = Vec<String>;

/// What was sent and what was answered, over all rounds so far.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Per producer, in the order of posting: the batch, and whether it is
    /// known to be kept.
    batches: BTreeMap<usize, Vec<(Batch, bool)>>,
    /// Ids of messages known to be kept and not on their way out.
    ids: BTreeMap<String, String>,
    deletes_sent: BTreeSet<String>,
    deletes_acknowledged: BTreeSet<String>,
    /// Posts answered with 201 in all rounds.
    pub posts: usize,
    /// Deletions answered with 204 in all rounds, by message.
    pub deletes: usize,
}

impl Ledger {
    /// A batch goes out.
    pub fn send(&mut self, producer: usize, batch: &Batch) {
        self.batches.entry(producer).or_default().push((batch.clone(), false));
    }

    /// The producer's newest batch was acknowledged with these ids.
    pub fn acknowledge(&mut self, producer: usize, ids: Vec<String>) {
        self.posts += 1;
        if let Some((batch, kept)) = self.batches.entry(producer).or_default().last_mut() {
            *kept = true;
            self.ids.extend(batch.iter().cloned().zip(ids));
        }
    }

    /// Up to `count` messages to delete by their ids; the deletion goes out.
    pub fn send_deletes(&mut self, count: usize) -> Vec<(String, String)> {
        let doomed: Vec<_> = std::iter::from_fn(|| self.ids.pop_first()).take(count).collect();
        self.deletes_sent.extend(doomed.iter().map(|(text, _)| text.clone()));
        doomed
    }

    /// The deletion of one claimed message goes out. Seen is kept: whoever
    /// could claim a message must find all of its batch.
    pub fn send_delete(&mut self, text: &str) {
        self.ids.remove(text);
        self.deletes_sent.insert(text.to_owned());
        for (batch, kept) in self.batches.values_mut().flatten() {
            *kept |= batch.iter().any(|it| it == text);
        }
    }

    /// A deletion was acknowledged.
    pub fn acknowledge_delete(&mut self, text: String) {
        self.deletes += 1;
        self.deletes_acknowledged.insert(text);
    }

    /// Checks what the restarted server holds, `kept`, in the order of its
    /// listing; from now on that is what is known. Each has its id.
    pub fn settle(&mut self, kept: &[(String, String)]) -> Result<(), String> {
        self.check(kept)?;
        let there: BTreeSet<_> = kept.iter().map(|(text, _)| text.as_str()).collect();
        self.ids = kept.iter().cloned().collect();
        self.deletes_sent.clear();
        self.deletes_acknowledged.clear();
        for batches in self.batches.values_mut() {
            for (batch, is_kept) in batches.iter_mut() {
                batch.retain(|text| there.contains(text.as_str()));
                *is_kept = true;
            }
            batches.retain(|(batch, _)| !batch.is_empty());
        }
        Ok(())
    }

    fn check(&self, kept: &[(String, String)]) -> Result<(), String> {
        let mut places = BTreeMap::new();
        for (place, (text, _)) in kept.iter().enumerate() {
            if places.insert(text.as_str(), place).is_some() {
                return Err(format!("{text:?} is there twice"));
            }
            if self.deletes_acknowledged.contains(text) {
                return Err(format!("{text:?} is back after its acknowledged deletion"));
            }
        }
        let mut known = 0;
        for batches in self.batches.values() {
            let all = batches.iter().flat_map(|(batch, _)| batch);
            let order: Vec<_> = all.filter_map(|text| places.get(text.as_str())).collect();
            if !order.is_sorted() {
                return Err("the messages of a producer are out of order".to_owned());
            }
            known += order.len();
            batches.iter().try_for_each(|(batch, kept)| self.check_batch(batch, *kept, &places))?;
        }
        if known != kept.len() {
            return Err("there is a message that nobody posted".to_owned());
        }
        Ok(())
    }

    fn check_batch(
        &self,
        batch: &[String],
        kept: bool,
        places: &BTreeMap<&str, usize>,
    ) -> Result<(), String> {
        let due = || batch.iter().filter(|text| !self.deletes_sent.contains(*text));
        let lost: Vec<_> = due().filter(|text| !places.contains_key(text.as_str())).collect();
        match () {
            () if lost.is_empty() => Ok(()),
            () if kept => Err(format!("{lost:?} were acknowledged and are lost")),
            () if lost.len() < batch.len() => Err(format!("of one batch only {lost:?} are lost")),
            () => Ok(()),
        }
    }
}

/// Two batches of producer 1, the second not acknowledged.
fn ledger() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.send(1, &vec!["a".into(), "b".into(), "c".into()]);
    ledger.acknowledge(1, vec!["1".into(), "2".into(), "3".into()]);
    ledger.send(1, &vec!["d".into(), "e".into()]);
    ledger
}

fn kept(texts: &str) -> Vec<(String, String)> {
    texts.chars().map(|text| (text.to_string(), String::new())).collect()
}

#[test]
fn what_may_be_kept_passes() {
    assert_eq!(ledger().settle(&kept("abc")), Ok(()));
    assert_eq!(ledger().settle(&kept("abcde")), Ok(()));
    let mut deleting = ledger();
    assert_eq!(deleting.send_deletes(2).len(), 2);
    for either in ["abc", "c", "bc", "cde"] {
        assert_eq!(deleting.clone().settle(&kept(either)), Ok(()), "{either}");
    }
    deleting.acknowledge_delete("a".into());
    assert_eq!(deleting.clone().settle(&kept("bc")), Ok(()));
    assert_eq!(deleting.settle(&kept("c")), Ok(()));
    assert!(deleting.settle(&kept("")).is_err(), "what was found once must stay");
}

#[test]
fn every_fault_is_found() {
    let faults = [
        ("ab", "acknowledged and are lost"),
        ("", "acknowledged and are lost"),
        ("abcd", "of one batch"),
        ("abca", "twice"),
        ("acb", "out of order"),
        ("abcx", "nobody posted"),
    ];
    for (texts, fault) in faults {
        let found = ledger().settle(&kept(texts)).unwrap_err();
        assert!(found.contains(fault), "{texts}: {found}");
    }
    let mut deleted = ledger();
    deleted.send_delete("a");
    deleted.acknowledge_delete("a".into());
    assert!(deleted.settle(&kept("abc")).unwrap_err().contains("is back"));
    let mut seen = ledger();
    seen.send_delete("d");
    assert!(seen.settle(&kept("abc")).unwrap_err().contains("[\"e\"]"));
}
