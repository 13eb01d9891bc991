//! Random rules: what is printed is read back the same, and means what a much
//! simpler evaluator says.

use proptest::collection::vec;
use proptest::prelude::*;

use super::check::{Check, Left};
use super::parse::{self, Parsed};
use super::template::Template;
use super::*;

fn template() -> impl Strategy<Value = Template> {
    let part = prop_oneof![
        "[a-z:_-]{1,3}",
        Just("%(project_id)s".to_owned()),
        Just("%(queue_name)s".to_owned()),
        Just("%(else)s".to_owned()),
        Just("%%".to_owned()),
    ];
    vec(part, 0..3).prop_map(|parts| Template::parse(&parts.concat()).unwrap())
}

fn check() -> impl Strategy<Value = Parsed> {
    let left = prop_oneof![
        "(user_id|roles|is_admin|service_roles|system)"
            .prop_map(|name| Left::Attribute(attribute::Attribute::parse(&name).unwrap())),
        Just(Left::Unknown("no.such".to_owned())),
        "[a-z]{0,3}".prop_map(|printed| Left::Literal { source: format!("'{printed}'"), printed }),
    ];
    let leaf = prop_oneof![
        Just(Check::Always),
        Just(Check::Never),
        "[a-d]".prop_map(Check::Rule),
        template().prop_map(Check::Role),
        (left, template()).prop_map(|(left, right)| Check::Matches(left, right)),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|check| Check::Not(Box::new(check))),
            vec(inner.clone(), 2..4).prop_map(Check::All),
            vec(inner, 2..4).prop_map(Check::Any),
        ]
    })
}

/// Says yes to each role of which the bit is set, in the fewest words.
fn naive(check: &Parsed, bits: u8) -> bool {
    match check {
        Check::Always => true,
        Check::Never => false,
        Check::Role(role) => bits & (1 << role.to_string()[1..].parse::<u8>().unwrap()) != 0,
        Check::Not(check) => !naive(check, bits),
        Check::All(checks) => !checks.iter().any(|check| !naive(check, bits)),
        Check::Any(checks) => checks.iter().filter(|check| naive(check, bits)).count() > 0,
        Check::Rule(_) | Check::Matches(..) => unreachable!(),
    }
}

/// Checks of roles `r0` to `r7` only.
fn of_roles() -> impl Strategy<Value = Parsed> {
    let role = |number: u8| Check::Role(Template::parse(&format!("r{number}")).unwrap());
    let leaf = prop_oneof![
        1 => prop_oneof![Just(Check::Always), Just(Check::Never)],
        8 => (0_u8..8).prop_map(role),
    ];
    leaf.prop_recursive(6, 60, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|check| Check::Not(Box::new(check))),
            vec(inner.clone(), 2..4).prop_map(Check::All),
            vec(inner, 2..4).prop_map(Check::Any),
        ]
    })
}

/// The rule, with as few parentheses as its meaning needs.
fn terse(check: &Parsed) -> String {
    let within = |check: &Parsed| match check {
        Check::Any(_) | Check::All(_) => format!("({})", terse(check)),
        simple => terse(simple),
    };
    match check {
        Check::Not(check) => format!("not {}", within(check)),
        Check::All(checks) => checks.iter().map(within).collect::<Vec<_>>().join(" and "),
        Check::Any(checks) => {
            let part = |check: &Parsed| match check {
                Check::Any(_) => within(check),
                tighter => terse(tighter),
            };
            checks.iter().map(part).collect::<Vec<_>>().join(" or ")
        }
        leaf => leaf.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_is_read_back(check in check()) {
        prop_assert_eq!(parse::rule(&check.to_string()), Ok(check));
    }

    #[test]
    fn a_rule_means_what_it_says(check in of_roles(), bits in any::<u8>()) {
        let roles = (0..8).filter(|it| bits & (1 << it) != 0).map(|it| format!("R{it}")).collect();
        let caller = Identity { roles, ..Identity::default() };
        for text in [check.to_string(), terse(&check)] {
            let policy = Policy::new(&[("rule", &text)], &[], "").unwrap();
            let allowed = policy.allows(0, &caller, &Target::default());
            prop_assert_eq!(allowed, naive(&check, bits), "{}", text);
        }
    }

    #[test]
    fn no_text_is_too_odd_to_be_read(text in "([(]{0,3}(not |and |or |@|!|a:|%|%[(]|b|'|\")[)]{0,3} ?){0,12}") {
        let _ = parse::rule(&text);
    }
}
