//! The file of nusku's own tokens: who has which, and what it is good for.
//!
//! It holds a SHA-256 of each token and no token. A plain, fast hash is enough:
//! a token is 256 random bits, so there is nothing to guess and nothing that two
//! of them have in common. It also makes looking a token up safe against those
//! who measure time: they see how hashes differ, and cannot choose those.

mod edit;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::value::Datetime;

use crate::model::{Identity, ProjectId, Timestamp};

pub use edit::{NewToken, create, revoke};

/// What every token begins with, so that people and scanners know one.
const PREFIX: &str = "nsk_";

/// How the hash of a token begins in the file.
const ALGORITHM: &str = "sha256:";

/// The tokens of a file.
#[derive(Debug, Default)]
pub struct TokenFile {
    entries: Vec<TokenEntry>,
    by_hash: HashMap<[u8; 32], Bearer>,
}

/// What the file says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenEntry {
    /// Its name in the file and for `nusku token revoke`.
    pub id: String,
    /// The project of its bearer.
    pub project: String,
    /// The name of its bearer, if it has one.
    pub user: Option<String>,
    /// The roles of its bearer.
    pub roles: Vec<String>,
    /// When it ends, if it does.
    pub expires: Option<Timestamp>,
}

#[derive(Debug)]
struct Bearer {
    identity: Arc<Identity>,
    expires: Option<Timestamp>,
}

/// Why a file of tokens is of no use; one clear sentence.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the token file {}: {reason}", .path.display())]
pub struct TokenFileError {
    path: PathBuf,
    reason: String,
}

impl TokenFileError {
    fn new(path: &Path, reason: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), reason: reason.to_string() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    token: Vec<Written>,
}

/// An entry as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    hash: String,
    project: String,
    user: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    expires: Option<Datetime>,
}

impl TokenFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// If it is not there, or any of it is wrong: nobody's token is passed over.
    pub fn read(path: &Path) -> Result<Self, TokenFileError> {
        let text =
            std::fs::read_to_string(path).map_err(|error| TokenFileError::new(path, error))?;
        Self::parse(&text).map_err(|reason| TokenFileError::new(path, reason))
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    ///
    /// What is wrong with it, on one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document: Document = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            format!("line {line}: {}", error.message().replace('\n', ", "))
        })?;
        let mut file = Self::default();
        let mut ids = BTreeSet::new();
        for written in document.token {
            let id = written.id.clone();
            if !ids.insert(id.clone()) {
                return Err(format!("there are two tokens with the id {id:?}"));
            }
            file.add(written).map_err(|reason| format!("token {id:?}: {reason}"))?;
        }
        Ok(file)
    }

    fn add(&mut self, written: Written) -> Result<(), String> {
        let hash = written
            .hash
            .strip_prefix(ALGORITHM)
            .and_then(read_digits)
            .ok_or("hash is not \"sha256:\" and 64 hex digits")?;
        let expires = written
            .expires
            .map(|date| read_moment(&date.to_string()).ok_or("expires is no date with an offset"))
            .transpose()?;
        let Written { id, project, user, roles, .. } = written;
        let entry = TokenEntry { id, project, user, roles, expires };
        entry.check()?;
        let bearer = Bearer { identity: Arc::new(entry.identity()), expires };
        if self.by_hash.insert(hash, bearer).is_some() {
            return Err("another one has the same hash".to_owned());
        }
        self.entries.push(entry);
        Ok(())
    }

    /// Whose token this is, if it is anybody's and has not ended.
    #[must_use]
    pub fn bearer(&self, token: &str, now: Timestamp) -> Option<&Arc<Identity>> {
        self.bearer_until(token, now).map(|(identity, _)| identity)
    }

    /// The same, and when the token ends, if it does.
    #[must_use]
    pub fn bearer_until(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Option<(&Arc<Identity>, Option<Timestamp>)> {
        let bearer = self.by_hash.get(&hash(token))?;
        let is_over = bearer.expires.is_some_and(|expires| expires <= now);
        (!is_over).then_some((&bearer.identity, bearer.expires))
    }

    /// What the file says, in its order.
    #[must_use]
    pub fn entries(&self) -> &[TokenEntry] {
        &self.entries
    }
}

impl TokenEntry {
    fn check(&self) -> Result<(), String> {
        let project = ProjectId::new(&self.project);
        if self.id.is_empty() {
            return Err("id is empty".to_owned());
        }
        if self.project.trim().is_empty() || project.is_too_long() {
            return Err(format!("project has not 1 to {} characters", ProjectId::CHARS_MAX));
        }
        let texts = self.roles.iter().chain(&self.user);
        if texts.clone().any(|text| text.trim().is_empty()) {
            return Err("the user or a role is empty".to_owned());
        }
        // They stand in logs and listings.
        if texts.chain([&self.id, &self.project]).any(|text| text.contains(char::is_control)) {
            return Err("there is a control character in it".to_owned());
        }
        Ok(())
    }

    fn identity(&self) -> Identity {
        Identity {
            project_id: Some(ProjectId::new(&self.project)),
            user_id: self.user.clone(),
            user_name: self.user.clone(),
            roles: self.roles.clone(),
            is_admin_project: true,
            ..Identity::default()
        }
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The bytes of 64 hex digits.
fn read_digits(text: &str) -> Option<[u8; 32]> {
    let (high, low) = (text.len() == 64).then(|| text.split_at_checked(32)).flatten()?;
    let mut bytes = [0; 32];
    for (half, digits) in bytes.chunks_mut(16).zip([high, low]) {
        // A sign is the one thing that this reads and no digit is.
        let number = u128::from_str_radix(digits, 16).ok().filter(|_| !digits.contains('+'))?;
        half.copy_from_slice(&number.to_be_bytes());
    }
    Some(bytes)
}

fn write_digits(bytes: [u8; 32]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        use fmt::Write as _;
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads a moment: a date (its first second, UTC) or a date and time with an offset.
#[must_use]
pub fn read_moment(text: &str) -> Option<Timestamp> {
    let seconds = match text.parse::<NaiveDate>() {
        Ok(date) => date.and_time(NaiveTime::MIN).and_utc().timestamp(),
        Err(_) => DateTime::parse_from_rfc3339(text).ok()?.timestamp(),
    };
    Some(Timestamp::from_seconds(seconds))
}

/// Writes a moment as the file has it.
#[must_use]
pub fn write_moment(moment: Timestamp) -> String {
    let moment = DateTime::from_timestamp(moment.seconds(), 0).unwrap_or(DateTime::UNIX_EPOCH);
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn entry(rest: &str) -> String {
        format!("[[token]]\nid = \"one\"\nhash = \"{HASH}\"\nproject = \"acme\"\n{rest}")
    }

    fn refusal(text: &str) -> String {
        TokenFile::parse(text).expect_err(text)
    }

    #[test]
    fn a_token_is_found_by_its_hash_until_it_ends() {
        let text =
            entry("roles = [\"admin\"]\nuser = \"ann\"\nexpires = 2027-06-26T02:51:46+02:00\n");
        let file = TokenFile::parse(&text).unwrap();
        let end = Timestamp::from_seconds(1_813_971_106);
        let identity = file.bearer("test", Timestamp::from_seconds(end.seconds() - 1)).unwrap();
        assert_eq!(identity.project_id, Some(ProjectId::new("acme")));
        assert_eq!(identity.user_id.as_deref(), Some("ann"));
        assert_eq!(identity.roles, ["admin"]);
        assert_eq!(file.bearer("test", end), None);
        assert_eq!(file.bearer("Test", Timestamp::from_seconds(0)), None);
        assert_eq!(file.bearer(HASH, Timestamp::from_seconds(0)), None);
    }

    #[test]
    fn a_file_that_is_wrong_anywhere_is_refused_whole() {
        for (text, expected) in [
            ("token = 1", "line 1: "),
            ("\n\n[[token]]\nid = \"a\"", "line 3: missing field `hash`"),
            (&entry("role = [\"admin\"]\n"), "line 5: unknown field `role`"),
            (&entry("expires = 2027-01-01T00:00:00\n"), "token \"one\": expires is no date"),
            (&entry("expires = 00:00:00\n"), "token \"one\": expires is no date"),
            (&entry("roles = [\"\"]\n"), "token \"one\": the user or a role is empty"),
            (&entry("").replace("acme", " "), "token \"one\": project has not 1 to 256"),
            (&entry("").replace("9f86", "9f8"), "token \"one\": hash is not"),
            (&entry("").replace("9f86", "+f86"), "token \"one\": hash is not"),
            (&entry("").replace("sha256:", ""), "token \"one\": hash is not"),
            (&entry(&entry("")), "two tokens with the id \"one\""),
            (&entry(&entry("").replace("one", "two")), "token \"two\": another one has the same"),
        ] {
            let reason = refusal(text);
            assert!(reason.contains(expected), "{reason}");
            assert!(!reason.contains('\n'), "{reason}");
        }
        assert_eq!(TokenFile::parse("").unwrap().entries(), []);
    }

    #[test]
    fn moments_are_written_as_they_are_read() {
        let moment = Timestamp::from_seconds(1_813_971_106);
        assert_eq!(write_moment(moment), "2027-06-26T00:51:46Z");
        assert_eq!(read_moment("2027-06-26T00:51:46Z"), Some(moment));
        assert_eq!(read_moment("1970-01-02"), Some(Timestamp::from_seconds(86_400)));
        assert_eq!(read_moment("tomorrow"), None);
    }

    #[test]
    fn digits_and_bytes() {
        let digits = HASH.strip_prefix(ALGORITHM).unwrap();
        assert_eq!(write_digits(read_digits(digits).unwrap()), digits);
        assert_eq!(read_digits(digits), Some(hash("test")));
        assert_eq!(read_digits(&"é".repeat(32)), None);
    }
}
