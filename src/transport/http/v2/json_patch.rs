//! The body of a queue's update: operations on its metadata.
//!
//! A dialect of JSON Patch from before its RFC: three operations, paths of
//! exactly two tokens, and blanks around tokens that do not count.

use std::fmt::Display;

use actix_web::HttpRequest;
use actix_web::http::header;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::service::MetadataChange;
use crate::transport::http::body;
use crate::transport::http::error::ApiError;

/// The only media type that is taken, without parameters.
const MEDIA_TYPE: &str = "application/openstack-messaging-v2.0-json-patch";

/// Reads the changes that a request asks for.
pub fn parse(request: &HttpRequest, body: Option<&Bytes>) -> Result<Vec<MetadataChange>, ApiError> {
    let given = request.headers().get(header::CONTENT_TYPE);
    if given.is_none_or(|given| given.as_bytes() != MEDIA_TYPE.as_bytes()) {
        return Err(ApiError::unsupported_media_type(format!(
            "Accepted media type for PATCH: {{'Accept-Patch': '{MEDIA_TYPE}'}}."
        )));
    }
    match body.filter(|body| !body.is_empty()) {
        Some(body) => changes(body),
        None => invalid("PATCH body could not be empty for update."),
    }
}

/// Reads the operations, whatever the media type.
pub fn changes(body: &Bytes) -> Result<Vec<MetadataChange>, ApiError> {
    match body::document(body)? {
        Value::Array(operations) => operations.into_iter().map(change).collect(),
        // Zaqar fails with a 503 for an object.
        _ => invalid(body::WRONG_TYPE),
    }
}

fn change(operation: Value) -> Result<MetadataChange, ApiError> {
    let Value::Object(mut operation) = operation else {
        return invalid("Operations must be JSON objects.");
    };
    let op = op(&operation)?;
    let [root, key] = path(&operation)?;
    if op == Op::Remove {
        return Ok(MetadataChange::Remove(key));
    }
    if !root.eq_ignore_ascii_case("metadata") {
        return invalid("The root of path must be metadata, e.g /metadata/key.");
    }
    match (op, operation.shift_remove("value")) {
        (Op::Add, Some(value)) => Ok(MetadataChange::Add(key, value)),
        (Op::Replace, Some(value)) => Ok(MetadataChange::Replace(key, value)),
        (Op::Remove, _) => Ok(MetadataChange::Remove(key)),
        (Op::Add, None) => invalid("Operation \"add\" requires a member named \"value\"."),
        (Op::Replace, None) => invalid("Operation \"replace\" requires a member named \"value\"."),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Remove,
    Replace,
}

fn op(operation: &Map<String, Value>) -> Result<Op, ApiError> {
    const CHOICE: &str = "It must be one of the following: add, remove, replace.";
    match operation.get("op") {
        None => invalid(format!("Unable to find `op` in JSON Schema change. {CHOICE}")),
        Some(Value::String(op)) if op == "add" => Ok(Op::Add),
        Some(Value::String(op)) if op == "remove" => Ok(Op::Remove),
        Some(Value::String(op)) if op == "replace" => Ok(Op::Replace),
        Some(Value::String(op)) => invalid(format!("Invalid operation: `{op}`. {CHOICE}")),
        Some(op) => invalid(format!("Invalid operation: `{op}`. {CHOICE}")),
    }
}

/// The two tokens of the path.
fn path(operation: &Map<String, Value>) -> Result<[String; 2], ApiError> {
    let pointer = match operation.get("path") {
        None => return invalid("Unable to find 'path' in JSON Schema change"),
        Some(Value::String(pointer)) => pointer,
        // Zaqar fails with a 503 here.
        Some(other) => return invalid(format!("Pointer `{other}` is not a string.")),
    };
    check_pointer(pointer)?;
    let tokens: Vec<_> = pointer
        .trim_start_matches('/')
        .split('/')
        .map(|token| token.replace("~1", "/").replace("~0", "~").trim().to_owned())
        .collect();
    <[String; 2]>::try_from(tokens).or_else(|tokens| {
        let path = tokens.join("/");
        invalid(format!("Invalid JSON pointer for this resource: '/{path}, e.g /metadata/key'"))
    })
}

fn check_pointer(pointer: &str) -> Result<(), ApiError> {
    let Some(rest) = pointer.strip_prefix('/') else {
        return invalid(format!("Pointer `{pointer}` does not start with \"/\"."));
    };
    // Blanks between two slashes are as good as nothing.
    let slashes = rest.match_indices('/').map(|(at, _)| &rest[at + 1..]);
    if slashes.into_iter().any(|after| after.trim_start().starts_with('/')) {
        return invalid(format!("Pointer `{pointer}` contains adjacent \"/\"."));
    }
    if rest.ends_with('/') {
        return invalid(format!("Pointer `{pointer}` end with \"/\"."));
    }
    if rest.split('~').skip(1).any(|after| !after.starts_with(['0', '1'])) {
        return invalid(format!(
            "Pointer `{pointer}` contains \"~\" not part of a recognized escape sequence."
        ));
    }
    Ok(())
}

fn invalid<T>(sentence: impl Display) -> Result<T, ApiError> {
    Err(ApiError::invalid_body(sentence.to_string()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::changes;
    use crate::service::MetadataChange::{Add, Remove, Replace};

    fn sentence(text: &str) -> String {
        let fault = changes(&Bytes::copy_from_slice(text.as_bytes())).unwrap_err().to_string();
        fault.strip_prefix("400 Invalid request body: ").unwrap().to_owned()
    }

    #[test]
    fn operations_in_order() {
        let read = changes(&Bytes::from_static(
            br#"[{"op": "add", "path": "/metadata/a", "value": {"x": null}},
                {"op": "replace", "path": "/MetaData / b~1c~0 ", "value": null, "more": 1},
                {"op": "remove", "path": "/foo/up"}]"#,
        ));
        assert_eq!(
            read.unwrap(),
            [
                Add("a".into(), serde_json::json!({"x": null})),
                Replace("b/c~".into(), serde_json::Value::Null),
                Remove("up".into()),
            ]
        );
        assert_eq!(changes(&Bytes::from_static(b"[]")).unwrap(), []);
    }

    #[test]
    fn every_mistake_has_its_sentence() {
        const CHOICE: &str = "It must be one of the following: add, remove, replace.";
        for (operation, expected) in [
            ("5", "Operations must be JSON objects."),
            ("{}", &*format!("Unable to find `op` in JSON Schema change. {CHOICE}")),
            (r#"{"op": "move"}"#, &format!("Invalid operation: `move`. {CHOICE}")),
            (r#"{"op": 5}"#, &format!("Invalid operation: `5`. {CHOICE}")),
            (r#"{"op": "add"}"#, "Unable to find 'path' in JSON Schema change"),
            (r#"{"op": "add", "path": 5}"#, "Pointer `5` is not a string."),
            (
                r#"{"op": "add", "path": "/foo/a", "value": 1}"#,
                "The root of path must be metadata, e.g /metadata/key.",
            ),
            (
                r#"{"op": "add", "path": "/metadata/a"}"#,
                "Operation \"add\" requires a member named \"value\".",
            ),
            (
                r#"{"op": "replace", "path": "/metadata/a"}"#,
                "Operation \"replace\" requires a member named \"value\".",
            ),
        ] {
            assert_eq!(sentence(&format!("[{operation}]")), expected, "{operation}");
        }
        assert_eq!(sentence("{}"), "Document type not supported.");
    }

    #[test]
    fn every_bad_path_has_its_sentence() {
        for (path, expected) in [
            ("metadata/a", "Pointer `metadata/a` does not start with \"/\"."),
            ("", "Pointer `` does not start with \"/\"."),
            ("/metadata//a", "Pointer `/metadata//a` contains adjacent \"/\"."),
            ("/metadata/ /a", "Pointer `/metadata/ /a` contains adjacent \"/\"."),
            ("/metadata/a/", "Pointer `/metadata/a/` end with \"/\"."),
            (
                "/metadata/a~2",
                "Pointer `/metadata/a~2` contains \"~\" not part of a recognized escape sequence.",
            ),
            (
                "/metadata/a~",
                "Pointer `/metadata/a~` contains \"~\" not part of a recognized escape sequence.",
            ),
            (
                "/metadata/a/b",
                "Invalid JSON pointer for this resource: '/metadata/a/b, e.g /metadata/key'",
            ),
            ("/metadata", "Invalid JSON pointer for this resource: '/metadata, e.g /metadata/key'"),
        ] {
            let operation = format!(r#"[{{"op": "add", "path": "{path}", "value": 1}}]"#);
            assert_eq!(sentence(&operation), expected, "{path}");
        }
    }
}
