//! How fast the disk is, for scale: appends that are flushed one by one.
//!
//! A store that commits every request by itself cannot be faster than this.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::progress::per_second;
use super::tally::Latencies;

/// Bytes of an append.
const APPEND_BYTES: usize = 1024;

/// What the disk did.
#[derive(Debug)]
pub struct DiskReport {
    flushes: u64,
    elapsed: Duration,
    latency: Latencies,
}

/// Appends 1 KiB to a new file in `dir` and flushes its data (fdatasync),
/// again and again for `duration`; then deletes the file.
///
/// # Errors
///
/// The system's reason.
pub fn measure(dir: &Path, duration: Duration) -> io::Result<DiskReport> {
    let path = dir.join(format!("nusku-bench-{}.tmp", std::process::id()));
    let measured = append(&path, duration);
    fs::remove_file(&path).ok();
    measured
}

fn append(path: &Path, duration: Duration) -> io::Result<DiskReport> {
    let mut file = OpenOptions::new().append(true).create_new(true).open(path)?;
    let mut report = DiskReport {
        flushes: 0,
        elapsed: Duration::ZERO,
        latency: Latencies::new().map_err(io::Error::other)?,
    };
    let started = Instant::now();
    while report.elapsed < duration {
        let began = Instant::now();
        file.write_all(&[b'x'; APPEND_BYTES])?;
        file.sync_data()?;
        report.latency.record(began.elapsed());
        report.flushes += 1;
        report.elapsed = started.elapsed();
    }
    Ok(report)
}

impl DiskReport {
    /// One line for people.
    #[must_use]
    pub fn table(&self) -> String {
        format!(
            "{:.1} appends of {APPEND_BYTES} bytes flushed a second, \
             p50 {:.3} ms, p99 {:.3} ms, max {:.3} ms\n",
            self.rate(),
            self.latency.quantile_ms(0.50),
            self.latency.quantile_ms(0.99),
            self.latency.max_ms(),
        )
    }

    /// The same figures for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "flushes": self.flushes,
            "elapsed_seconds": self.elapsed.as_secs_f64(),
            "flushes_per_second": self.rate(),
            "latency_ms": self.latency.json(),
        })
    }

    fn rate(&self) -> f64 {
        per_second(self.flushes, self.elapsed.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, fs, measure};

    #[test]
    fn the_disk_is_measured_and_left_clean() {
        let dir = tempfile::tempdir().unwrap();
        let report = measure(dir.path(), Duration::from_millis(20)).unwrap();
        assert!(report.flushes > 0 && report.elapsed >= Duration::from_millis(20));
        assert_eq!(report.json()["flushes"], report.flushes);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        measure(&dir.path().join("missing"), Duration::ZERO).unwrap_err();
    }
}
