//! What a waiting user sees: one line a second on stderr.

use std::fmt::Write;
use std::time::Instant;

use super::tally::{Live, Operation};

/// The rates since the line before.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    last: Instant,
    requests: [u64; Operation::ALL.len()],
}

impl Progress {
    /// A run that starts at `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { started: now, last: now, requests: [0; Operation::ALL.len()] }
    }

    /// Prints the next line.
    pub fn print(&mut self, now: Instant, live: &Live) {
        if let Some(line) = self.line(now, live.requests(), live.errors()) {
            eprintln!("{line}");
        }
    }

    /// The line at `now`, given all that was counted up to then; `None` if
    /// no time has passed. Operations nobody asked for yet are left out.
    fn line(
        &mut self,
        now: Instant,
        requests: [u64; Operation::ALL.len()],
        errors: u64,
    ) -> Option<String> {
        let seconds = (now - self.last).as_secs_f64();
        if seconds < 0.001 {
            return None;
        }
        let mut line = format!("{:>5.0} s", (now - self.started).as_secs_f64());
        for (index, operation) in Operation::ALL.into_iter().enumerate() {
            if requests[index] > 0 {
                let rate = per_second(requests[index] - self.requests[index], seconds);
                write!(line, "  {} {rate:.0}/s", operation.name()).ok();
            }
        }
        write!(line, "  errors {errors}").ok();
        (self.last, self.requests) = (now, requests);
        Some(line)
    }
}

/// `count` things in `seconds`, as a rate; 0 if no time has passed.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "a rate needs no more digits than an f64 has")]
pub fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Instant, Progress};

    #[test]
    fn a_line_shows_the_rates_since_the_last_one() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut progress = Progress::new(start);
        assert_eq!(progress.line(start, [0; 4], 0), None);
        let line = progress.line(after(2), [200, 0, 0, 10], 0).unwrap();
        assert_eq!(line.trim(), "2 s  post 100/s  list 5/s  errors 0");
        let line = progress.line(after(3), [500, 1, 0, 10], 7).unwrap();
        assert_eq!(line.trim(), "3 s  post 300/s  claim 1/s  list 0/s  errors 7");
    }
}
