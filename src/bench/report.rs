//! What a run found out, as a table for people or one JSON object.

use std::fmt::Write;
use std::io;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::args::{Plan, Role};
use super::progress::per_second;
use super::tally::{Figures, Operation, Tally};

/// The figures of a run and what they belong to.
#[derive(Debug)]
pub struct Report {
    /// The server.
    pub url: String,
    /// Connections of each role, in the order of [`Role::ALL`].
    pub connections: [usize; Role::ALL.len()],
    /// How many messages were put in before, and how long that took.
    pub filled: Option<(u64, Duration)>,
    /// From the beginning of the measurement to the last answer.
    pub elapsed: Duration,
    /// Whether the user ended it early.
    pub interrupted: bool,
    /// The figures.
    pub tally: Tally,
}

impl Report {
    /// A report of nothing yet.
    ///
    /// # Errors
    ///
    /// None in practice; see [`Tally::new`].
    pub fn new(plan: &Plan) -> io::Result<Self> {
        Ok(Self {
            url: plan.args.url.clone(),
            connections: Role::ALL.map(|role| plan.workers(role)),
            filled: None,
            elapsed: Duration::ZERO,
            interrupted: false,
            tally: Tally::new().map_err(io::Error::other)?,
        })
    }

    /// One line for each operation of each role, then the errors by reason.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!(
            "{:<9} {:<9} {:>12} {:>12} {:>12} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7}\n",
            "role",
            "operation",
            "requests",
            "requests/s",
            "messages/s",
            "p50 ms",
            "p95 ms",
            "p99 ms",
            "max ms",
            "empty",
            "errors",
        );
        for (role, operation, figures) in self.tally.rows() {
            writeln!(
                text,
                "{:<9} {:<9} {:>12} {:>12.1} {:>12.1} {:>9.3} {:>9.3} {:>9.3} {:>9.3} {:>9} {:>7}",
                role.name(),
                operation.name(),
                figures.requests,
                self.rate(figures.requests),
                self.rate(figures.messages),
                figures.latency.quantile_ms(0.50),
                figures.latency.quantile_ms(0.95),
                figures.latency.quantile_ms(0.99),
                figures.latency.max_ms(),
                figures.empty,
                figures.failed(),
            )
            .ok();
        }
        for (role, operation, figures) in self.tally.rows() {
            for (failure, count) in &figures.errors {
                let (role, operation) = (role.name(), operation.name());
                writeln!(text, "{role} {operation} failed with {failure}: {count} times").ok();
            }
        }
        if let Some((messages, elapsed)) = self.filled {
            let seconds = elapsed.as_secs_f64();
            writeln!(text, "{messages} messages filled in within {seconds:.2} s").ok();
        }
        writeln!(
            text,
            "{:.2} s measured{}, {} connections, {} reconnects",
            self.elapsed.as_secs_f64(),
            if self.interrupted { " (interrupted)" } else { "" },
            self.connections.iter().sum::<usize>(),
            self.tally.reconnects,
        )
        .ok();
        text
    }

    /// The same figures for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let connections: Map<_, _> = Role::ALL
            .into_iter()
            .zip(self.connections)
            .map(|(role, count)| (role.name().to_owned(), count.into()))
            .collect();
        let rows =
            self.tally.rows().map(|(role, operation, figures)| self.row(role, operation, figures));
        json!({
            "url": self.url,
            "filled": self.filled.map(|(messages, elapsed)| {
                json!({"messages": messages, "seconds": elapsed.as_secs_f64()})
            }),
            "elapsed_seconds": self.elapsed.as_secs_f64(),
            "interrupted": self.interrupted,
            "connections": connections,
            "reconnects": self.tally.reconnects,
            "operations": rows.collect::<Vec<_>>(),
        })
    }

    fn row(&self, role: Role, operation: Operation, figures: &Figures) -> Value {
        let errors: Map<_, _> = figures
            .errors
            .iter()
            .map(|(failure, count)| (failure.to_string(), (*count).into()))
            .collect();
        json!({
            "role": role.name(),
            "operation": operation.name(),
            "requests": figures.requests,
            "messages": figures.messages,
            "requests_per_second": self.rate(figures.requests),
            "messages_per_second": self.rate(figures.messages),
            "latency_ms": figures.latency.json(),
            "empty": figures.empty,
            "errors": errors,
        })
    }

    fn rate(&self, count: u64) -> f64 {
        per_second(count, self.elapsed.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Operation, Report, Role, Tally};
    use crate::bench::client::Failure;

    fn report() -> Report {
        let mut tally = Tally::new().unwrap();
        let mut record = |operation, outcome, millis| {
            tally.record(Role::Consumer, operation, outcome, Duration::from_millis(millis));
        };
        record(Operation::Claim, Ok(10), 4);
        record(Operation::Claim, Ok(0), 1);
        record(Operation::Delete, Ok(10), 2);
        record(Operation::Delete, Err(Failure::Status(503)), 9);
        Report {
            url: "http://127.0.0.1:1".into(),
            connections: [0, 2, 0, 0],
            filled: Some((300, Duration::from_secs(3))),
            elapsed: Duration::from_secs(2),
            interrupted: true,
            tally,
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_operation_and_each_error() {
        let table = report().table();
        let lines: Vec<Vec<_>> =
            table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1][..5], ["consumer", "claim", "1", "0.5", "5.0"]);
        for latency in &lines[1][5..9] {
            assert!((latency.parse::<f64>().unwrap() - 4.0).abs() < 0.01, "{latency}");
        }
        assert_eq!(lines[1][9..], ["1", "0"]);
        assert_eq!(lines[2][..5], ["consumer", "delete", "1", "0.5", "5.0"]);
        assert_eq!(lines[3].join(" "), "consumer delete failed with 503: 1 times");
        assert_eq!(lines[4].join(" "), "300 messages filled in within 3.00 s");
        assert_eq!(
            lines[5].join(" "),
            "2.00 s measured (interrupted), 2 connections, 0 reconnects"
        );
        assert_eq!(lines.len(), 6);
    }

    #[test]
    fn the_json_has_the_same_figures() {
        let json = report().json();
        assert_eq!(json["filled"], serde_json::json!({"messages": 300, "seconds": 3.0}));
        assert_eq!(json["elapsed_seconds"], 2.0);
        assert_eq!(json["interrupted"], true);
        assert_eq!(json["connections"]["consumer"], 2);
        let [claim, delete] = &json["operations"].as_array().unwrap()[..] else { panic!("{json}") };
        assert_eq!((&claim["operation"], &claim["empty"]), (&"claim".into(), &1.into()));
        assert_eq!(delete["messages_per_second"], 5.0);
        assert_eq!(delete["errors"]["503"], 1);
        assert!((delete["latency_ms"]["p99"].as_f64().unwrap() - 2.0).abs() < 0.01);
    }
}
