//! From rules as they were written to a policy that can be asked.

use std::collections::{HashMap, HashSet};

use super::check::{Check, Left};
use super::file::{RuleText, WrittenRule};
use super::parse::{self, Parsed};
use super::{Fault, FileFault, HELPERS, Policy, Rule};

/// Most checks that one answer may take, with all rules that it refers to. It
/// is far beyond what anybody writes, and keeps a file of a few lines, each
/// naming the one before twice, from keeping the server busy for good.
const STEPS_MAX: u64 = 10_000;

/// How long a chain of references may be.
const CHAIN_MAX: usize = 64;

/// A file and what is in it.
#[derive(Clone, Debug)]
pub struct RuleFile {
    /// Where it lies, for messages.
    pub path: String,
    /// Its rules.
    pub rules: Vec<WrittenRule>,
}

/// A rule whose references are still names.
struct Unlinked {
    name: String,
    check: Parsed,
    text: RuleText,
    origin: Option<Origin>,
}

#[derive(Clone)]
struct Origin {
    path: String,
    line: usize,
}

/// Where the walk over references stands with a rule.
#[derive(Clone, Copy)]
enum Visit {
    New,
    Open,
    Done { steps: u64, chain: usize },
}

/// Does what [`Policy::new`] says; of several rules of one name, the last one
/// counts.
pub(super) fn compile(
    actions: &[(&str, &str)],
    files: &[RuleFile],
    default_rule: &str,
) -> Result<Policy, FileFault> {
    let mut rules = Vec::new();
    for (name, default) in actions.iter().chain(&HELPERS) {
        rules.push(read(name, RuleText::Text((*default).to_owned()), None)?);
    }
    let mut by_name: HashMap<String, usize> =
        rules.iter().enumerate().map(|(index, rule)| (rule.name.clone(), index)).collect();
    for (file, rule) in files.iter().flat_map(|file| file.rules.iter().map(move |it| (file, it))) {
        let origin = Origin { path: file.path.clone(), line: rule.line };
        let rule = read(&rule.name, rule.text.clone(), Some(origin))?;
        if let Some(index) = by_name.get(&rule.name) {
            rules[*index] = rule;
        } else {
            by_name.insert(rule.name.clone(), rules.len());
            rules.push(rule);
        }
    }
    let warnings = warnings(&rules, &by_name, default_rule, actions.len());
    let mut linked = Vec::with_capacity(rules.len());
    let mut origins = Vec::with_capacity(rules.len());
    for Unlinked { name, check, text, origin } in rules {
        let default = by_name.get(default_rule);
        let check = check.link(&mut |rule: String| by_name.get(&rule).or(default).copied());
        linked.push(Rule { name, check, text, file: origin.as_ref().map(|it| it.path.clone()) });
        origins.push(origin);
    }
    let mut visits = vec![Visit::New; linked.len()];
    for index in 0..linked.len() {
        visit(index, &linked, &mut visits, 0)
            .map_err(|reason| fault(&linked[index].name, origins[index].as_ref(), reason))?;
    }
    Ok(Policy { rules: linked, warnings })
}

fn read(name: &str, text: RuleText, origin: Option<Origin>) -> Result<Unlinked, FileFault> {
    let check = match &text {
        RuleText::Text(text) => parse::rule(text),
        RuleText::Lists(lists) => parse::lists(lists),
    };
    match check {
        Ok(check) => Ok(Unlinked { name: name.to_owned(), check, text, origin }),
        Err(reason) => Err(fault(name, origin.as_ref(), reason)),
    }
}

fn fault(rule: &str, origin: Option<&Origin>, reason: String) -> FileFault {
    let (path, line) = match origin {
        Some(Origin { path, line }) => (path.clone(), *line),
        None => ("built-in rules".to_owned(), 1),
    };
    FileFault { path, fault: Fault::new(line, reason).of_rule(rule) }
}

/// Walks over what the rule refers to: in no circle, and not for too long.
fn visit(
    index: usize,
    rules: &[Rule],
    visits: &mut [Visit],
    above: usize,
) -> Result<(u64, usize), String> {
    match visits[index] {
        Visit::Done { steps, chain } => return Ok((steps, chain)),
        Visit::Open => {
            return Err(format!("the rule {} refers to itself in a circle", rules[index].name));
        }
        Visit::New if above > CHAIN_MAX => return Err(too_long()),
        Visit::New => visits[index] = Visit::Open,
    }
    let (mut references, mut steps) = (Vec::new(), 0_u64);
    rules[index].check.walk(&mut |check| {
        steps += 1;
        if let Check::Rule(other) = check {
            references.push(*other);
        }
    });
    let mut chain = 0;
    for other in references {
        let (more, below) = visit(other, rules, visits, above + 1)?;
        steps = steps.saturating_add(more);
        chain = chain.max(below + 1);
    }
    if chain > CHAIN_MAX {
        return Err(too_long());
    }
    if steps > STEPS_MAX {
        return Err(format!("it takes more than {STEPS_MAX} checks, references included"));
    }
    visits[index] = Visit::Done { steps, chain };
    Ok((steps, chain))
}

fn too_long() -> String {
    format!("more than {CHAIN_MAX} rules refer to each other in a row")
}

/// What was surely meant in another way, though it can be carried out.
fn warnings(
    rules: &[Unlinked],
    by_name: &HashMap<String, usize>,
    default_rule: &str,
    actions: usize,
) -> Vec<String> {
    let mut used = HashSet::from([default_rule]);
    used.extend(HELPERS.map(|(name, _)| name));
    used.extend(rules[..actions].iter().map(|rule| rule.name.as_str()));
    let mut found = Vec::new();
    for rule in rules {
        rule.check.walk(&mut |check| {
            if let Check::Rule(other) = check {
                used.insert(other);
            }
            if let Some(doubt) = doubt(check, by_name, default_rule) {
                found.push((rule, doubt));
            }
        });
    }
    for rule in rules.iter().filter(|rule| !used.contains(rule.name.as_str())) {
        let doubt = "there is no action of that name, and no rule refers to it".to_owned();
        found.push((rule, doubt));
    }
    let sentence = |(rule, doubt): (&Unlinked, String)| {
        let Origin { path, line } = rule.origin.as_ref()?;
        Some(format!("{path}, line {line}, rule {}: {doubt}", rule.name))
    };
    found.into_iter().filter_map(sentence).collect()
}

fn doubt(check: &Parsed, by_name: &HashMap<String, usize>, default_rule: &str) -> Option<String> {
    match check {
        Check::Rule(other) if by_name.contains_key(other) => None,
        Check::Rule(other) if by_name.contains_key(default_rule) => {
            Some(format!("there is no rule {other}, so {default_rule} holds in its place"))
        }
        Check::Rule(other) => Some(format!("there is no rule {other}, so it is never fulfilled")),
        Check::Matches(Left::Unknown(name), _) => {
            Some(format!("nothing is known about a caller as {name}, so it never matches"))
        }
        Check::Matches(_, template) | Check::Role(template) if template.is_never_filled() => {
            Some(format!(
                "{template} asks for something else than project_id, queue_name and topic_name"
            ))
        }
        _ => None,
    }
}
