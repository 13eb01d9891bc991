//! A check: one question, or several put together.

use std::fmt;

use super::attribute::Attribute;
use super::template::Template;

/// How deep checks may lie in each other, references to other rules not
/// counted. What is deeper is refused, so nothing that walks a check can run
/// out of stack.
pub(super) const DEPTH_MAX: usize = 64;

/// A check; `R` is how it names another rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Check<R> {
    /// `@`: yes.
    Always,
    /// `!`: no.
    Never,
    /// `role:x`: whether the caller has that role, in whatever case.
    Role(Template),
    /// `rule:x`: whatever that rule says.
    Rule(R),
    /// `attribute:x`: whether that is what the attribute is, or is in it.
    Matches(Left, Template),
    /// `not x`.
    Not(Box<Check<R>>),
    /// `x and y`, two or more of them.
    All(Vec<Check<R>>),
    /// `x or y`, two or more of them.
    Any(Vec<Check<R>>),
}

/// What stands left of the colon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Something known about the caller.
    Attribute(Attribute),
    /// Something that no caller has; the check fails.
    Unknown(String),
    /// A literal of Python, and what it prints.
    Literal {
        /// As it was written.
        source: String,
        /// As it is compared.
        printed: String,
    },
}

impl<R> Check<R> {
    /// The same check with other names for rules. A name that means nothing
    /// makes the check fail.
    pub(super) fn link<S>(self, find: &mut impl FnMut(R) -> Option<S>) -> Check<S> {
        match self {
            Self::Always => Check::Always,
            Self::Never => Check::Never,
            Self::Role(role) => Check::Role(role),
            Self::Rule(name) => find(name).map_or(Check::Never, Check::Rule),
            Self::Matches(left, right) => Check::Matches(left, right),
            Self::Not(check) => Check::Not(Box::new(check.link(find))),
            Self::All(checks) => Check::All(link_all(checks, find)),
            Self::Any(checks) => Check::Any(link_all(checks, find)),
        }
    }

    /// Shows every part of the check to `look`, itself first.
    pub(super) fn walk<'a>(&'a self, look: &mut impl FnMut(&'a Self)) {
        look(self);
        match self {
            Self::Not(check) => check.walk(look),
            Self::All(checks) | Self::Any(checks) => {
                for check in checks {
                    check.walk(look);
                }
            }
            _ => {}
        }
    }
}

fn link_all<R, S>(checks: Vec<Check<R>>, find: &mut impl FnMut(R) -> Option<S>) -> Vec<Check<S>> {
    checks.into_iter().map(|check| check.link(find)).collect()
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attribute(attribute) => attribute.name(),
            Self::Unknown(source) | Self::Literal { source, .. } => source,
        })
    }
}

impl<R: fmt::Display> fmt::Display for Check<R> {
    /// Prints the check in the rule language, as oslo.policy does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("@"),
            Self::Never => f.write_str("!"),
            Self::Role(role) => write!(f, "role:{role}"),
            Self::Rule(rule) => write!(f, "rule:{rule}"),
            Self::Matches(left, right) => write!(f, "{left}:{right}"),
            Self::Not(check) => write!(f, "not {check}"),
            Self::All(checks) => joined(f, checks, " and "),
            Self::Any(checks) => joined(f, checks, " or "),
        }
    }
}

fn joined<R: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    checks: &[Check<R>],
    operator: &str,
) -> fmt::Result {
    f.write_str("(")?;
    for (index, check) in checks.iter().enumerate() {
        if index > 0 {
            f.write_str(operator)?;
        }
        write!(f, "{check}")?;
    }
    f.write_str(")")
}
