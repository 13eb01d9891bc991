//! From text to checks: the rule language of oslo.policy.
//!
//! Where oslo.policy logs that it did not understand and carries on with "no"
//! in that place (even below a `not`), this refuses the rule.

use super::attribute::Attribute;
use super::check::{Check, DEPTH_MAX, Left};
use super::template::Template;

/// A check that names other rules by their names.
pub(super) type Parsed = Check<String>;

type Result<T> = std::result::Result<T, String>;

/// Reads a rule. An empty one is always fulfilled.
///
/// # Errors
///
/// What is wrong with it, in words.
pub(super) fn rule(text: &str) -> Result<Parsed> {
    if text.is_empty() {
        return Ok(Check::Always);
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), depth: 0 };
    let check = parser.any()?;
    match parser.tokens.next() {
        None => Ok(check),
        Some(token) => Err(format!("{} is not expected there", token.named())),
    }
}

/// Reads a rule in the syntax of old: any of the outer list, all of each inner
/// one.
///
/// # Errors
///
/// What is wrong with it, in words.
pub(super) fn lists(rule: &[Vec<String>]) -> Result<Parsed> {
    if rule.is_empty() {
        return Ok(Check::Always);
    }
    let mut any = Vec::new();
    for inner in rule.iter().filter(|inner| !inner.is_empty()) {
        let all: Vec<_> = inner.iter().map(|text| check(text)).collect::<Result<_>>()?;
        any.push(one_or(all, Check::All));
    }
    Ok(one_or(any, Check::Any))
}

/// The only one of `checks`, or what `join` makes of several. None is a no.
fn one_or(mut checks: Vec<Parsed>, join: impl FnOnce(Vec<Parsed>) -> Parsed) -> Parsed {
    if checks.len() > 1 { join(checks) } else { checks.pop().unwrap_or(Check::Never) }
}

#[derive(Debug)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Check(Parsed),
}

impl Token {
    fn named(&self) -> String {
        match self {
            Self::Open => "(".to_owned(),
            Self::Close => ")".to_owned(),
            Self::And => "and".to_owned(),
            Self::Or => "or".to_owned(),
            Self::Not => "not".to_owned(),
            Self::Check(check) => check.to_string(),
        }
    }
}

/// Words are what blanks divide; parentheses count where a word begins or ends.
fn tokens(text: &str) -> Result<Vec<Token>> {
    let is_blank = |c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c);
    let mut tokens = Vec::new();
    for word in text.split(is_blank).filter(|word| !word.is_empty()) {
        let inner = word.trim_start_matches('(');
        tokens.extend((0..word.len() - inner.len()).map(|_| Token::Open));
        let bare = inner.trim_end_matches(')');
        match bare.to_lowercase().as_str() {
            "" => {}
            "and" => tokens.push(Token::And),
            "or" => tokens.push(Token::Or),
            "not" => tokens.push(Token::Not),
            _ if is_quoted(inner) => {
                return Err(format!("{inner} is a text in quotes, not a check"));
            }
            _ => tokens.push(Token::Check(check(bare)?)),
        }
        tokens.extend((0..inner.len() - bare.len()).map(|_| Token::Close));
    }
    Ok(tokens)
}

fn is_quoted(word: &str) -> bool {
    ['"', '\'']
        .iter()
        .any(|quote| word.len() >= 2 && word.starts_with(*quote) && word.ends_with(*quote))
}

/// Reads a single check: `@`, `!` or `kind:match`.
fn check(text: &str) -> Result<Parsed> {
    match text {
        "@" => return Ok(Check::Always),
        "!" => return Ok(Check::Never),
        _ => {}
    }
    let Some((kind, value)) = text.split_once(':') else {
        return Err(format!("{text:?} is not a check, which is @, ! or KIND:VALUE"));
    };
    match kind {
        "http" | "https" => Err(format!("{text:?} asks another server, which is not supported")),
        "rule" => Ok(Check::Rule(value.to_owned())),
        "role" => Ok(Check::Role(Template::parse(value)?)),
        _ => Ok(Check::Matches(left(kind)?, Template::parse(value)?)),
    }
}

fn left(text: &str) -> Result<Left> {
    if let Some(printed) = literal(text)? {
        return Ok(Left::Literal { source: text.to_owned(), printed });
    }
    Ok(match Attribute::parse(text) {
        Some(attribute) => Left::Attribute(attribute),
        None => Left::Unknown(text.to_owned()),
    })
}

/// What Python prints for the literal; `None` if it is a name instead.
fn literal(text: &str) -> Result<Option<String>> {
    let unsupported = || {
        Err(format!(
            "{text:?} before the colon is neither a name nor a literal: \
             'TEXT', a number, True, False or None"
        ))
    };
    if matches!(text, "True" | "False" | "None") {
        return Ok(Some(text.to_owned()));
    }
    match text.chars().next() {
        Some(quote @ ('\'' | '"')) => {
            let inner = text.get(1..).and_then(|rest| rest.strip_suffix(quote));
            match inner.filter(|inner| !inner.contains([quote, '\\'])) {
                Some(inner) => Ok(Some(inner.to_owned())),
                None => unsupported(),
            }
        }
        Some(c) if c.is_alphabetic() || c == '_' => {
            if text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-')) {
                Ok(None)
            } else {
                unsupported()
            }
        }
        _ => number(text).map_or_else(unsupported, |printed| Ok(Some(printed))),
    }
}

/// An integer, or a fraction that Python prints as it is written.
fn number(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let is_number = |digits: &str| {
        let all_digits = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
        all_digits && (digits == "0" || !digits.starts_with('0'))
    };
    let printed = match digits.split_once('.') {
        None => is_number(digits),
        Some((whole, fraction)) => {
            let short = fraction == "0" || !fraction.ends_with('0');
            let plain = fraction.len() <= 4 && whole.len() <= 9 && !fraction.is_empty();
            is_number(whole) && plain && short && fraction.bytes().all(|c| c.is_ascii_digit())
        }
    };
    let sign = if digits == "0" { "" } else { sign };
    printed.then(|| format!("{sign}{digits}"))
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    depth: usize,
}

impl Parser {
    fn any(&mut self) -> Result<Parsed> {
        let mut checks = vec![self.all()?];
        while self.tokens.next_if(|token| matches!(token, Token::Or)).is_some() {
            checks.push(self.all()?);
        }
        Ok(one_or(checks, Check::Any))
    }

    fn all(&mut self) -> Result<Parsed> {
        let mut checks = vec![self.single()?];
        while self.tokens.next_if(|token| matches!(token, Token::And)).is_some() {
            checks.push(self.single()?);
        }
        Ok(one_or(checks, Check::All))
    }

    fn single(&mut self) -> Result<Parsed> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("checks lie more than {DEPTH_MAX} deep in each other"));
        }
        let check = match self.tokens.next() {
            Some(Token::Check(check)) => Ok(check),
            Some(Token::Not) => Ok(Check::Not(Box::new(self.single()?))),
            Some(Token::Open) => {
                let check = self.any()?;
                match self.tokens.next() {
                    Some(Token::Close) => Ok(check),
                    Some(token) => Err(format!("{} is not expected there", token.named())),
                    None => Err("a ) is missing".to_owned()),
                }
            }
            Some(token) => Err(format!("{} is not expected there", token.named())),
            None => Err("it ends where a check should follow".to_owned()),
        };
        self.depth -= 1;
        check
    }
}

#[cfg(test)]
mod tests {
    use super::{lists, rule};

    fn read(text: &str) -> Result<String, String> {
        rule(text).map(|check| check.to_string())
    }

    #[test]
    fn not_binds_tighter_than_and_and_that_tighter_than_or() {
        for (text, meaning) in [
            ("", "@"),
            ("!", "!"),
            ("role:a", "role:a"),
            ("((role:a))", "role:a"),
            ("role:a AND role:b Or not role:c", "((role:a and role:b) or not role:c)"),
            ("role:a or role:b and role:c", "(role:a or (role:b and role:c))"),
            ("(role:a or role:b) and role:c", "((role:a or role:b) and role:c)"),
            ("not (role:a or rule:b)", "not (role:a or rule:b)"),
            ("not not @", "not not @"),
            ("project_id:%(project_id)s", "project_id:%(project_id)s"),
            ("'x':%(queue_name)s", "'x':%(queue_name)s"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(meaning), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (text, reason) in [
            (" ", "it ends where a check should follow"),
            ("admin", "\"admin\" is not a check, which is @, ! or KIND:VALUE"),
            ("role:a and", "it ends where a check should follow"),
            ("role:a role:b", "role:b is not expected there"),
            ("(role:a", "a ) is missing"),
            ("role:a)", ") is not expected there"),
            ("()", ") is not expected there"),
            ("or role:a", "or is not expected there"),
            ("\"role:a\"", "\"role:a\" is a text in quotes, not a check"),
            ("http://a/", "\"http://a/\" asks another server, which is not supported"),
            ("role:%s", "\"%s\" has a % that is neither %(NAME)s nor %%"),
        ] {
            assert_eq!(read(text), Err(reason.to_owned()), "{text}");
        }
        for left in ["", "[1]", "1e5", "0x1", "007", "'a", "'a\\n'", "a b", "a/b", "-", "1_0"] {
            assert!(read(&format!("{left}:x")).is_err(), "{left}");
        }
    }

    #[test]
    fn depth_has_a_bound() {
        assert!(read(&format!("{}@{}", "(".repeat(60), ")".repeat(60))).is_ok());
        assert!(read(&format!("{}@{}", "(".repeat(70), ")".repeat(70))).is_err());
        assert!(read(&format!("{}@", "not ".repeat(100_000))).is_err());
    }

    #[test]
    fn lists_are_any_of_all() {
        let read = |rule: &[&[&str]]| {
            let owned = |inner: &&[&str]| inner.iter().map(|&text| text.to_owned()).collect();
            lists(&rule.iter().map(owned).collect::<Vec<_>>()).map(|check| check.to_string())
        };
        assert_eq!(read(&[]).unwrap(), "@");
        assert_eq!(read(&[&[]]).unwrap(), "!");
        assert_eq!(read(&[&["role:a"]]).unwrap(), "role:a");
        assert_eq!(
            read(&[&["role:a", "role:b"], &[], &["rule:c"]]).unwrap(),
            "((role:a and role:b) or rule:c)"
        );
        assert!(read(&[&["role:a", "b"]]).is_err());
    }
}
