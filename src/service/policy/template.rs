//! What stands right of the colon: text in which `%(name)s` stands for
//! something of the target.

use std::borrow::Cow;
use std::fmt;

use super::Target;

/// Text with places to be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Key(Key),
    /// A place for something that no target has.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    ProjectId,
    QueueName,
    TopicName,
}

impl Key {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "project_id" => Some(Self::ProjectId),
            "queue_name" => Some(Self::QueueName),
            "topic_name" => Some(Self::TopicName),
            _ => None,
        }
    }
}

impl Template {
    /// Reads Python's format: `%(name)s` is a place, `%%` a percent sign.
    ///
    /// # Errors
    ///
    /// For any other use of a percent sign, at which oslo.policy would fail in
    /// the middle of a request.
    pub(super) fn parse(source: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some((before, after)) = rest.split_once('%') {
            text.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                text.push('%');
                rest = after;
                continue;
            }
            let place = after.strip_prefix('(').and_then(|after| after.split_once(")s"));
            let Some((name, after)) = place.filter(|(name, _)| !name.contains(['(', ')'])) else {
                return Err(format!("{source:?} has a % that is neither %(NAME)s nor %%"));
            };
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(Key::parse(name).map_or(Part::Unknown, Part::Key));
            rest = after;
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self { source: source.to_owned(), parts })
    }

    /// The text for `target`; `None` if something is asked for that it has not.
    pub(super) fn fill<'a>(&'a self, target: &Target<'a>) -> Option<Cow<'a, str>> {
        match self.parts.as_slice() {
            [] => Some(Cow::Borrowed("")),
            [only] => only.fill(target).map(Cow::Borrowed),
            parts => parts.iter().map(|part| part.fill(target)).collect(),
        }
    }

    /// Whether it asks for something that no target has.
    pub(super) fn is_never_filled(&self) -> bool {
        self.parts.contains(&Part::Unknown)
    }
}

impl Part {
    fn fill<'a>(&'a self, target: &Target<'a>) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Key(Key::ProjectId) => target.project_id,
            Self::Key(Key::QueueName) => target.queue_name,
            Self::Key(Key::TopicName) => target.topic_name,
            Self::Unknown => None,
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::Template;
    use crate::service::policy::Target;

    #[test]
    fn places_are_filled_in() {
        let target = Target { project_id: Some("blue"), queue_name: None, topic_name: None };
        let filled = |source: &str| {
            Template::parse(source).unwrap().fill(&target).map(std::borrow::Cow::into_owned)
        };
        assert_eq!(filled("").as_deref(), Some(""));
        assert_eq!(filled("plain").as_deref(), Some("plain"));
        assert_eq!(filled("%(project_id)s").as_deref(), Some("blue"));
        assert_eq!(filled("a%%-%(project_id)s-z").as_deref(), Some("a%-blue-z"));
        assert_eq!(filled("%(queue_name)s"), None);
        assert_eq!(filled("%(color)s"), None);
    }

    #[test]
    fn other_formats_are_refused() {
        for source in ["%", "50%", "%s", "%(project_id)d", "%(project_id", "%(a(b)c)s"] {
            assert!(Template::parse(source).is_err(), "{source}");
        }
    }
}
