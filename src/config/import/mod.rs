//! From Zaqar's configuration to ours.
//!
//! Every option that a file sets ends in one of two places: as a setting, with a
//! comment that says where it came from, or as a finding, with the reason. What
//! an operator relies on and nusku cannot do is a finding that stands in the way.

mod combined;
mod convert;
mod ini;
mod mail;
mod options;
mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Value;

use self::ini::Ini;
use self::options::{Fate, Kind};
use super::{ConfigError, DEFAULTS, Settings};

pub use report::table;

/// What came of some files.
#[derive(Debug, Default)]
pub struct Import {
    /// The settings, by their full names.
    settings: BTreeMap<String, Carried>,
    findings: Vec<Finding>,
}

/// A setting.
#[derive(Clone, Debug)]
struct Carried {
    value: Value,
    /// Where it came from, for the comment.
    from: String,
}

/// What became of an option, if it did not become a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    option: String,
    place: String,
    judgement: Judgement,
    note: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    /// An operator should decide about it before switching over.
    Blocking,
    /// There is nothing like it.
    Lost,
    /// Nothing is lost with it.
    Needless,
    /// Zaqar has no such option.
    Unknown,
}

/// Why nothing could be imported; one clear sentence, without any value.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file is not there or not to be read.
    #[error("cannot read {}: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// A file is not a configuration of Zaqar.
    #[error("{0}")]
    Syntax(String),
    /// The defaults of this program are wrong, which a test rules out.
    #[error(transparent)]
    Defaults(#[from] ConfigError),
}

type Result<T> = std::result::Result<T, Finding>;

/// Reads the files, of which later ones count more, and finds the settings that
/// make nusku do what Zaqar does under them.
///
/// # Errors
///
/// If a file cannot be read at all. Whatever is wrong with single options is in
/// the result.
pub fn import(paths: &[PathBuf]) -> std::result::Result<Import, ImportError> {
    let mut texts = Vec::new();
    for path in paths {
        let unreadable = |reason| ImportError::Unreadable { path: path.clone(), reason };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        texts.push((path.display().to_string(), text));
    }
    let directory = paths.first().and_then(|path| path.parent()).unwrap_or(Path::new(""));
    import_texts(&texts, directory)
}

/// Does what [`import`] does with files that are read already, each with its
/// name; `directory` is that of the first one, in which policies are looked for.
///
/// # Errors
///
/// As [`import`].
pub fn import_texts(
    texts: &[(String, String)],
    directory: &Path,
) -> std::result::Result<Import, ImportError> {
    let mut ini = Ini::default();
    for (name, text) in texts {
        ini.add(name, text).map_err(ImportError::Syntax)?;
    }
    combined::prepare(&mut ini);
    for (from, to) in options::RENAMED {
        ini.rename_option(*from, *to);
    }
    let reader = Reader { ini: &ini };
    let mut import = Import::default();
    for (section, name) in ini.options() {
        match reader.judge(section, name) {
            Ok(Some((key, carried))) => drop(import.settings.insert(key, carried)),
            Ok(None) => {}
            Err(finding) => import.findings.push(finding),
        }
    }
    combined::carry(&reader, directory, &mut import);
    import.leave_out_defaults()?;
    import.leave_out_what_does_not_fit();
    Ok(import)
}

/// Options as Zaqar reads them.
struct Reader<'a> {
    ini: &'a Ini,
}

impl Reader<'_> {
    /// What becomes of one option: a setting, nothing by itself, or a finding.
    fn judge(&self, section: &str, name: &str) -> Result<Option<(String, Carried)>> {
        let finding = |judgement, note: &str| Finding {
            option: option(section, name),
            place: self.place(section, name),
            judgement,
            note: note.to_owned(),
        };
        let Some(row) = options::find(section, name) else {
            let note = "Zaqar has no such option and ignores it";
            return Err(finding(Judgement::Unknown, note));
        };
        if !combined::is_in_use(self, section) {
            return Err(finding(Judgement::Needless, combined::NOT_IN_USE));
        }
        match row.fate {
            Fate::Combined(_) => Ok(None),
            Fate::Needless(why) => Err(finding(Judgement::Needless, why)),
            Fate::Lost(_) | Fate::Blocking(_) if self.is(section, name, row.default)? => {
                Err(finding(Judgement::Needless, "it has its default"))
            }
            Fate::Lost(why) => Err(finding(Judgement::Lost, why)),
            Fate::Blocking(why) => Err(finding(Judgement::Blocking, why)),
            Fate::Copied(key, kind) => {
                let Some(text) = self.value(section, name)? else { return Ok(None) };
                // Nothing is to Zaqar what unset is.
                if text.trim().is_empty() && kind == Kind::Text {
                    return Ok(None);
                }
                let value = convert::convert(&text, kind);
                let value = value.map_err(|what| self.unreadable(section, name, what))?;
                Ok(Some((key.to_owned(), Carried { value, from: self.place(section, name) })))
            }
        }
    }

    /// The value that counts, with what it refers to.
    fn value(&self, section: &str, name: &str) -> Result<Option<String>> {
        Ok(self.values(section, name)?.pop())
    }

    /// All values of an option that may be given several times.
    fn values(&self, section: &str, name: &str) -> Result<Vec<String>> {
        let default = |section: &str, name: &str| {
            options::find(section, name).map(|row| row.default.to_owned())
        };
        let entries = self.ini.entries(section, name).iter();
        let values = entries.map(|entry| self.ini.resolve(section, &entry.value, &default));
        values.collect::<std::result::Result<_, _>>().map_err(|reason| Finding {
            option: option(section, name),
            place: self.place(section, name),
            judgement: Judgement::Blocking,
            note: format!("its value {reason}"),
        })
    }

    fn is(&self, section: &str, name: &str, default: &str) -> Result<bool> {
        let value = self.value(section, name)?.unwrap_or_default();
        let (value, default) = (value.trim(), default.trim());
        let same = value.eq_ignore_ascii_case(default);
        let as_boolean = convert::boolean(value);
        Ok(same || (as_boolean.is_some() && as_boolean == convert::boolean(default)))
    }

    /// Where the value that counts stands.
    fn place(&self, section: &str, name: &str) -> String {
        let entry = self.ini.entries(section, name).last();
        entry.map_or_else(|| "Zaqar's default".to_owned(), |entry| entry.place.clone())
    }

    fn unreadable(&self, section: &str, name: &str, expected: &str) -> Finding {
        Finding {
            option: option(section, name),
            place: self.place(section, name),
            judgement: Judgement::Blocking,
            note: format!("its value is not {expected}"),
        }
    }
}

impl Import {
    /// How many findings stand in the way.
    #[must_use]
    pub fn hindrances(&self) -> usize {
        self.of(Judgement::Blocking).count()
    }

    /// Notes that the policy would be refused, and why.
    pub fn refuse_policy(&mut self, reason: &str) {
        let from = self.settings.get("policy.file").or(self.settings.get("policy.dirs"));
        self.findings.push(Finding {
            option: option("oslo_policy", "policy_file"),
            place: from.map_or_else(String::new, |carried| carried.from.clone()),
            judgement: Judgement::Blocking,
            note: reason.to_owned(),
        });
    }

    fn of(&self, judgement: Judgement) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.judgement == judgement)
    }

    fn set(&mut self, key: &str, value: impl Into<Value>, from: String) {
        self.settings.insert(key.to_owned(), Carried { value: value.into(), from });
    }

    /// Keeps a file short: what is the default need not be said.
    fn leave_out_defaults(&mut self) -> std::result::Result<(), ConfigError> {
        let defaults = report::parse(DEFAULTS)?;
        self.settings.retain(|key, carried| {
            let default = key.split('.').try_fold(&defaults, |table, name| table.get(name));
            default != Some(&carried.value)
        });
        Ok(())
    }

    /// Values that Zaqar takes and nusku does not are findings.
    fn leave_out_what_does_not_fit(&mut self) {
        while let Err(error) = Settings::parse("the result", &self.to_toml(true)) {
            let key = match &error {
                ConfigError::BadValue { key, .. } | ConfigError::UnknownKey { key, .. } => key,
                _ => "",
            };
            let carried = self.settings.remove(key);
            let note = match &error {
                ConfigError::BadValue { expected, .. } => format!("{key} must be {expected}"),
                other => other.to_string(),
            };
            self.findings.push(Finding {
                option: format!("setting {key}"),
                place: carried.as_ref().map_or("needed".to_owned(), |it| it.from.clone()),
                judgement: Judgement::Blocking,
                note,
            });
            if carried.is_none() {
                return;
            }
        }
    }
}

/// How an option is called in messages.
fn option(section: &str, name: &str) -> String {
    format!("[{section}] {name}")
}

#[cfg(test)]
mod tests {
    use super::options::{Fate, all};
    use super::*;

    #[test]
    fn every_option_goes_into_a_setting_that_exists() {
        let defaults = crate::config::Settings::defaults().unwrap();
        let defaults = toml::Value::try_from(&defaults).unwrap();
        for (section, row) in all() {
            let Fate::Copied(key, _) = row.fate else { continue };
            let documented = DEFAULTS.lines().any(|line| {
                let name = key.rsplit('.').next().unwrap();
                line.trim_start_matches("# ").starts_with(&format!("{name} = "))
            });
            let (table, _) = key.rsplit_once('.').unwrap_or(("", key));
            let mut names = table.split('.').filter(|name| !name.is_empty());
            let table = names.try_fold(&defaults, |table, name| table.get(name));
            assert!(documented && table.is_some(), "[{section}] {}: {key}", row.name);
        }
    }

    #[test]
    fn no_option_is_there_twice() {
        let mut names: Vec<_> = all().map(|(section, row)| (section, row.name)).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(count > 200);
    }
}
