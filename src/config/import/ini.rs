//! Zaqar's configuration files: the INI of oslo.config.

use std::collections::BTreeMap;

/// How deep references between values may lie in each other.
const DEPTH_MAX: usize = 16;

/// Everything that some files say; later ones add to earlier ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Ini {
    sections: BTreeMap<String, BTreeMap<String, Vec<Entry>>>,
}

/// One assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// What stands there; continued lines are joined by line ends.
    pub(super) value: String,
    /// Where it stands, for messages.
    pub(super) place: String,
}

/// Reads the lines of one file.
struct Lines<'a> {
    ini: &'a mut Ini,
    path: &'a str,
    section: String,
    /// The assignment that may be continued: its name, its line, its lines.
    open: Option<(String, usize, Vec<String>)>,
}

impl Ini {
    /// Adds a file; `path` is for messages.
    ///
    /// # Errors
    ///
    /// What is wrong in which line. No value is in it, for it may be a secret.
    pub(super) fn add(&mut self, path: &str, text: &str) -> Result<(), String> {
        let section = "DEFAULT".to_owned();
        let mut lines = Lines { ini: self, path, section, open: None };
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let number = index + 1;
            lines
                .read(number, line.trim_end())
                .map_err(|reason| format!("{path}, line {number}: {reason}"))?;
        }
        lines.close();
        Ok(())
    }

    /// The sections, and in each the options, that were set.
    pub(super) fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sections.iter().flat_map(|(section, options)| {
            options.keys().map(move |option| (section.as_str(), option.as_str()))
        })
    }

    /// All assignments of an option, in their order. For most options the last
    /// one counts.
    pub(super) fn entries(&self, section: &str, option: &str) -> &[Entry] {
        self.sections
            .get(section)
            .and_then(|options| options.get(option))
            .map_or(&[], Vec::as_slice)
    }

    /// What the options of one section say goes for another one instead.
    pub(super) fn rename_section(&mut self, from: &str, to: &str) {
        let Some(options) = self.sections.remove(from) else { return };
        let section = self.sections.entry(to.to_owned()).or_default();
        for (option, entries) in options {
            section.entry(option).or_default().extend(entries);
        }
    }

    /// An option goes by another name; what is there by that name counts more.
    pub(super) fn rename_option(&mut self, from: (&str, &str), to: (&str, &str)) {
        let Some(entries) = self.sections.get_mut(from.0).and_then(|it| it.remove(from.1)) else {
            return;
        };
        let section = self.sections.entry(to.0.to_owned()).or_default();
        section.entry(to.1.to_owned()).or_insert(entries);
    }

    /// An option that is not set is what another one is.
    pub(super) fn copy_option(&mut self, from: (&str, &str), to: (&str, &str)) {
        let entries = self.entries(from.0, from.1).to_vec();
        if !entries.is_empty() {
            let section = self.sections.entry(to.0.to_owned()).or_default();
            section.entry(to.1.to_owned()).or_insert(entries);
        }
    }

    /// Replaces `$name`, `${name}`, `$section.name` in a value of `section` by
    /// what they stand for, `$$` and `\$` by a dollar. `default` tells what an
    /// option is that no file sets, if it is one at all.
    ///
    /// # Errors
    ///
    /// If a name is no option, or options refer to each other in a circle.
    pub(super) fn resolve(
        &self,
        section: &str,
        value: &str,
        default: &impl Fn(&str, &str) -> Option<String>,
    ) -> Result<String, &'static str> {
        self.resolve_within(section, value, default, 0)
    }

    fn resolve_within(
        &self,
        section: &str,
        value: &str,
        default: &impl Fn(&str, &str) -> Option<String>,
        depth: usize,
    ) -> Result<String, &'static str> {
        if depth > DEPTH_MAX {
            return Err("refers to other options in a circle");
        }
        let value = value.replace("\\$", "$$");
        let mut resolved = String::new();
        let mut rest = value.as_str();
        while let Some((before, after)) = rest.split_once('$') {
            resolved.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                resolved.push('$');
                rest = after;
            } else if let Some((name, after)) = reference(after) {
                let text = self.look_up(section, name, default, depth + 1)?;
                resolved.push_str(&text);
                rest = after;
            } else {
                resolved.push('$');
                rest = after;
            }
        }
        Ok(resolved + rest)
    }

    fn look_up(
        &self,
        section: &str,
        name: &str,
        default: &impl Fn(&str, &str) -> Option<String>,
        depth: usize,
    ) -> Result<String, &'static str> {
        let places = match name.split_once('.') {
            Some((section, option)) => [(section, option), ("DEFAULT", name)],
            None => [(section, name), ("DEFAULT", name)],
        };
        for (section, option) in places {
            if let Some(entry) = self.entries(section, option).last() {
                return self.resolve_within(section, &entry.value, default, depth);
            }
            if let Some(value) = default(section, option) {
                return Ok(value);
            }
        }
        Err("has a $ before the name of no option; a plain dollar is written $$")
    }
}

/// A name at the beginning of `text`, in braces or not, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('{').unwrap_or(text);
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_other = |c: char| is_first(c) || c.is_ascii_digit() || c == '.';
    inner.chars().next().filter(|&c| is_first(c))?;
    let end = inner.find(|c| !is_other(c)).unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    if inner.len() == text.len() {
        Some((name, rest))
    } else {
        Some((name, rest.strip_prefix('}')?))
    }
}

impl Lines<'_> {
    fn read(&mut self, number: usize, line: &str) -> Result<(), &'static str> {
        if line.is_empty() {
            self.close();
            return Ok(());
        }
        if line.starts_with([' ', '\t']) {
            let (_, _, lines) = self.open.as_mut().ok_or("it continues nothing")?;
            lines.push(line.trim_start().to_owned());
            return Ok(());
        }
        self.close();
        if let Some(name) = line.strip_prefix('[') {
            let name = name.strip_suffix(']').ok_or("a section must end with ]")?;
            if name.is_empty() {
                return Err("a section must have a name");
            }
            name.clone_into(&mut self.section);
        } else if !line.starts_with(['#', ';']) {
            let (name, value) =
                line.split_once(['=', ':']).ok_or("it is neither a section nor NAME = VALUE")?;
            if name.trim().is_empty() {
                return Err("it has no name before the = or :");
            }
            let value = unquoted(value.trim()).to_owned();
            self.open = Some((name.trim().to_owned(), number, vec![value]));
        }
        Ok(())
    }

    fn close(&mut self) {
        let Some((name, number, lines)) = self.open.take() else { return };
        let place = format!("{}, line {number}", self.path);
        let entry = Entry { value: lines.join("\n"), place };
        let section = self.ini.sections.entry(self.section.clone()).or_default();
        section.entry(name).or_default().push(entry);
    }
}

/// The value without the quotes around it, if there are any.
fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::Ini;

    fn read(text: &str) -> Ini {
        let mut ini = Ini::default();
        ini.add("zaqar.conf", text).unwrap();
        ini
    }

    fn value(ini: &Ini, section: &str, option: &str) -> String {
        ini.entries(section, option).last().unwrap().value.clone()
    }

    #[test]
    fn values_are_read_as_oslo_config_does() {
        let ini = read(
            "early = 1\n# comment\n; comment\n[a:b]\nx = one\n   two\n\t three  \n\ny: 'in quotes'\n\
             z=\"a = b\"\nw = it's\nempty =\nx = later\n[DEFAULT]\nlate=2",
        );
        assert_eq!(value(&ini, "DEFAULT", "early"), "1");
        assert_eq!(value(&ini, "DEFAULT", "late"), "2");
        let x = ini.entries("a:b", "x");
        assert_eq!((x[0].value.as_str(), x[1].value.as_str()), ("one\ntwo\nthree", "later"));
        assert_eq!(x[1].place, "zaqar.conf, line 13");
        assert_eq!(value(&ini, "a:b", "y"), "in quotes");
        assert_eq!(value(&ini, "a:b", "z"), "a = b");
        assert_eq!(value(&ini, "a:b", "w"), "it's");
        assert_eq!(value(&ini, "a:b", "empty"), "");
    }

    #[test]
    fn what_is_not_understood_is_named_without_its_value() {
        for (text, reason) in [
            ("[a", "a section must end with ]"),
            ("[]", "a section must have a name"),
            ("sesame", "it is neither a section nor NAME = VALUE"),
            (" sesame", "it continues nothing"),
            ("= sesame", "it has no name before the = or :"),
        ] {
            let error = Ini::default().add("f", &format!("# fine\n{text}\n")).unwrap_err();
            assert_eq!(error, format!("f, line 2: {reason}"));
        }
    }

    #[test]
    fn references_are_resolved() {
        let ini = read(
            "host = h\n[a]\nport = 1\nbase = $host:$port\n[b]\nport = 2\nx = 1\n\
             loop = $loop\nnone = $nothing\n",
        );
        let default =
            |section: &str, option: &str| (section == "b" && option == "y").then(|| "Y".to_owned());
        let resolve = |text: &str| ini.resolve("b", text, &default);
        for (text, resolved) in [
            ("plain", "plain"),
            ("$port-${host}", "2-h"),
            ("${a.base}/$a.port", "h:1/1"),
            ("$y", "Y"),
            ("$$port \\$port 5$ $5 ${x", "$port $port 5$ $5 ${x"),
        ] {
            assert_eq!(resolve(text).as_deref(), Ok(resolved), "{text}");
        }
        assert!(resolve("$loop").unwrap_err().contains("circle"));
        assert!(resolve("$none").unwrap_err().contains("no option"));
    }
}
