//! The actions there are, and what a request for one looks like: Zaqar's schemas.

use std::sync::LazyLock;

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

/// What a member of a body may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Boolean,
    Array,
    Object,
    /// The schema says nothing; whoever reads it looks.
    Any,
}

/// Something a client can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::enum_variant_names, reason = "actions are named as clients name them")]
pub(super) enum Action {
    Authenticate,
    QueueCreate,
    QueueList,
    QueueGet,
    QueueDelete,
    QueueGetStats,
    QueuePurge,
    MessagePost,
    MessageList,
    MessageGet,
    MessageGetMany,
    MessageDelete,
    MessageDeleteMany,
    ClaimCreate,
    ClaimGet,
    ClaimUpdate,
    ClaimDelete,
    SubscriptionCreate,
    SubscriptionList,
    SubscriptionGet,
    SubscriptionDelete,
}

struct Spec {
    action: Action,
    name: &'static str,
    /// Members of the body that must be there, all of them strings but for one list.
    required: &'static [(&'static str, Kind)],
    optional: &'static [(&'static str, Kind)],
    /// The HTTP method that a pre-signed URL must allow for it, if it can.
    method: Option<&'static str>,
}

const QUEUE: (&str, Kind) = ("queue_name", Kind::Text);
const CLAIM: (&str, Kind) = ("claim_id", Kind::Text);
const MESSAGE: (&str, Kind) = ("message_id", Kind::Text);
const SUBSCRIPTION: (&str, Kind) = ("subscription_id", Kind::Text);
const MARKER: (&str, Kind) = ("marker", Kind::Text);
const LIMIT: (&str, Kind) = ("limit", Kind::Integer);
const TTL: (&str, Kind) = ("ttl", Kind::Integer);

macro_rules! specs {
    ($($action:ident $name:literal $method:expr, $required:expr, $optional:expr;)*) => {
        const SPECS: &[Spec] = &[$(Spec {
            action: Action::$action,
            name: $name,
            required: &$required,
            optional: &$optional,
            method: $method,
        }),*];
    };
}

specs! {
    Authenticate "authenticate" None, [], [];
    QueueCreate "queue_create" None, [QUEUE], [("metadata", Kind::Object)];
    QueueList "queue_list" None, [], [MARKER, LIMIT, ("detailed", Kind::Boolean)];
    QueueGet "queue_get" None, [QUEUE], [];
    QueueDelete "queue_delete" None, [QUEUE], [];
    QueueGetStats "queue_get_stats" None, [QUEUE], [];
    QueuePurge "queue_purge" None, [QUEUE], [("resource_types", Kind::Array)];
    MessagePost "message_post" Some("POST"), [QUEUE, ("messages", Kind::Array)], [];
    MessageList "message_list" Some("GET"), [QUEUE], [
        MARKER, LIMIT, ("echo", Kind::Boolean), ("include_claimed", Kind::Boolean),
        ("include_delayed", Kind::Any)
    ];
    MessageGet "message_get" Some("GET"), [QUEUE, MESSAGE], [];
    MessageGetMany "message_get_many" Some("GET"), [QUEUE, ("message_ids", Kind::Array)], [];
    MessageDelete "message_delete" Some("DELETE"), [QUEUE, MESSAGE], [CLAIM];
    MessageDeleteMany "message_delete_many" Some("DELETE"), [QUEUE], [
        ("message_ids", Kind::Array), ("claim_ids", Kind::Array), ("pop", Kind::Integer)
    ];
    ClaimCreate "claim_create" None, [QUEUE], [LIMIT, TTL, ("grace", Kind::Integer)];
    ClaimGet "claim_get" None, [QUEUE, CLAIM], [];
    ClaimUpdate "claim_update" None, [QUEUE, CLAIM], [TTL, ("grace", Kind::Any)];
    ClaimDelete "claim_delete" None, [QUEUE, CLAIM], [];
    SubscriptionCreate "subscription_create" None, [QUEUE], [
        ("subscriber", Kind::Text), TTL, ("options", Kind::Object)
    ];
    SubscriptionList "subscription_list" None, [QUEUE], [MARKER, LIMIT];
    SubscriptionGet "subscription_get" None, [QUEUE, SUBSCRIPTION], [];
    SubscriptionDelete "subscription_delete" None, [QUEUE, SUBSCRIPTION], [];
}

/// Compiled once; in the order of [`SPECS`].
static VALIDATORS: LazyLock<Vec<Option<Validator>>> =
    LazyLock::new(|| SPECS.iter().map(|spec| compile(&spec.schema())).collect());

fn compile(schema: &Value) -> Option<Validator> {
    jsonschema::options().with_draft(Draft::Draft4).build(schema).ok()
}

impl Kind {
    fn schema(self) -> Value {
        match self {
            Self::Text => json!({"type": "string"}),
            Self::Integer => json!({"type": "integer"}),
            Self::Boolean => json!({"type": "boolean"}),
            Self::Array => json!({"type": "array"}),
            Self::Object => json!({"type": "object"}),
            Self::Any => json!({}),
        }
    }
}

impl Spec {
    fn schema(&self) -> Value {
        let headers = match self.action {
            Action::Authenticate => json!(["X-Project-ID", "X-Auth-Token"]),
            _ => json!(["Client-ID", "X-Project-ID"]),
        };
        let text = Kind::Text.schema();
        let members = self.required.iter().chain(self.optional);
        let properties: Map<_, _> =
            members.map(|(name, kind)| ((*name).to_owned(), kind.schema())).collect();
        let mut body = json!({"type": "object", "properties": properties});
        let mut required = vec!["headers"];
        // Draft 4 has no list without items.
        if !self.required.is_empty() {
            let names: Vec<_> = self.required.iter().map(|(name, _)| name).collect();
            body["required"] = json!(names);
            required.push("body");
        }
        json!({
            "type": "object",
            "properties": {
                "headers": {
                    "type": "object",
                    "properties": {
                        "User-Agent": text, "Date": text, "Accept": text, "Client-ID": text,
                        "X-Project-ID": text, "X-Auth-Token": text,
                    },
                    "required": headers,
                },
                "body": body,
            },
            "required": required,
        })
    }
}

impl Action {
    /// The action of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        SPECS.iter().find(|spec| spec.name == name).map(|spec| spec.action)
    }

    /// As clients name it.
    pub(super) fn name(self) -> &'static str {
        self.spec().map_or("", |spec| spec.name)
    }

    /// The HTTP method that a pre-signed URL must allow for it; `None` if no such
    /// URL can.
    pub(super) fn method(self) -> Option<&'static str> {
        self.spec().and_then(|spec| spec.method)
    }

    /// Whether a member of the body means something.
    pub(super) fn knows(self, member: &str) -> bool {
        let members = self.spec().map(|spec| spec.required.iter().chain(spec.optional));
        members.is_some_and(|mut members| members.any(|(name, _)| *name == member))
    }

    /// Whether headers and body are what the action wants.
    pub(super) fn accepts(self, document: &Value) -> bool {
        let at = SPECS.iter().position(|spec| spec.action == self);
        let validator = at.and_then(|at| VALIDATORS.get(at)?.as_ref());
        validator.is_some_and(|validator| validator.is_valid(document))
    }

    fn spec(self) -> Option<&'static Spec> {
        SPECS.iter().find(|spec| spec.action == self)
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, SPECS, VALIDATORS};
    use serde_json::{Value, json};

    #[allow(clippy::needless_pass_by_value, reason = "a body is written where it is used")]
    fn document(body: Value) -> Value {
        json!({"headers": {"Client-ID": "c", "X-Project-ID": "p"}, "body": body})
    }

    #[test]
    fn every_action_has_a_name_and_a_schema_that_compiles() {
        for (spec, validator) in SPECS.iter().zip(VALIDATORS.iter()) {
            assert!(validator.is_some(), "{}", spec.name);
            assert_eq!(Action::named(spec.name), Some(spec.action));
            assert_eq!(spec.action.name(), spec.name);
        }
        assert_eq!(Action::named("pool_list"), None);
    }

    #[test]
    fn types_are_strict() {
        let claim = Action::ClaimCreate;
        assert!(claim.accepts(&document(json!({"queue_name": "q", "ttl": 60, "x": null}))));
        for bad in [
            json!({}),
            json!({"queue_name": 5}),
            json!({"queue_name": "q", "ttl": "60"}),
            json!({"queue_name": "q", "ttl": true}),
            json!({"queue_name": "q", "ttl": null}),
            json!([]),
        ] {
            assert!(!claim.accepts(&document(bad.clone())), "{bad}");
        }
        for headers in [
            json!({}),
            json!({"Client-ID": "c"}),
            json!([]),
            json!({"Client-ID": "c", "X-Project-ID": 5}),
        ] {
            let request = json!({"headers": headers, "body": {}});
            assert!(!Action::QueueList.accepts(&request), "{request}");
        }
        assert!(Action::QueueList.accepts(&json!({"headers": document(json!({}))["headers"]})));
    }
}
