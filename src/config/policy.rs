//! `[policy]`: files that say who may do what.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::validate::{Check, check_text, fault};

/// Rules that go over the built-in ones.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySettings {
    /// A YAML file with rules.
    pub file: Option<String>,
    /// Directories whose files are read after it, in the order of their names.
    pub dirs: Vec<String>,
    /// The rule that stands in for rules that are referred to and not there.
    pub default_rule: String,
}

impl PolicySettings {
    /// The files and directories whose changes are taken notice of.
    #[must_use]
    pub fn watched_files(&self) -> Vec<PathBuf> {
        self.file.iter().chain(&self.dirs).map(PathBuf::from).collect()
    }
}

pub(super) fn check(policy: &PolicySettings) -> Check {
    check_text("policy.file", policy.file.as_deref())?;
    if policy.dirs.iter().any(String::is_empty) {
        return Err(fault("policy.dirs", "a list with an empty text", "a list of directories"));
    }
    check_text("policy.default_rule", Some(&policy.default_rule))
}
