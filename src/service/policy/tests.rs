//! The policy as a whole.

use super::*;

const ACTIONS: [(&str, &str); 3] =
    [("queues:get", ""), ("queues:create", "role:admin"), ("ping:get", "")];

fn policy(text: &str) -> Result<Policy, String> {
    let rules = read(text).map_err(|fault| fault.to_string())?;
    let file = RuleFile { path: "policy.yaml".to_owned(), rules };
    Policy::new(&ACTIONS, &[file], "default").map_err(|fault| fault.to_string())
}

fn caller(roles: &[&str]) -> Identity {
    Identity {
        project_id: Some(crate::model::ProjectId::new("blue")),
        roles: roles.iter().map(|&role| role.to_owned()).collect(),
        ..Identity::default()
    }
}

const TARGET: Target =
    Target { project_id: Some("blue"), queue_name: Some("jobs"), topic_name: None };

#[test]
fn without_a_file_the_defaults_hold() {
    let policy = Policy::new(&ACTIONS, &[], "default").unwrap();
    assert!(policy.allows(0, &caller(&[]), &TARGET));
    assert!(policy.is_open(0) && !policy.is_open(1));
    assert!(!policy.allows(1, &caller(&["member"]), &TARGET));
    assert!(policy.allows(1, &caller(&["member", "Admin"]), &TARGET));
    assert!(!policy.allows(99, &caller(&["admin"]), &TARGET));
}

#[test]
fn a_file_changes_what_it_names() {
    let policy =
        policy("queues:get: rule:writer\nwriter: role:w or role:%(queue_name)s\n").unwrap();
    assert!(!policy.allows(0, &caller(&[]), &TARGET));
    assert!(policy.allows(0, &caller(&["W"]), &TARGET));
    assert!(policy.allows(0, &caller(&["jobs"]), &TARGET));
    assert!(!policy.allows(0, &caller(&["jobs"]), &Target::default()));
    assert!(policy.is_open(2));
}

#[test]
fn the_owner_is_known() {
    let policy = policy("queues:get: rule:admin_or_owner\n").unwrap();
    assert!(policy.allows(0, &caller(&[]), &TARGET));
    let other = Target { project_id: Some("green"), ..TARGET };
    assert!(!policy.allows(0, &caller(&["admin"]), &other));
}

#[test]
fn of_several_files_the_last_one_counts() {
    let file =
        |path: &str, text: &str| RuleFile { path: path.to_owned(), rules: read(text).unwrap() };
    let files = [file("a", "queues:get: '!'\nping:get: '!'"), file("b", "queues:get: '@'")];
    let policy = Policy::new(&ACTIONS, &files, "default").unwrap();
    assert!(policy.is_open(0));
    assert!(!policy.allows(2, &caller(&["admin"]), &TARGET));
}

#[test]
fn an_unknown_rule_is_the_default_rule_or_no() {
    let without = policy("queues:get: rule:nope").unwrap();
    assert!(!without.allows(0, &caller(&["admin"]), &TARGET));
    assert_eq!(
        without.warnings(),
        ["policy.yaml, line 1, rule queues:get: there is no rule nope, so it is never fulfilled"]
    );
    let with = policy("queues:get: rule:nope\ndefault: role:x\n").unwrap();
    assert!(with.allows(0, &caller(&["x"]), &TARGET));
    assert!(with.warnings()[0].ends_with("there is no rule nope, so default holds in its place"));
}

#[test]
fn what_was_surely_not_meant_is_told() {
    for (text, warning) in [
        ("ping:get: colour:red", "nothing is known about a caller as colour"),
        ("ping:get: user_id:%(user_id)s", "%(user_id)s asks for something else than"),
        ("ping:gte: '!'", "there is no action of that name"),
    ] {
        let policy = policy(text).unwrap();
        assert!(policy.warnings()[0].contains(warning), "{text}: {:?}", policy.warnings());
        assert_eq!(policy.warnings().len(), 1);
    }
    assert_eq!(policy("a: role:x\nping:get: rule:a").unwrap().warnings(), [""; 0]);
}

#[test]
fn what_would_never_end_is_refused() {
    for (text, reason) in [
        ("a: rule:a", "line 1, rule a: the rule a refers to itself in a circle"),
        ("a: rule:b\nb: not rule:a", "the rule a refers to itself in a circle"),
        ("default: rule:nope", "the rule default refers to itself in a circle"),
        ("queues:get: (", "line 1, rule queues:get: it ends where a check should follow"),
    ] {
        let refused = policy(text).unwrap_err();
        assert!(refused.contains(reason), "{text}: {refused}");
    }
    let chain = |length: usize, rule: &dyn Fn(usize) -> String| {
        let lines: Vec<_> = (0..length).map(|it| format!("r{it}: {}\n", rule(it))).collect();
        policy(&lines.concat())
    };
    assert!(chain(60, &|it| format!("rule:r{}", it + 1)).is_ok());
    let refused = chain(5000, &|it| format!("rule:r{}", it + 1)).unwrap_err();
    assert!(refused.contains("more than 64 rules refer to each other in a row"), "{refused}");
    let refused = chain(5000, &|it| format!("rule:r{}", it.wrapping_sub(1))).unwrap_err();
    assert!(refused.contains("more than 64 rules"), "{refused}");
    let refused = chain(40, &|it| format!("rule:r{0} or rule:r{0}", it + 1)).unwrap_err();
    assert!(refused.contains("takes more than 10000 checks"), "{refused}");
}

#[test]
fn what_is_printed_is_the_same_policy() {
    let text = "queues:get: role:a and not rule:b\nb: [[role:x, role:y], 'role:z']\n";
    let policy = policy(text).unwrap();
    let printed = policy.to_string();
    assert!(printed.contains("\"queues:create\": \"role:admin\"\n"), "{printed}");
    assert!(
        printed.contains("# from policy.yaml\n\"b\": [[\"role:x\",\"role:y\"],[\"role:z\"]]\n")
    );
    let again = RuleFile { path: "printed".to_owned(), rules: read(&printed).unwrap() };
    let again = Policy::new(&ACTIONS, &[again], "default").unwrap();
    for (one, other) in policy.rules.iter().zip(&again.rules) {
        assert_eq!((&one.name, &one.check), (&other.name, &other.check));
    }
}
