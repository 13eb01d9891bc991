//! Counting: what was asked, what came of it and how long it took.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::{CreationError, Histogram};
use serde_json::{Value, json};

use super::args::Role;
use super::client::Failure;

/// Latencies beyond an hour count as an hour.
const LATENCY_MAX_MICROS: u64 = 3_600_000_000;

/// Figures keep this many digits of a latency: an error of 0.1 % at most.
const LATENCY_DIGITS: u8 = 3;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Posting a batch.
    Post,
    /// Claiming.
    Claim,
    /// Deleting what was claimed.
    Delete,
    /// Reading a page.
    List,
}

impl Operation {
    /// All operations, in the order they are reported.
    pub const ALL: [Self; 4] = [Self::Post, Self::Claim, Self::Delete, Self::List];

    /// The operation's name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Claim => "claim",
            Self::Delete => "delete",
            Self::List => "list",
        }
    }
}

/// How long things took, to a thousandth of each latency.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// Nothing recorded yet.
    ///
    /// # Errors
    ///
    /// None in practice: the bounds of the histogram are constants.
    pub fn new() -> Result<Self, CreationError> {
        Histogram::new_with_bounds(1, LATENCY_MAX_MICROS, LATENCY_DIGITS).map(Self)
    }

    /// Records one latency.
    pub fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros);
    }

    /// The latency that the share `quantile` did not exceed, in milliseconds;
    /// 0 if nothing was recorded.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        milliseconds(self.0.value_at_quantile(quantile))
    }

    /// The highest latency, in milliseconds; 0 if nothing was recorded.
    #[must_use]
    pub fn max_ms(&self) -> f64 {
        milliseconds(self.0.max())
    }

    /// The figures every report gives, in milliseconds.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "p50": self.quantile_ms(0.50),
            "p95": self.quantile_ms(0.95),
            "p99": self.quantile_ms(0.99),
            "max": self.max_ms(),
        })
    }

    fn merge(&mut self, other: &Self) {
        for step in other.0.iter_recorded() {
            self.0.saturating_record_n(step.value_iterated_to(), step.count_at_value());
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "an hour of microseconds fits")]
fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

/// What came of one operation of one role.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Requests that were answered with 2xx and moved messages. Only these
    /// count in rates and latencies: an answer that moved nothing is cheap and
    /// would flatter both.
    pub requests: u64,
    /// Messages they posted, claimed, deleted or read.
    pub messages: u64,
    /// Requests that were answered with 2xx and moved nothing.
    pub empty: u64,
    /// Requests that failed, by reason.
    pub errors: BTreeMap<Failure, u64>,
    /// How long they took; failures and empty answers do not count.
    pub latency: Latencies,
}

impl Figures {
    /// How many requests failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.messages += other.messages;
        self.empty += other.empty;
        for (failure, count) in &other.errors {
            *self.errors.entry(*failure).or_default() += count;
        }
        self.latency.merge(&other.latency);
    }
}

/// The figures of all operations of all roles.
#[derive(Clone, Debug)]
pub struct Tally {
    rows: BTreeMap<(Role, Operation), Figures>,
    blank: Figures,
    /// Connections that had to be made again.
    pub reconnects: u64,
}

impl Tally {
    /// Nothing counted yet.
    ///
    /// # Errors
    ///
    /// None in practice; see [`Latencies::new`].
    pub fn new() -> Result<Self, CreationError> {
        let latency = Latencies::new()?;
        let blank =
            Figures { requests: 0, messages: 0, empty: 0, errors: BTreeMap::new(), latency };
        Ok(Self { rows: BTreeMap::new(), blank, reconnects: 0 })
    }

    /// Counts one request of `role` that moved so many messages, or failed.
    pub fn record(
        &mut self,
        role: Role,
        operation: Operation,
        outcome: Result<u64, Failure>,
        latency: Duration,
    ) {
        let figures = self.row(role, operation);
        match outcome {
            Ok(0) => figures.empty += 1,
            Ok(messages) => {
                figures.requests += 1;
                figures.messages += messages;
                figures.latency.record(latency);
            }
            Err(failure) => *figures.errors.entry(failure).or_default() += 1,
        }
    }

    /// Adds what another thread counted.
    pub fn merge(&mut self, other: &Self) {
        self.reconnects += other.reconnects;
        for (&(role, operation), figures) in &other.rows {
            self.row(role, operation).merge(figures);
        }
    }

    /// Every operation that was asked for, in the order of report.
    pub fn rows(&self) -> impl Iterator<Item = (Role, Operation, &Figures)> {
        self.rows.iter().map(|(&(role, operation), figures)| (role, operation, figures))
    }

    /// The figures of `operation` by `role`, if it was asked for.
    #[must_use]
    pub fn get(&self, role: Role, operation: Operation) -> Option<&Figures> {
        self.rows.get(&(role, operation))
    }

    /// How many requests failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.rows.values().map(Figures::failed).sum()
    }

    fn row(&mut self, role: Role, operation: Operation) -> &mut Figures {
        let blank = &self.blank;
        self.rows.entry((role, operation)).or_insert_with(|| blank.clone())
    }
}

/// Counters that can be looked at while the workers count.
#[derive(Debug, Default)]
pub struct Live {
    requests: [AtomicU64; Operation::ALL.len()],
    errors: AtomicU64,
}

impl Live {
    /// Counts one request.
    pub fn record(&self, operation: Operation, outcome: Result<u64, Failure>) {
        let counter = match outcome {
            Ok(0) => return,
            Ok(_) => &self.requests[operation as usize],
            Err(_) => &self.errors,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests answered so far, in the order of [`Operation::ALL`].
    #[must_use]
    pub fn requests(&self) -> [u64; Operation::ALL.len()] {
        std::array::from_fn(|index| self.requests[index].load(Ordering::Relaxed))
    }

    /// Requests failed so far.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Failure, Live, Operation, Role, Tally};

    fn post(tally: &mut Tally, outcome: Result<u64, Failure>, millis: u64) {
        tally.record(Role::Producer, Operation::Post, outcome, Duration::from_millis(millis));
    }

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() <= right * 0.001
    }

    #[test]
    fn quantiles_are_exact_to_a_thousandth() {
        let mut tally = Tally::new().unwrap();
        for millis in 1..=1000 {
            post(&mut tally, Ok(1), millis);
        }
        let figures = tally.get(Role::Producer, Operation::Post).unwrap();
        for (quantile, millis) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0), (1.0, 1000.0)] {
            assert!(close(figures.latency.quantile_ms(quantile), millis), "{quantile}");
        }
        assert!(close(figures.latency.max_ms(), 1000.0));
    }

    #[test]
    fn only_requests_that_moved_messages_count_as_done() {
        let mut tally = Tally::new().unwrap();
        post(&mut tally, Ok(10), 1);
        post(&mut tally, Ok(0), 5000);
        post(&mut tally, Err(Failure::Status(503)), 5000);
        post(&mut tally, Err(Failure::Status(503)), 5000);
        post(&mut tally, Err(Failure::Connection), 5000);
        let figures = tally.get(Role::Producer, Operation::Post).unwrap();
        assert_eq!((figures.requests, figures.messages, figures.empty), (1, 10, 1));
        assert_eq!(figures.errors[&Failure::Status(503)], 2);
        assert_eq!((figures.failed(), tally.failed()), (3, 3));
        assert!(close(figures.latency.max_ms(), 1.0));
    }

    #[test]
    fn merging_is_as_if_one_had_counted_all() {
        let (mut left, mut right, mut all) =
            (Tally::new().unwrap(), Tally::new().unwrap(), Tally::new().unwrap());
        for millis in 0..2000 {
            let half = if millis % 3 == 0 { &mut left } else { &mut right };
            for tally in [half, &mut all] {
                let outcome = if millis % 7 == 0 { Err(Failure::Timeout) } else { Ok(millis % 5) };
                post(tally, outcome, millis);
            }
        }
        left.reconnects = 2;
        right.reconnects = 3;
        right.record(Role::Consumer, Operation::Claim, Ok(1), Duration::ZERO);
        left.merge(&right);
        assert_eq!(left.reconnects, 5);
        assert_eq!(left.rows().count(), 2);
        let (merged, counted) = (
            left.get(Role::Producer, Operation::Post).unwrap(),
            all.get(Role::Producer, Operation::Post).unwrap(),
        );
        assert_eq!(
            (merged.requests, merged.messages, merged.empty, &merged.errors),
            (counted.requests, counted.messages, counted.empty, &counted.errors)
        );
        for quantile in [0.0, 0.25, 0.5, 0.95, 0.99, 1.0] {
            let (merged, counted) =
                (merged.latency.quantile_ms(quantile), counted.latency.quantile_ms(quantile));
            assert!(close(merged, counted), "{quantile}: {merged} {counted}");
        }
    }

    #[test]
    fn a_latency_of_days_is_shown_as_an_hour() {
        let mut tally = Tally::new().unwrap();
        tally.record(Role::Producer, Operation::Post, Ok(1), Duration::from_secs(1_000_000));
        let figures = tally.get(Role::Producer, Operation::Post).unwrap();
        assert!(close(figures.latency.max_ms(), 3_600_000.0));
    }

    #[test]
    fn live_counters_tell_operations_apart() {
        let live = Live::default();
        for (operation, outcome) in [
            (Operation::Post, Ok(1)),
            (Operation::List, Ok(2)),
            (Operation::List, Ok(2)),
            (Operation::List, Ok(0)),
            (Operation::Claim, Err(Failure::Timeout)),
        ] {
            live.record(operation, outcome);
        }
        assert_eq!((live.requests(), live.errors()), ([1, 0, 0, 2], 1));
    }
}
