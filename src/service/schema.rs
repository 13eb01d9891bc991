//! The shape of the documents that describe pools and flavors, as JSON schemas.
//!
//! What is said of a document that does not fit never repeats a value: a URI may
//! have a password in it.

use std::sync::LazyLock;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use super::{Error, Result};
use crate::storage;

/// Longest URI of a pool, and longest name of a flavor that is looked at, in
/// characters.
const TEXT_MAX: u32 = 255;

/// A schema, compiled when it is first needed.
pub(super) struct Schema(LazyLock<Option<Validator>>);

/// A pool to be made.
pub(super) static POOL: Schema = Schema(LazyLock::new(|| {
    compile(json!({
        "type": "object",
        "properties": pool_members(),
        "required": ["uri", "weight"],
        "additionalProperties": false,
    }))
}));

/// What is to change about a pool; other members are ignored.
pub(super) static POOL_CHANGE: Schema =
    Schema(LazyLock::new(|| compile(json!({"type": "object", "properties": pool_members()}))));

/// A flavor to be made.
pub(super) static FLAVOR: Schema = Schema(LazyLock::new(|| {
    compile(json!({
        "type": "object",
        "properties": {"pool_list": pool_list(), "capabilities": {"type": "object"}},
        "required": ["pool_list"],
        "additionalProperties": false,
    }))
}));

/// What is to change about a flavor; other members are ignored.
pub(super) static FLAVOR_CHANGE: Schema = Schema(LazyLock::new(|| {
    compile(json!({"type": "object", "properties": {"pool_list": pool_list()}}))
}));

fn pool_members() -> Value {
    json!({
        "weight": {"type": "integer", "minimum": 0, "maximum": u32::MAX},
        "uri": {"type": "string", "maxLength": TEXT_MAX},
        "flavor": {"type": "string", "maxLength": TEXT_MAX},
        "options": {"type": "object"},
    })
}

fn pool_list() -> Value {
    json!({"type": "array", "items": {"type": "string"}})
}

#[allow(clippy::needless_pass_by_value, reason = "a schema is written where it is compiled")]
fn compile(schema: Value) -> Option<Validator> {
    jsonschema::options().with_draft(Draft::Draft4).build(&schema).ok()
}

impl Schema {
    /// Checks a document.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidBody`] for the first thing that does not fit, with the
    /// name of the member and what it may be.
    pub(super) fn check(&self, document: &Value) -> Result<()> {
        let Some(validator) = &*self.0 else {
            return Err(storage::Error::Unavailable("a schema is broken".to_owned()).into());
        };
        let Err(fault) = validator.validate(document) else { return Ok(()) };
        let member = fault.instance_path().to_string();
        let said = fault.masked();
        Err(Error::InvalidBody(match member.trim_start_matches('/') {
            "" => said.to_string(),
            member => format!("{member}: {said}"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_refused(schema: &Schema, document: &Value, said: &str) {
        assert_eq!(schema.check(document), Err(Error::InvalidBody(said.to_owned())), "{document}");
    }

    #[test]
    fn a_pool_has_a_uri_and_a_weight() {
        for good in [
            json!({"uri": "store://a", "weight": 0}),
            json!({"uri": "x", "weight": 4_294_967_295_u32, "flavor": "", "options": {"a": 1}}),
        ] {
            assert_eq!(POOL.check(&good), Ok(()), "{good}");
        }
        let pool = |member: &str, value: Value| {
            let mut pool = json!({"uri": "store://u:sesame@a", "weight": 1});
            pool[member] = value;
            pool
        };
        let long = format!("store://u:sesame@{}", "a".repeat(300));
        for (document, said) in [
            (json!({"weight": 1}), "\"uri\" is a required property"),
            (json!({"uri": "a"}), "\"weight\" is a required property"),
            (pool("weight", json!(-1)), "weight: value is less than the minimum of 0"),
            (
                pool("weight", json!(4_294_967_296_u64)),
                "weight: value is greater than the maximum of 4294967295",
            ),
            (pool("weight", json!(1.5)), "weight: value is not of type \"integer\""),
            (pool("weight", json!(true)), "weight: value is not of type \"integer\""),
            (pool("flavor", json!(null)), "flavor: value is not of type \"string\""),
            (pool("options", json!([])), "options: value is not of type \"object\""),
            (pool("uri", json!(long)), "uri: value is longer than 255 characters"),
            (
                pool("group", json!("g")),
                "Additional properties are not allowed ('group' was unexpected)",
            ),
        ] {
            assert_refused(&POOL, &document, said);
        }
    }

    #[test]
    fn a_change_may_have_other_members() {
        let change = json!({"weight": 1, "group": 5});
        assert_eq!(POOL_CHANGE.check(&change), Ok(()));
        let said = "uri: value is not of type \"string\"";
        assert_refused(&POOL_CHANGE, &json!({"uri": 5}), said);
    }

    #[test]
    fn a_flavor_lists_pools() {
        let flavor = json!({"pool_list": ["a"], "capabilities": {"x": 1}});
        assert_eq!(FLAVOR.check(&flavor), Ok(()));
        assert_eq!(FLAVOR_CHANGE.check(&json!({"pool_list": [], "x": 1})), Ok(()));
        let said = "pool_list: value is not of type \"array\"";
        assert_refused(&FLAVOR, &json!({"pool_list": "a"}), said);
        assert_refused(&FLAVOR_CHANGE, &json!({"pool_list": "a"}), said);
        assert_refused(&FLAVOR, &json!({}), "\"pool_list\" is a required property");
        let said = "pool_list/0: value is not of type \"string\"";
        assert_refused(&FLAVOR, &json!({"pool_list": [1]}), said);
    }
}
