//! Projects, queues and their metadata.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

/// The tenant that owns queues: any text of 1 to 256 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(Arc<str>);

impl ProjectId {
    /// The longest project id, in characters.
    pub const CHARS_MAX: usize = 256;

    /// A project id, whatever its length: Zaqar checks the length only where a
    /// queue is named, see [`ProjectId::is_too_long`].
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether no queue may be named in this project.
    #[must_use]
    pub fn is_too_long(&self) -> bool {
        self.0.len() > Self::CHARS_MAX && self.0.chars().count() > Self::CHARS_MAX
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a queue: 1 to 64 of `A–Z a–z 0–9 _ - .`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(Arc<str>);

impl QueueName {
    /// The longest name, in characters.
    pub const CHARS_MAX: usize = 64;

    /// Reads a name; `None` if it is empty, too long or has another character.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.');
        let fits = (1..=Self::CHARS_MAX).contains(&text.len());
        (fits && text.bytes().all(legal)).then(|| Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one queue of one project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueKey {
    /// The owner.
    pub project: ProjectId,
    /// The queue.
    pub name: QueueName,
}

impl fmt::Display for QueueKey {
    /// For people and logs only: a project may itself contain a slash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.project, self.name)
    }
}

/// What is known of a queue beside its messages: a JSON object, kept whole
/// (order, unknown keys and explicit nulls included).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata(Map<String, Value>);

/// The text is not a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("queue metadata is not a JSON object")]
pub struct NotAnObject;

impl Metadata {
    /// The metadata with these entries.
    #[must_use]
    pub fn new(entries: Map<String, Value>) -> Self {
        Self(entries)
    }

    /// Reads the stored form.
    ///
    /// # Errors
    ///
    /// [`NotAnObject`] if `text` is anything but a JSON object.
    pub fn from_text(text: &str) -> Result<Self, NotAnObject> {
        serde_json::from_str(text).map(Self).map_err(|_| NotAnObject)
    }

    /// The form to store.
    #[must_use]
    pub fn to_text(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    /// The entries.
    #[must_use]
    pub fn entries(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The entries, to be changed.
    pub fn entries_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }
}

/// A queue in a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueRecord {
    /// Its name.
    pub name: QueueName,
    /// Its metadata as stored, without defaults.
    pub metadata: Arc<Metadata>,
}

/// Which queues of a project to list, in ascending byte order of their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueFilter {
    /// Only names strictly greater than this text, which need not be a queue.
    pub marker: Option<String>,
    /// The most queues to return.
    pub limit: u32,
    /// Only names that contain this text, literally.
    pub name_contains: Option<String>,
    /// Only queues whose stored metadata equals all of these.
    pub metadata: Vec<MetadataFilter>,
}

/// One condition on stored metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataFilter {
    /// The key; one that is not stored does not match.
    pub key: String,
    /// The value it must equal.
    pub value: Value,
}

impl QueueFilter {
    /// Whether a queue passes the name and metadata conditions.
    #[must_use]
    pub fn matches(&self, name: &str, metadata: &Metadata) -> bool {
        self.name_contains.as_deref().is_none_or(|part| name.contains(part))
            && self.metadata.iter().all(|f| metadata.entries().get(&f.key) == Some(&f.value))
    }
}

#[cfg(test)]
mod tests {
    use super::{Metadata, ProjectId, QueueName};

    #[test]
    fn queue_names_keep_to_their_alphabet() {
        for good in ["q", "A-b_c.9", ".", "..", &"x".repeat(64)] {
            assert!(QueueName::parse(good).is_some(), "{good}");
        }
        for bad in ["", "a b", "a/b", "q\n", "zoë", &"x".repeat(65)] {
            assert!(QueueName::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn projects_are_measured_in_characters() {
        assert!(!ProjectId::new(&"é".repeat(256)).is_too_long());
        assert!(ProjectId::new(&"é".repeat(257)).is_too_long());
    }

    #[test]
    fn metadata_keeps_order_and_nulls() {
        let text = r#"{"z":1,"a":null,"m":{"x":[1.5]}}"#;
        assert_eq!(Metadata::from_text(text).unwrap().to_text(), text);
        assert!(Metadata::from_text("[]").is_err());
    }
}
