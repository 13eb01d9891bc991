//! The body of a webhook's request: the document, or a text of the subscriber's own
//! with the document in it.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// What stands for the document, with the quotes that make it a text of JSON.
const PLACEHOLDER: &str = "\"$zaqar_message$\"";

/// The largest body that a template may grow to, in bytes, if it takes the document
/// more than once.
const LARGEST_BODY: usize = 8 << 20;

/// The body of the request, as the options of the subscription say.
///
/// # Errors
///
/// Why there is none.
pub fn body<'a>(options: &Map<String, Value>, document: &'a str) -> Result<Cow<'a, str>, String> {
    let template = match options.get("post_data") {
        None | Some(Value::Null) => return Ok(Cow::Borrowed(document)),
        // As Zaqar: an empty one is none.
        Some(Value::String(template)) if template.is_empty() => return Ok(Cow::Borrowed(document)),
        Some(Value::String(template)) => template,
        Some(_) => return Err("the option post_data is no string".to_owned()),
    };
    let copies = template.matches(PLACEHOLDER).count();
    let size = copies.saturating_mul(document.len()).saturating_add(template.len());
    if copies > 1 && size > LARGEST_BODY {
        return Err(format!(
            "with the message in {copies} places, post_data is larger than {LARGEST_BODY} bytes"
        ));
    }
    Ok(Cow::Owned(template.replace(PLACEHOLDER, document)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(post_data: &Value) -> Result<String, String> {
        let Value::Object(options) = json!({ "post_data": post_data }) else { unreachable!() };
        body(&options, "{\"ttl\": 60}").map(Cow::into_owned)
    }

    #[test]
    fn the_document_takes_the_place_of_a_quoted_word() {
        for (template, expected) in [
            (json!(null), "{\"ttl\": 60}"),
            (json!(""), "{\"ttl\": 60}"),
            (json!("{\"a\": \"$zaqar_message$\"}"), "{\"a\": {\"ttl\": 60}}"),
            (json!("[\"$zaqar_message$\", \"$zaqar_message$\"]"), "[{\"ttl\": 60}, {\"ttl\": 60}]"),
            (json!("{\"a\": \"x$zaqar_message$\"}"), "{\"a\": \"x$zaqar_message$\"}"),
            (json!("$zaqar_message$"), "$zaqar_message$"),
            (json!("nothing"), "nothing"),
        ] {
            assert_eq!(filled(&template), Ok(expected.to_owned()));
        }
        assert_eq!(body(&Map::new(), "{}").unwrap(), "{}");
    }

    #[test]
    fn what_the_document_says_is_not_filled_again() {
        let Value::Object(options) = json!({ "post_data": PLACEHOLDER }) else { unreachable!() };
        let document = format!("{{\"body\": {PLACEHOLDER}}}");
        assert_eq!(body(&options, &document).unwrap(), document);
    }

    #[test]
    fn a_template_that_is_none_and_one_that_grows_beyond_measure() {
        assert_eq!(filled(&json!({"a": 1})), Err("the option post_data is no string".to_owned()));
        let Value::Object(options) = json!({ "post_data": PLACEHOLDER.repeat(3000) }) else {
            unreachable!()
        };
        assert!(body(&options, &"x".repeat(262_144)).unwrap_err().contains("3000 places"));
        assert!(body(&options, "x").is_ok());
    }
}
