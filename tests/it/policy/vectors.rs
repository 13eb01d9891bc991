//! What the real oslo.policy answers; `tools/policy-vectors` asked it.

use nusku::model::{Identity, ProjectId, ServiceIdentity};
use nusku::service::policy::{Policy, RuleFile, Target, read};
use serde_json::Value;

fn caller(given: &Value) -> Identity {
    let text = |name: &str| given[name].as_str().map(str::to_owned);
    let list = |name: &str| {
        let items = given[name].as_array().into_iter().flatten();
        items.map(|item| item.as_str().unwrap().to_owned()).collect()
    };
    Identity {
        project_id: given["project_id"].as_str().map(ProjectId::new),
        project_domain_id: text("project_domain_id"),
        user_id: text("user_id"),
        user_domain_id: text("user_domain_id"),
        domain_id: text("domain_id"),
        system_scope: text("system_scope"),
        roles: list("roles"),
        is_admin_project: given["is_admin_project"].as_bool().unwrap_or(true),
        service: given.get("service_user_id").map(|_| ServiceIdentity {
            user_id: text("service_user_id"),
            project_id: text("service_project_id"),
            roles: list("service_roles"),
            ..ServiceIdentity::default()
        }),
        ..Identity::default()
    }
}

/// The rules, written as a policy file.
fn policy(rules: &Value) -> Result<Policy, String> {
    let rules = read(&rules.to_string()).map_err(|fault| fault.to_string())?;
    let file = RuleFile { path: "vector".to_owned(), rules };
    Policy::new(&[], &[file], "default").map_err(|fault| fault.to_string())
}

#[test]
fn rules_mean_what_oslo_policy_says() {
    let mut lines = include_str!("vectors.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let callers = lines.next().unwrap();
    let callers: Vec<_> = callers["callers"].as_array().unwrap().iter().map(caller).collect();
    let (mut answered, mut refused) = (0, 0);
    for vector in lines {
        let answers = vector["answers"].as_object().unwrap();
        let policy = match policy(&vector["rules"]) {
            Ok(policy) => policy,
            Err(reason) => {
                assert!(answers.values().any(Value::is_null), "{reason}: {vector}");
                refused += 1;
                continue;
            }
        };
        let target = Target {
            project_id: vector["target"]["project_id"].as_str(),
            queue_name: vector["target"]["queue_name"].as_str(),
            topic_name: None,
        };
        for (name, expected) in answers {
            let asked = |caller| policy.allows_by_name(name, caller, &target).unwrap();
            let said: Vec<_> = callers.iter().map(asked).collect();
            assert_eq!(Value::from(said), *expected, "{name} of {vector}");
            answered += callers.len();
        }
    }
    // What is refused here is taken for "no" there, at best.
    assert!(answered > 5000 && refused > 10, "{answered} answers, {refused} refused");
}
