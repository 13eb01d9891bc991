//! Moments, in whole seconds.

use std::fmt;

use chrono::{DateTime, Utc};

/// A moment: whole seconds since 1970-01-01T00:00:00Z.
///
/// Zaqar counts in whole seconds everywhere; so do we.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `seconds` after the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// The moment `seconds` later.
    #[must_use]
    pub const fn plus(self, seconds: u32) -> Self {
        Self(self.0.saturating_add(seconds as i64))
    }

    /// The moment `seconds` later, however many they are.
    #[must_use]
    pub const fn later(self, seconds: u64) -> Self {
        Self(self.0.saturating_add_unsigned(seconds))
    }

    /// Whole seconds that have passed since `earlier`; 0 if it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        let passed = self.0.saturating_sub(earlier.0);
        if passed < 0 { 0 } else { passed }
    }
}

impl fmt::Display for Timestamp {
    /// `YYYY-MM-DDTHH:MM:SSZ`, as in the stats of a queue.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = DateTime::<Utc>::from_timestamp(self.0, 0).unwrap_or(DateTime::UNIX_EPOCH);
        write!(f, "{}", moment.format("%Y-%m-%dT%H:%M:%SZ"))
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn age_never_drops_days_nor_goes_negative() {
        let posted = Timestamp::from_seconds(1_000);
        assert_eq!(posted.plus(3 * 86_400 + 5).since(posted), 3 * 86_400 + 5);
        assert_eq!(posted.since(posted.plus(9)), 0);
    }

    #[test]
    fn prints_as_zaqar_does() {
        assert_eq!(Timestamp::from_seconds(1_813_971_106).to_string(), "2027-06-26T00:51:46Z");
    }
}
