//! Policy files: YAML, of which JSON is a part. A mapping from names to rules.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::Fault;

/// Files larger than this are no policies, in bytes.
const BYTES_MAX: usize = 1 << 20;

/// A rule as somebody wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenRule {
    /// Its name.
    pub name: String,
    /// What it says.
    pub text: RuleText,
    /// The line it begins in, from 1.
    pub line: usize,
}

/// What a rule says, unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleText {
    /// In the rule language.
    Text(String),
    /// In the syntax of old: any of the outer list, all of each inner one.
    Lists(Vec<Vec<String>>),
}

/// The rules of a file, in their order. An empty file has none.
///
/// # Errors
///
/// What is wrong with it, and in which line.
pub fn read(text: &str) -> Result<Vec<WrittenRule>, Fault> {
    if text.len() > BYTES_MAX {
        return Err(Fault::new(1, format!("the file is larger than {BYTES_MAX} bytes")));
    }
    Reader { events: Parser::new_from_str(text), line: 1 }.document()
}

struct Reader<I> {
    events: I,
    line: usize,
}

/// What is left of an event here.
enum Node {
    Text { text: String, is_plain: bool },
    List,
    Mapping,
    End,
}

impl<'a, I> Reader<I>
where
    I: Iterator<Item = Result<(Event<'a>, Span), ScanError>>,
{
    fn document(mut self) -> Result<Vec<WrittenRule>, Fault> {
        let mut rules: Vec<WrittenRule> = Vec::new();
        match self.node()? {
            Node::End => return Ok(rules),
            // What an empty document with a comment or `---` comes as.
            Node::Text { text, is_plain: true } if is_null(&text) => {}
            Node::Mapping => loop {
                let name = match self.node()? {
                    Node::End => break,
                    Node::Text { text, .. } => text,
                    Node::List | Node::Mapping => {
                        return Err(self.fault("the name of a rule must be a text"));
                    }
                };
                let line = self.line;
                if let Some(first) = rules.iter().find(|rule| rule.name == name) {
                    let reason = format!("the rule is in line {} already", first.line);
                    return Err(Fault::new(line, reason).of_rule(&name));
                }
                let text = self.rule().map_err(|fault| fault.of_rule(&name))?;
                rules.push(WrittenRule { name, text, line });
            },
            _ => return Err(self.fault("the file must map names to rules, as NAME: \"RULE\"")),
        }
        match self.node()? {
            Node::End => Ok(rules),
            _ => Err(self.fault("there must be one document only")),
        }
    }

    fn rule(&mut self) -> Result<RuleText, Fault> {
        match self.node()? {
            Node::Text { text, is_plain: true } if is_null(&text) => Err(self.fault(
                "a rule must be a text or a list; \"\" in quotes allows everybody, \"!\" nobody",
            )),
            Node::Text { text, .. } => Ok(RuleText::Text(text)),
            Node::List => self.lists().map(RuleText::Lists),
            _ => Err(self.fault("a rule must be a text or a list")),
        }
    }

    fn lists(&mut self) -> Result<Vec<Vec<String>>, Fault> {
        let mut lists = Vec::new();
        loop {
            match self.node()? {
                Node::End => return Ok(lists),
                Node::Text { text, .. } => lists.push(vec![text]),
                Node::List => lists.push(self.texts()?),
                Node::Mapping => return Err(self.fault("a list holds texts and lists of texts")),
            }
        }
    }

    fn texts(&mut self) -> Result<Vec<String>, Fault> {
        let mut texts = Vec::new();
        loop {
            match self.node()? {
                Node::End => return Ok(texts),
                Node::Text { text, .. } => texts.push(text),
                _ => return Err(self.fault("an inner list holds texts")),
            }
        }
    }

    /// The next node, or the end of what it would have been in.
    fn node(&mut self) -> Result<Node, Fault> {
        loop {
            let Some(event) = self.events.next() else { return Ok(Node::End) };
            let (event, span) = event.map_err(|error| {
                Fault::new(error.marker().line(), format!("this is not YAML: {}", error.info()))
            })?;
            self.line = span.start.line();
            return Ok(match event {
                Event::Nothing
                | Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd => continue,
                Event::StreamEnd | Event::SequenceEnd | Event::MappingEnd => Node::End,
                Event::Alias(_) => return Err(self.fault("aliases (*name) are not supported")),
                // An unquoted `!` is a tag to YAML, and what is left is an empty
                // rule: the contrary of what was meant.
                Event::Scalar(_, _, _, Some(_))
                | Event::SequenceStart(_, Some(_))
                | Event::MappingStart(_, Some(_)) => {
                    return Err(self.fault("a ! that begins a value must stand in quotes"));
                }
                Event::Scalar(text, style, ..) => {
                    Node::Text { text: text.into_owned(), is_plain: style == ScalarStyle::Plain }
                }
                Event::SequenceStart(..) => Node::List,
                Event::MappingStart(..) => Node::Mapping,
            });
        }
    }

    fn fault(&self, reason: &str) -> Fault {
        Fault::new(self.line, reason.to_owned())
    }
}

/// What YAML takes for nothing.
fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

#[cfg(test)]
mod tests {
    use super::{RuleText, read};

    fn names(text: &str) -> Vec<String> {
        read(text).unwrap().into_iter().map(|rule| rule.name).collect()
    }

    #[test]
    fn yaml_and_json_are_read() {
        let yaml = "# Ours.\n\"queues:get\": \"\"\nqueues:create: >-\n  role:a\n  or role:b\n";
        let rules = read(yaml).unwrap();
        assert_eq!(rules[0].text, RuleText::Text(String::new()));
        assert_eq!(rules[1].text, RuleText::Text("role:a or role:b".to_owned()));
        assert_eq!((rules[0].line, rules[1].line), (2, 3));
        assert_eq!(names(r#"{"a": "!", "b": [["role:x", "role:y"], "role:z"]}"#), ["a", "b"]);
        for nothing in ["", "# Only words.\n", "---\n", "{}", "--- {}\n...\n"] {
            assert_eq!(names(nothing), [""; 0], "{nothing:?}");
        }
    }

    #[test]
    fn lists_hold_texts_and_lists_of_texts() {
        let rules = read("a:\n- [role:x, 'role:y']\n- role:z\nb: []\n").unwrap();
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let lists = vec![texts(&["role:x", "role:y"]), texts(&["role:z"])];
        assert_eq!(rules[0].text, RuleText::Lists(lists));
        assert_eq!(rules[1].text, RuleText::Lists(Vec::new()));
    }

    #[test]
    fn a_fault_names_its_line_and_rule() {
        for (text, fault) in [
            ("a: '@'\nb: !\n", "line 2, rule b: a ! that begins a value must stand in quotes"),
            ("a: '@'\n'a': '!'\n", "line 2, rule a: the rule is in line 1 already"),
            ("a: {b: c}", "line 1, rule a: a rule must be a text or a list"),
            ("a: &x '@'\nb: *x\n", "line 2, rule b: aliases (*name) are not supported"),
            ("- a\n", "line 1: the file must map names to rules, as NAME: \"RULE\""),
            ("a: '@'\n---\nb: '@'\n", "line 3: there must be one document only"),
            ("a: [[[role:x]]]", "line 1, rule a: an inner list holds texts"),
            ("[a]: '@'", "line 1: the name of a rule must be a text"),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), fault, "{text}");
        }
        for text in ["a:\n", "a: ~\n", "a: null\n"] {
            assert!(read(text).unwrap_err().to_string().contains("in quotes allows"), "{text}");
        }
        assert!(read("a: 'x\n").unwrap_err().to_string().contains("this is not YAML"));
        assert!(read(&"#".repeat(2 << 20)).is_err());
    }
}
