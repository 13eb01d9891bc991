//! When it is tried again, by a policy: equal to what Zaqar does after a first
//! attempt in vain, also where floats are cut off.

use serde_json::{Map, Value};

use super::{
    BACKOFF_FUNCTION, MAXIMUM_DELAY_DEFAULT, MINIMUM_DELAY_DEFAULT, OVERRIDE, RETRIES_DEFAULT,
    truthy, validate,
};
use crate::service::python::integer;

/// Seconds by which the linear backoff grows, and of which the others count how
/// many lie between the two delays.
const INTERVAL: i64 = 5;

/// The longest pause, in seconds, whatever a policy or a subscriber says: an hour.
pub(in crate::service) const LONGEST_PAUSE: u32 = 3600;

/// Most retries of a kind: none without a pause can become an attack.
const MOST_RETRIES: i64 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backoff {
    Linear,
    Arithmetic,
    Geometric,
    Exponential,
}

/// The pauses before all retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) struct Schedule {
    retries_with_no_delay: u32,
    minimum_delay_retries: u32,
    minimum_delay: i64,
    maximum_delay: i64,
    maximum_delay_retries: u32,
    backoff: Backoff,
}

impl Schedule {
    /// That of a subscription whose options and whose queue say this of it, if
    /// they do. A policy counts as a whole; what breaks the rules counts as nothing.
    pub(in crate::service) fn choose(of_options: Option<&Value>, of_queue: Option<&Value>) -> Self {
        let valid = |policy: Option<&Value>| -> Map<String, Value> {
            let policy = policy.filter(|policy| validate(policy).is_ok());
            policy.and_then(Value::as_object).cloned().unwrap_or_default()
        };
        let (own, queue) = (valid(of_options), valid(of_queue));
        let overrides = |policy| truthy(policy, OVERRIDE) == Some(&Value::Bool(true));
        if own.is_empty() || overrides(&own) || overrides(&queue) {
            Self::new(&queue)
        } else {
            Self::new(&own)
        }
    }

    fn new(policy: &Map<String, Value>) -> Self {
        let number = |key, default| policy.get(key).and_then(integer).unwrap_or(default);
        let retries = |key| {
            let retries = number(key, RETRIES_DEFAULT).clamp(0, MOST_RETRIES);
            u32::try_from(retries).unwrap_or_default()
        };
        Self {
            retries_with_no_delay: retries("retries_with_no_delay"),
            minimum_delay_retries: retries("minimum_delay_retries"),
            minimum_delay: number("minimum_delay", MINIMUM_DELAY_DEFAULT),
            maximum_delay: number("maximum_delay", MAXIMUM_DELAY_DEFAULT),
            maximum_delay_retries: retries("maximum_delay_retries"),
            backoff: match truthy(policy, BACKOFF_FUNCTION).and_then(Value::as_str) {
                Some("arithmetic") => Backoff::Arithmetic,
                Some("geometric") => Backoff::Geometric,
                Some("exponential") => Backoff::Exponential,
                _ => Backoff::Linear,
            },
        }
    }

    /// Seconds to wait after so many attempts in vain, at least one; `None` if it
    /// is not tried again.
    pub(in crate::service) fn pause(&self, attempts: u32) -> Option<u32> {
        let mut retry = attempts.saturating_sub(1);
        if retry < self.retries_with_no_delay {
            return Some(0);
        }
        retry -= self.retries_with_no_delay;
        if retry < self.minimum_delay_retries {
            return Some(bounded(self.minimum_delay));
        }
        retry -= self.minimum_delay_retries;
        // Zaqar divides by zero here, and that is the end of it.
        let steps = self.steps()?;
        if i64::from(retry) < steps {
            return Some(bounded(self.step(i64::from(retry), steps)));
        }
        let retry = i64::from(retry) - steps;
        (retry < self.maximum_delay_retries.into()).then(|| bounded(self.maximum_delay))
    }

    /// How many pauses the backoff has; `None` if its function has no value.
    fn steps(&self) -> Option<i64> {
        let span = self.maximum_delay.saturating_sub(self.minimum_delay);
        match self.backoff {
            Backoff::Linear => Some(span.saturating_add(INTERVAL - 1) / INTERVAL),
            Backoff::Arithmetic => Some(span / INTERVAL),
            Backoff::Geometric | Backoff::Exponential => {
                (self.minimum_delay > 0).then_some(span / INTERVAL)
            }
        }
    }

    /// The pause of that number, from 0.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "as Zaqar does; what is too long is cut to an hour"
    )]
    fn step(&self, number: i64, steps: i64) -> i64 {
        let (minimum, maximum) = (self.minimum_delay as f64, self.maximum_delay as f64);
        let (x, n) = (number as f64, steps as f64);
        let factor = || 10_f64.powf((maximum / minimum).log10() / (n - 1.0));
        match self.backoff {
            Backoff::Linear => self.minimum_delay.saturating_add(number.saturating_mul(INTERVAL)),
            Backoff::Arithmetic => {
                let d = 2.0 * (maximum - minimum) / (n * (n - 1.0));
                (minimum + x * (x + 1.0) * d / 2.0) as i64
            }
            Backoff::Geometric => (minimum * factor().powf(x)) as i64,
            Backoff::Exponential => (minimum / factor() * factor().powf(x + 1.0)) as i64,
        }
    }
}

fn bounded(seconds: i64) -> u32 {
    u32::try_from(seconds.clamp(0, LONGEST_PAUSE.into())).unwrap_or(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};
    use serde_json::{Value, json};

    use super::{LONGEST_PAUSE, Schedule};
    use crate::service::retry_policy::validate;

    /// All pauses of a policy; it must not have more than 2000.
    fn pauses(policy: &Value) -> Vec<u32> {
        let schedule = Schedule::choose(Some(policy), None);
        let pauses: Vec<_> = (1..=2000).map_while(|it| schedule.pause(it)).collect();
        assert!(pauses.len() < 2000);
        pauses
    }

    /// Only those of the backoff.
    fn backoff(function: &str, minimum: i64, maximum: i64) -> Vec<u32> {
        pauses(&json!({
            "retries_with_no_delay": 0, "minimum_delay_retries": 0, "maximum_delay_retries": 0,
            "minimum_delay": minimum, "maximum_delay": maximum, "retry_backoff_function": function,
        }))
    }

    #[test]
    fn the_usual_pauses() {
        let usual = [0, 0, 0, 5, 5, 5, 5, 10, 15, 20, 25, 30, 30, 30];
        assert_eq!(pauses(&json!({})), usual);
        assert_eq!(usual.iter().sum::<u32>(), 180);
        let timed = json!({
            "retries_with_no_delay": 2, "minimum_delay_retries": 1, "minimum_delay": 1,
            "maximum_delay": 11, "maximum_delay_retries": 1, "retry_backoff_function": "arithmetic",
        });
        let mut moments = vec![0];
        moments.extend(pauses(&timed).iter().scan(0, |at, pause| {
            *at += pause;
            Some(*at)
        }));
        assert_eq!(moments, [0, 0, 0, 1, 2, 13, 24]);
    }

    #[test]
    fn the_backoff_is_that_of_the_reference() {
        type Row<'a> = (i64, i64, Vec<u32>, &'a [u32], &'a [u32]);
        let every_five = |until| (5..until).step_by(5).collect::<Vec<u32>>();
        let table: [Row; 5] = [
            (5, 30, every_five(30), &[5, 7, 12, 20, 30], &[5, 7, 12, 19, 30]),
            (5, 15, every_five(15), &[5, 15], &[5, 15]),
            (5, 20, every_five(20), &[5, 10, 20], &[5, 10, 20]),
            (
                10,
                60,
                (10..60).step_by(5).collect(),
                &[10, 11, 13, 16, 21, 26, 33, 41, 50, 60],
                &[10, 12, 14, 18, 22, 27, 33, 40, 49, 60],
            ),
            (
                5,
                60,
                every_five(60),
                &[5, 6, 8, 11, 15, 20, 26, 33, 41, 50, 60],
                &[5, 6, 8, 10, 13, 17, 22, 28, 36, 46, 59],
            ),
        ];
        for (minimum, maximum, linear, arithmetic, geometric) in table {
            assert_eq!(backoff("linear", minimum, maximum), linear);
            assert_eq!(backoff("arithmetic", minimum, maximum), arithmetic);
            assert_eq!(backoff("geometric", minimum, maximum), geometric);
            assert_eq!(backoff("exponential", minimum, maximum), geometric);
        }
        assert_eq!(backoff("linear", 0, 30), [0, 5, 10, 15, 20, 25]);
        assert_eq!(backoff("arithmetic", 0, 30), [0, 2, 6, 12, 20, 30]);
    }

    #[test]
    fn what_has_no_logarithm_stops_after_the_shortest_pauses() {
        for function in ["geometric", "exponential"] {
            let policy = json!({"minimum_delay": 0, "retry_backoff_function": function});
            assert_eq!(pauses(&policy), [0; 6]);
        }
    }

    #[test]
    fn one_policy_counts_as_a_whole() {
        let own = json!({"retries_with_no_delay": 1});
        let queue = json!({"retries_with_no_delay": 2, "minimum_delay": 10});
        let overriding = json!({"ignore_subscription_override": true, "minimum_delay": 7});
        let nothing = json!({});
        let of = |own, queue| Schedule::choose(own, queue);
        let only = |policy| Schedule::choose(Some(policy), None);
        assert_eq!(of(Some(&own), Some(&queue)), only(&own));
        assert_eq!(of(None, Some(&queue)), only(&queue));
        assert_eq!(of(Some(&nothing), Some(&queue)), only(&queue));
        let overridden = of(Some(&own), Some(&overriding));
        assert_eq!(overridden, of(None, Some(&overriding)));
        assert_eq!(overridden.pause(4), Some(7));
        assert_eq!(of(Some(&overriding), Some(&queue)), only(&queue));
        assert_eq!(of(Some(&overriding), None), only(&nothing));
        let broken = json!({"maximum_delay": "soon"});
        assert_eq!(of(Some(&broken), Some(&queue)), only(&queue));
        assert_eq!(of(Some(&Value::Null), None), only(&nothing));
    }

    fn any_policy() -> impl Strategy<Value = Value> {
        let function =
            prop::sample::select(vec!["linear", "arithmetic", "geometric", "exponential"]);
        let counts = (any::<i64>(), -5..200_i64, any::<i64>());
        (counts, -100..4000_i64, 10..5000_i64, function).prop_map(
            |((immediate, short, long), minimum, span, function)| {
                json!({
                    "retries_with_no_delay": immediate, "minimum_delay_retries": short,
                    "maximum_delay_retries": long, "minimum_delay": minimum,
                    "maximum_delay": minimum + span, "retry_backoff_function": function,
                })
            },
        )
    }

    proptest! {
        #[test]
        fn pauses_are_bounded_and_grow(policy in any_policy()) {
            prop_assert_eq!(validate(&policy), Ok(()));
            let pauses = pauses(&policy);
            prop_assert!(pauses.iter().all(|&it| it <= LONGEST_PAUSE));
            // Where the reference multiplies what it has divided, a second can get lost.
            let lost = u32::from(policy["retry_backoff_function"] == json!("exponential"));
            let mut pairs = pauses.windows(2);
            prop_assert!(pairs.all(|pair| pair[0] <= pair[1] + lost), "{:?}", pauses);
        }

        #[test]
        fn no_policy_whatsoever_breaks_it(
            minimum in any::<i64>(),
            maximum in any::<i64>(),
            attempts in any::<u32>(),
        ) {
            let policy = json!({"minimum_delay": minimum, "maximum_delay": maximum});
            let pause = Schedule::choose(Some(&policy), None).pause(attempts);
            prop_assert!(pause.is_none_or(|it| it <= LONGEST_PAUSE));
        }
    }
}
