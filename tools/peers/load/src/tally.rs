//! Counting what a worker did and how long each step took.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::peer::Result;

/// Latencies beyond an hour count as an hour.
const LATENCY_MAX_MICROS: u64 = 3_600_000_000;

/// Digits of a latency that are kept.
const LATENCY_DIGITS: u8 = 3;

/// A part of a step, timed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A batch is posted and confirmed.
    Post,
    /// A batch is taken.
    Take,
    /// What was taken is acknowledged.
    Acknowledge,
}

/// Messages, of everything that was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// Confirmed.
    pub posted: u64,
    /// Taken and acknowledged.
    pub acknowledged: u64,
}

impl Messages {
    fn add(&mut self, operation: Operation, count: u64) {
        match operation {
            Operation::Post => self.posted += count,
            Operation::Take => {}
            Operation::Acknowledge => self.acknowledged += count,
        }
    }
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Tally {
    /// All of it, to compare with what the peer has in the end.
    pub all: Messages,
    /// What counts: was done within the measurement.
    pub measured: Messages,
    /// Takes within the measurement that found nothing.
    pub empty: u64,
    latencies: [Histogram<u64>; 3],
}

impl Tally {
    /// Nothing done yet.
    pub fn new() -> Result<Self> {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX_MICROS, LATENCY_DIGITS)?;
        Ok(Self {
            all: Messages::default(),
            measured: Messages::default(),
            empty: 0,
            latencies: [latency.clone(), latency.clone(), latency],
        })
    }

    /// Counts an operation on `count` messages, `measured` or not.
    pub fn record(&mut self, operation: Operation, count: usize, took: Duration, measured: bool) {
        self.all.add(operation, count as u64);
        if !measured {
            return;
        }
        if count == 0 {
            self.empty += 1;
            return;
        }
        self.measured.add(operation, count as u64);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.latencies[operation as usize].saturating_record(micros);
    }

    /// Adds what another worker did.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        for (own, others) in [(&mut self.all, other.all), (&mut self.measured, other.measured)] {
            own.posted += others.posted;
            own.acknowledged += others.acknowledged;
        }
        self.empty += other.empty;
        for (own, others) in self.latencies.iter_mut().zip(&other.latencies) {
            own.add(others)?;
        }
        Ok(())
    }

    /// Latencies in milliseconds of the operations that were measured.
    pub fn latencies(&self) -> Value {
        let of = |operation: Operation| {
            let latency = &self.latencies[operation as usize];
            let milliseconds = |quantile| {
                #[expect(clippy::cast_precision_loss, reason = "an hour of microseconds fits")]
                let micros = latency.value_at_quantile(quantile) as f64;
                micros / 1000.0
            };
            (!latency.is_empty())
                .then(|| json!({ "p50": milliseconds(0.50), "p99": milliseconds(0.99) }))
        };
        json!({
            "post": of(Operation::Post),
            "take": of(Operation::Take),
            "ack": of(Operation::Acknowledge),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Messages, Operation, Tally};

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn only_what_is_measured_and_moves_messages_has_a_latency() {
        let mut tally = Tally::new().unwrap();
        tally.record(Operation::Post, 10, 9 * MILLISECOND, false);
        tally.record(Operation::Post, 10, MILLISECOND, true);
        tally.record(Operation::Take, 0, 9 * MILLISECOND, true);
        assert_eq!(tally.all, Messages { posted: 20, acknowledged: 0 });
        assert_eq!(tally.measured, Messages { posted: 10, acknowledged: 0 });
        assert_eq!(tally.empty, 1);
        let latencies = tally.latencies();
        assert_eq!(latencies["post"]["p99"], 1.0);
        assert!(latencies["take"].is_null() && latencies["ack"].is_null());
    }

    #[test]
    fn tallies_add_up() {
        let mut left = Tally::new().unwrap();
        let mut right = left.clone();
        left.record(Operation::Acknowledge, 3, MILLISECOND, true);
        right.record(Operation::Acknowledge, 4, MILLISECOND, false);
        left.merge(&right).unwrap();
        assert_eq!((left.all.acknowledged, left.measured.acknowledged), (7, 3));
    }
}
