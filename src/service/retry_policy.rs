//! The rules of `_retry_policy`, of a queue and of a subscription: how
//! notifications are tried again.

mod schedule;

use serde_json::{Map, Value};

use super::python::{integer, is_falsy};

pub(super) use schedule::{LONGEST_PAUSE, Schedule};

/// The delays, in seconds, of a policy that does not name them.
const MINIMUM_DELAY_DEFAULT: i64 = 5;
const MAXIMUM_DELAY_DEFAULT: i64 = 30;
/// The least distance of the two delays, in seconds: twice the step by which
/// Zaqar's linear backoff grows.
const DELAY_SPAN_MIN: i64 = 10;

/// How often it is tried again in each step, if the policy does not say.
const RETRIES_DEFAULT: i64 = 3;

const INTEGERS: [&str; 5] = [
    "retries_with_no_delay",
    "minimum_delay_retries",
    "minimum_delay",
    "maximum_delay",
    "maximum_delay_retries",
];
const BACKOFF_FUNCTION: &str = "retry_backoff_function";
const BACKOFF_FUNCTIONS: [&str; 4] = ["linear", "arithmetic", "exponential", "geometric"];
const OVERRIDE: &str = "ignore_subscription_override";

/// Checks a policy; falsy values, of the whole or of a key, are not set.
///
/// # Errors
///
/// The sentence about the first rule it breaks.
pub(super) fn validate(policy: &Value) -> Result<(), String> {
    if is_falsy(policy) {
        return Ok(());
    }
    let Value::Object(policy) = policy else {
        return Err("retry_policy must be a dict.".to_owned());
    };
    for key in INTEGERS {
        if truthy(policy, key).is_some_and(|value| integer(value).is_none()) {
            return Err(format!("Retry policy: {key} must be a integer."));
        }
    }
    match truthy(policy, BACKOFF_FUNCTION).map(Value::as_str) {
        Some(None) => return Err(format!("{BACKOFF_FUNCTION} must be a string.")),
        Some(Some(name)) if !BACKOFF_FUNCTIONS.contains(&name) => {
            return Err(format!("invalid {BACKOFF_FUNCTION}."));
        }
        _ => {}
    }
    if truthy(policy, OVERRIDE).is_some_and(|value| !value.is_boolean()) {
        return Err(format!("{OVERRIDE} must be a boolean."));
    }
    check_delays(policy)
}

fn check_delays(policy: &Map<String, Value>) -> Result<(), String> {
    let delay = |key, default| policy.get(key).and_then(integer).unwrap_or(default);
    let minimum = delay("minimum_delay", MINIMUM_DELAY_DEFAULT);
    let maximum = delay("maximum_delay", MAXIMUM_DELAY_DEFAULT);
    if maximum < minimum {
        return Err("minimum_delay must less than maximum_delay.".to_owned());
    }
    if maximum.saturating_sub(minimum) < DELAY_SPAN_MIN {
        return Err("invalid minimum_delay and maximum_delay.".to_owned());
    }
    Ok(())
}

fn truthy<'a>(policy: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    policy.get(key).filter(|value| !is_falsy(value))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::validate;

    #[test]
    fn policies_within_the_rules() {
        for good in [
            Value::Null,
            json!(""),
            json!([]),
            json!({}),
            json!({"unknown": "key"}),
            json!({"minimum_delay": 20, "maximum_delay": 30}),
            json!({"maximum_delay": 15}),
            json!({"minimum_delay": 0, "maximum_delay": 10}),
            json!({"minimum_delay": null, "retry_backoff_function": ""}),
            json!({"retries_with_no_delay": true}),
            json!({"retry_backoff_function": "geometric", "ignore_subscription_override": true}),
        ] {
            assert_eq!(validate(&good), Ok(()), "{good}");
        }
    }

    #[test]
    fn policies_that_break_them() {
        for (bad, sentence) in [
            (json!("x"), "retry_policy must be a dict."),
            (json!([1]), "retry_policy must be a dict."),
            (
                json!({"retries_with_no_delay": "3"}),
                "Retry policy: retries_with_no_delay must be a integer.",
            ),
            (json!({"maximum_delay": 1.5}), "Retry policy: maximum_delay must be a integer."),
            (json!({"retry_backoff_function": 1}), "retry_backoff_function must be a string."),
            (json!({"retry_backoff_function": "random"}), "invalid retry_backoff_function."),
            (
                json!({"ignore_subscription_override": 1}),
                "ignore_subscription_override must be a boolean.",
            ),
            (json!({"minimum_delay": 31}), "minimum_delay must less than maximum_delay."),
            (json!({"minimum_delay": 21}), "invalid minimum_delay and maximum_delay."),
            (json!({"maximum_delay": 14}), "invalid minimum_delay and maximum_delay."),
        ] {
            assert_eq!(validate(&bad), Err(sentence.to_owned()), "{bad}");
        }
    }
}
