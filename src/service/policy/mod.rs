//! Who may do what: rules in the language of oslo.policy.
//!
//! A rule is a text such as `role:admin or project_id:%(project_id)s`; every
//! action of the service has one. [`Policy::new`] puts the rules of files over
//! the built-in ones and compiles them, once; to ask is then a look into an
//! array and, for a rule that is open to all, nothing more.
//!
//! What differs from oslo.policy: rules it does not understand are refused and
//! not taken for "no"; nothing is asked of other servers (`http:`); circles of
//! references are refused; the target has the project and the queue.

mod attribute;
mod book;
mod check;
mod file;
mod parse;
#[cfg(test)]
mod property;
mod rules;
mod template;
#[cfg(test)]
mod tests;

use std::fmt;

pub use book::{PolicyBook, PolicyError, load};
pub use file::{RuleText, WrittenRule, read};
pub use rules::RuleFile;

use self::check::{Check, Left};
use crate::model::Identity;

/// Rules that are there to be referred to; names and texts are Zaqar's. There the
/// second is never fulfilled, for the target has no project.
const HELPERS: [(&str, &str); 2] = [
    ("context_is_admin", "role:admin"),
    ("admin_or_owner", "is_admin:True or project_id:%(project_id)s"),
];

/// What an action is done to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Target<'a> {
    /// The project, if the action is one of a project.
    pub project_id: Option<&'a str>,
    /// The queue, if the action is one of a queue.
    pub queue_name: Option<&'a str>,
    /// The topic, if the action is one of a topic.
    pub topic_name: Option<&'a str>,
}

/// Compiled rules; without any, nobody may do anything.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Those of the actions first, in their order.
    rules: Vec<Rule>,
    warnings: Vec<String>,
}

#[derive(Clone, Debug)]
struct Rule {
    name: String,
    check: Check<usize>,
    text: RuleText,
    /// Where it was written, if not here.
    file: Option<String>,
}

/// What is wrong with a file, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    line: usize,
    rule: Option<String>,
    reason: String,
}

/// What is wrong with which file; one clear sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}, {fault}")]
pub struct FileFault {
    /// Where the file lies.
    pub path: String,
    /// What is wrong there.
    pub fault: Fault,
}

impl Policy {
    /// Puts the rules of `files`, in their order, over those of the `actions`,
    /// each a name and a rule, and of [`HELPERS`]. A reference to a rule that
    /// does not exist means the rule called `default_rule`; if there is none
    /// either, it is never fulfilled.
    ///
    /// # Errors
    ///
    /// A rule that is not understood, refers to itself, or would take too long.
    pub fn new(
        actions: &[(&str, &str)],
        files: &[RuleFile],
        default_rule: &str,
    ) -> Result<Self, FileFault> {
        rules::compile(actions, files, default_rule)
    }

    /// Whether the rule of the action at `index` of those that the policy was
    /// made with lets `caller` do it. Without such an action: no.
    #[must_use]
    pub fn allows(&self, index: usize, caller: &Identity, target: &Target) -> bool {
        self.rules.get(index).is_some_and(|rule| self.holds(&rule.check, caller, target))
    }

    /// Whether that rule lets everybody pass, so that nobody needs to ask who it is.
    #[must_use]
    pub fn is_open(&self, index: usize) -> bool {
        self.rules.get(index).is_some_and(|rule| matches!(rule.check, Check::Always))
    }

    /// Whether the rule of that name is fulfilled; `None` if there is none.
    #[must_use]
    pub fn allows_by_name(&self, name: &str, caller: &Identity, target: &Target) -> Option<bool> {
        let rule = self.rules.iter().find(|rule| rule.name == name)?;
        Some(self.holds(&rule.check, caller, target))
    }

    /// What can be carried out but was surely meant in another way: one
    /// sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Depth and cost have bounds, see [`rules`].
    fn holds(&self, check: &Check<usize>, caller: &Identity, target: &Target) -> bool {
        match check {
            Check::Always => true,
            Check::Never => false,
            Check::Role(role) => role.fill(target).is_some_and(|role| has_role(caller, &role)),
            Check::Rule(index) => self.allows(*index, caller, target),
            Check::Matches(left, right) => {
                right.fill(target).is_some_and(|value| left.matches(caller, &value))
            }
            Check::Not(check) => !self.holds(check, caller, target),
            Check::All(checks) => checks.iter().all(|check| self.holds(check, caller, target)),
            Check::Any(checks) => checks.iter().any(|check| self.holds(check, caller, target)),
        }
    }
}

impl Left {
    fn matches(&self, caller: &Identity, value: &str) -> bool {
        match self {
            Self::Attribute(attribute) => attribute.matches(caller, value),
            Self::Unknown(_) => false,
            Self::Literal { printed, .. } => printed == value,
        }
    }
}

/// In whatever case.
fn has_role(caller: &Identity, role: &str) -> bool {
    caller.roles.iter().any(|given| {
        given == role || given.eq_ignore_ascii_case(role) || {
            let is_ascii = given.is_ascii() && role.is_ascii();
            !is_ascii && given.to_lowercase() == role.to_lowercase()
        }
    })
}

impl fmt::Display for Policy {
    /// Prints the rules in force as a file that [`read`] takes back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rule in &self.rules {
            if let Some(file) = &rule.file {
                writeln!(f, "# from {file}")?;
            }
            let name = serde_json::Value::from(rule.name.as_str());
            writeln!(f, "{name}: {}", rule.text)?;
        }
        Ok(())
    }
}

impl fmt::Display for RuleText {
    /// As JSON, which YAML takes too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => serde_json::Value::from(text.as_str()).fmt(f),
            Self::Lists(lists) => serde_json::Value::from(lists.clone()).fmt(f),
        }
    }
}

impl Fault {
    fn new(line: usize, reason: String) -> Self {
        Self { line, rule: None, reason }
    }

    fn of_rule(mut self, rule: &str) -> Self {
        self.rule = Some(rule.to_owned());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(rule) = &self.rule {
            write!(f, ", rule {rule}")?;
        }
        write!(f, ": {}", self.reason)
    }
}
