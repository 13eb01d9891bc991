//! What an import gives: a file of settings, and a report without any value.

use std::fmt::Write as _;

use toml::Value;

use super::options::{self, Fate};
use super::{Carried, Finding, Import, Judgement};
use crate::config::is_secret;
use crate::config::{ConfigError, shown_uri};

impl Import {
    /// The settings as a TOML file. Without `reveal_secrets`, a comment stands
    /// in the place of each secret, and stars in that of a password.
    #[must_use]
    pub fn to_toml(&self, reveal_secrets: bool) -> String {
        let mut text = "# Made of a configuration of Zaqar.\n".to_owned();
        let is_top = |key: &str| !key.contains('.');
        let (top, rest): (Vec<_>, Vec<_>) = self.settings.iter().partition(|(key, _)| is_top(key));
        let mut open = "";
        for (key, carried) in top.into_iter().chain(rest) {
            let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
            if section != open {
                let _ = writeln!(text, "\n[{section}]");
                open = section;
            }
            text.push_str(&line(key, name, carried, reveal_secrets));
        }
        text
    }

    /// What became of each option, for people.
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = String::new();
        let settings = self.settings.iter();
        let carried = settings.map(|(key, carried)| format!("{key} ({})", carried.from));
        section(&mut text, "Carried over:", carried);
        for (title, judgement) in [
            ("Not options of Zaqar:", Judgement::Unknown),
            ("Of no use here:", Judgement::Needless),
            ("Without an equivalent:", Judgement::Lost),
            ("Standing in the way:", Judgement::Blocking),
        ] {
            let findings = self.of(judgement).map(|finding| {
                let Finding { option, place, note, .. } = finding;
                format!("{option} ({place}): {note}")
            });
            section(&mut text, title, findings);
        }
        text
    }
}

fn line(key: &str, name: &str, carried: &Carried, reveal_secrets: bool) -> String {
    let Carried { value, from } = carried;
    if reveal_secrets {
        return format!("# {from}\n{name} = {value}\n");
    }
    if is_secret(key) {
        return format!(
            "# {from}\n# {name} is a secret; --output FILE and --reveal-secrets carry it over\n"
        );
    }
    match value.as_str() {
        Some(uri) if uri.contains("://") => {
            format!("# {from}\n{name} = {}\n", Value::from(shown_uri(uri)))
        }
        _ => format!("# {from}\n{name} = {value}\n"),
    }
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return;
    }
    // Writing to a string does not fail.
    let _ = writeln!(text, "{}{title}", if text.is_empty() { "" } else { "\n" });
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
}

/// Every option of Zaqar and what becomes of it, as a table in Markdown.
#[must_use]
pub fn table() -> String {
    let mut text =
        "| option of Zaqar | setting of nusku | if none, why |\n|---|---|---|\n".to_owned();
    for (section, row) in options::all() {
        let (setting, why) = match row.fate {
            Fate::Copied(keys, _) | Fate::Combined(keys) => (format!("`{keys}`"), ""),
            Fate::Needless(why) => ("not needed".to_owned(), why),
            Fate::Lost(why) => ("none".to_owned(), why),
            Fate::Blocking(why) => ("none, stands in the way".to_owned(), why),
        };
        let _ = writeln!(text, "| `[{section}] {}` | {setting} | {why} |", row.name);
    }
    text
}

/// The built-in defaults as values.
pub(super) fn parse(text: &str) -> Result<Value, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::Syntax {
        place: "built-in defaults".to_owned(),
        reason: error.message().to_owned(),
    })
}
