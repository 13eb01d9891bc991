//! What a mail that asks for a confirmation says.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::service::SignedUrl;
use crate::service::notification::channel::Notification;

/// All that may mean something in a query is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The link to the operator's page, with what it needs to confirm.
pub fn link(
    base: &str,
    notification: &Notification,
    url: &SignedUrl,
    endpoint: Option<&str>,
) -> String {
    let mut link = base.to_owned();
    let mut separator = if base.contains('?') { '&' } else { '?' };
    for (name, value) in [
        ("Signature", url.signature.as_str()),
        ("Methods", &url.methods.join(",")),
        ("Paths", &url.paths.join(",")),
        ("Project", notification.project.as_str()),
        ("Expires", &url.expires),
        ("Url", endpoint.unwrap_or_default()),
        ("Queue", notification.queue.as_str()),
    ] {
        link.push(separator);
        link.extend([name, "="]);
        link.extend(utf8_percent_encode(value, ENCODED));
        separator = '&';
    }
    link
}

/// Fills `{0}`, `{1}` and so on; `{{` and `}}` are braces, as in Python.
pub fn fill(template: &str, fields: &[&str]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let field = from.strip_prefix('{').and_then(|it| it.split_once('}'));
        let field =
            field.and_then(|(name, rest)| Some((*fields.get(name.parse::<usize>().ok()?)?, rest)));
        (text, rest) = match (field, from.strip_prefix("{{"), from.strip_prefix("}}")) {
            (Some((field, rest)), _, _) => (text + field, rest),
            (None, Some(rest), _) => (text + "{", rest),
            (None, None, Some(rest)) => (text + "}", rest),
            // What is no place stays as it is.
            (None, None, None) => (text + &from[..1], &from[1..]),
        };
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::channels::tests::notification;

    #[test]
    fn places_are_filled_once() {
        let fill = |template| fill(template, &["q", "{2}", "l"]);
        assert_eq!(fill("{0} {1} {2} {0}"), "q {2} l q");
        assert_eq!(fill("{{0}} }} { {3} {x} é{0}"), "{0} } { {3} {x} éq");
        assert_eq!(fill(""), "");
        assert_eq!(fill("{"), "{");
    }

    #[test]
    fn a_link_is_one_whatever_is_in_it() {
        let url = SignedUrl {
            paths: vec!["/v2/queues/q/subscriptions/s1/confirm".to_owned()],
            methods: vec!["PUT".to_owned()],
            expires: "2031-05-01T12:00:00".to_owned(),
            signature: "82407b".to_owned(),
        };
        let mut notification = notification("mailto:a@b.c", &json!({}));
        notification.project = crate::model::ProjectId::new("a&b=c é");
        let text = link("https://c.example/x", &notification, &url, Some("https://m.example/v2?"));
        assert_eq!(
            text,
            "https://c.example/x?Signature=82407b&Methods=PUT\
             &Paths=%2Fv2%2Fqueues%2Fq%2Fsubscriptions%2Fs1%2Fconfirm&Project=a%26b%3Dc%20%C3%A9\
             &Expires=2031-05-01T12%3A00%3A00&Url=https%3A%2F%2Fm.example%2Fv2%3F&Queue=orders"
        );
        let text = link("https://c.example/x?y=1", &notification, &url, None);
        assert!(text.starts_with("https://c.example/x?y=1&Signature=82407b&"), "{text}");
        assert!(text.ends_with("&Url=&Queue=orders"), "{text}");
    }
}
