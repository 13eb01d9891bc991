//! Pools, flavors, and which pool a queue is in.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{ProjectId, QueueName, Timestamp};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// The rule is that of queue names; Zaqar promises it and checks nothing.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads a name; `None` if it is empty, too long or has another character.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                QueueName::parse(text).map(|name| Self(name.as_str().into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// Names a pool: 1 to 64 of `A–Z a–z 0–9 _ - .`.
    PoolName
}

name! {
    /// Names a flavor: 1 to 64 of `A–Z a–z 0–9 _ - .`.
    FlavorName
}

/// A store that queues can be placed in.
#[derive(Clone, PartialEq)]
pub struct Pool {
    /// Its name.
    pub name: PoolName,
    /// Where it is: what `storage.uri` could be. May hold a password.
    pub uri: String,
    /// How often it is chosen, compared to others; never if 0.
    pub weight: u32,
    /// The flavor whose queues it takes; those without one if `None`.
    pub flavor: Option<FlavorName>,
    /// Settings of its driver that differ from this server's.
    pub options: Map<String, Value>,
}

impl fmt::Debug for Pool {
    /// Tells all but the URI.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name)
            .field("weight", &self.weight)
            .field("flavor", &self.flavor)
            .finish_non_exhaustive()
    }
}

/// A kind of store that queues of a project can ask for. Which pools belong to
/// it stands with the pools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flavor {
    /// Whose flavor it is.
    pub project: ProjectId,
    /// Its name.
    pub name: FlavorName,
    /// What the pools it was made of can do.
    pub capabilities: Vec<Capability>,
}

/// Something that a store does for queues. The numbers are those that Zaqar
/// keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Messages come in the order in which they were posted.
    Fifo = 1,
    /// Messages can be claimed.
    Claims = 2,
    /// What was acknowledged survives a crash.
    Durability = 3,
    /// Each message is handed out at least once.
    AtLeastOnce = 4,
    /// Made for many messages.
    HighThroughput = 5,
}

impl Capability {
    /// All of them, by number.
    pub const ALL: [Self; 5] =
        [Self::Fifo, Self::Claims, Self::Durability, Self::AtLeastOnce, Self::HighThroughput];

    /// Zaqar's name for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fifo => "FIFO",
            Self::Claims => "CLAIMS",
            Self::Durability => "DURABILITY",
            Self::AtLeastOnce => "AOD",
            Self::HighThroughput => "HIGH_THROUGHPUT",
        }
    }

    /// Zaqar's number for it.
    #[must_use]
    pub fn number(self) -> i32 {
        self as i32
    }

    /// What has that number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|it| i64::from(it.number()) == number)
    }
}

/// Where a queue was placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The pool that holds its messages.
    pub pool: PoolName,
    /// Since when the queue is on its way out of it, to be deleted or moved.
    pub leaving: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::{Capability, PoolName};

    #[test]
    fn capabilities_have_zaqars_numbers() {
        for (number, capability) in (1..).zip(Capability::ALL) {
            assert_eq!(Capability::from_number(number), Some(capability));
        }
        assert_eq!(Capability::from_number(6), None);
    }

    #[test]
    fn names_keep_to_the_rule_of_queues() {
        assert!(PoolName::parse("disk-1").is_some());
        assert!(PoolName::parse("a b").is_none());
        assert!(PoolName::parse("").is_none());
    }
}
