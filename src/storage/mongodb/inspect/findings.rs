//! What an inspection has to say, each thing once, with a count and examples.

use std::fmt;

/// Examples that are kept of each finding.
const EXAMPLES: usize = 3;

/// Everything an inspection found.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

/// One thing that was found, however often.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it stands in the way; otherwise it is merely different.
    pub hinders: bool,
    /// What it is.
    pub what: String,
    /// How often.
    pub count: u64,
    /// Where, a few times.
    pub examples: Vec<String>,
}

impl Findings {
    /// Notes something that stands in the way.
    pub fn hinders(&mut self, what: &str, example: &dyn fmt::Display) {
        self.add(true, what, 1, example);
    }

    /// Notes something that will be different.
    pub fn differs(&mut self, what: &str, example: &dyn fmt::Display) {
        self.add(false, what, 1, example);
    }

    /// Notes something that was found `count` times; not even once is nothing.
    pub fn add(&mut self, hinders: bool, what: &str, count: u64, example: &dyn fmt::Display) {
        if count == 0 {
            return;
        }
        let position = self.0.iter().position(|finding| finding.what == what);
        let position = position.unwrap_or_else(|| {
            let (what, examples) = (what.to_owned(), Vec::new());
            self.0.push(Finding { hinders, what, count: 0, examples });
            self.0.len() - 1
        });
        let finding = &mut self.0[position];
        finding.count += count;
        if finding.examples.len() < EXAMPLES {
            finding.examples.push(example.to_string());
        }
    }

    /// What stands in the way, in the order in which it was found.
    pub fn hindrances(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(|finding| finding.hinders)
    }

    /// What is merely different.
    pub fn differences(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(|finding| !finding.hinders)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.count > self.examples.len() as u64 { ", …" } else { "" };
        write!(f, "{} × {}: {}{more}", self.count, self.what, self.examples.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_said_once() {
        let mut findings = Findings::default();
        findings.add(true, "never", 0, &"a");
        for example in ["a", "b", "c", "d"] {
            findings.hinders("often", &example);
        }
        findings.differs("once", &"x");
        let said: Vec<_> = findings.hindrances().map(ToString::to_string).collect();
        assert_eq!(said, ["4 × often: a, b, c, …"]);
        let said: Vec<_> = findings.differences().map(ToString::to_string).collect();
        assert_eq!(said, ["1 × once: x"]);
    }
}
