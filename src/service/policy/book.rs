//! The policy in force, and the files it comes from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::{Fault, FileFault, Policy, RuleFile, read};
use crate::config::PolicySettings;
use crate::service::access::actions;

/// Holds the policy in force, which can be replaced while it is asked.
#[derive(Debug)]
pub struct PolicyBook {
    settings: PolicySettings,
    current: ArcSwap<Policy>,
}

/// Why there is no policy; one clear sentence.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A file or directory is not there or not to be read.
    #[error("cannot read the policy in {}: {reason}", .path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// A rule is wrong.
    #[error("the policy is wrong: {0}")]
    Wrong(#[from] FileFault),
}

impl PolicyBook {
    /// The policy that `settings` name.
    ///
    /// # Errors
    ///
    /// [`PolicyError`], if there is anything wrong with it.
    pub fn open(settings: &PolicySettings) -> Result<Self, PolicyError> {
        let policy = load(settings)?;
        tell(&policy);
        Ok(Self { settings: settings.clone(), current: ArcSwap::from_pointee(policy) })
    }

    /// The built-in rules.
    #[must_use]
    pub fn built_in() -> Self {
        let policy = Policy::new(&built_in(), &[], "").unwrap_or_else(|fault| {
            // A test rules it out; and then nobody may do anything.
            tracing::error!(%fault, "the built-in policy is wrong");
            Policy::default()
        });
        let settings = PolicySettings::default();
        Self { settings, current: ArcSwap::from_pointee(policy) }
    }

    /// The policy in force.
    pub fn current(&self) -> Guard<Arc<Policy>> {
        self.current.load()
    }

    /// Reads the files again. If there is anything wrong with them, the policy
    /// in force stays, and the log says so.
    pub fn reload(&self) {
        match load(&self.settings) {
            Ok(policy) => {
                tell(&policy);
                self.current.store(Arc::new(policy));
                tracing::info!("the policy was read again");
            }
            Err(error) => tracing::error!(%error, "the last good policy stays in force"),
        }
    }
}

/// The policy that `settings` name.
///
/// # Errors
///
/// [`PolicyError`], if there is anything wrong with it.
pub fn load(settings: &PolicySettings) -> Result<Policy, PolicyError> {
    let mut files = Vec::new();
    if let Some(file) = &settings.file {
        files.push(read_file(Path::new(file))?);
    }
    for directory in &settings.dirs {
        for path in files_in(Path::new(directory))? {
            files.push(read_file(&path)?);
        }
    }
    Ok(Policy::new(&built_in(), &files, &settings.default_rule)?)
}

fn built_in() -> Vec<(&'static str, &'static str)> {
    actions::ALL.iter().map(|action| (action.name, action.default)).collect()
}

fn read_file(path: &Path) -> Result<RuleFile, PolicyError> {
    let text = std::fs::read(path).map_err(unreadable(path))?;
    let shown = path.display().to_string();
    let rules = match String::from_utf8(text) {
        Ok(text) => read(&text),
        Err(error) => {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + memchr::memchr_iter(b'\n', valid).count();
            Err(Fault::new(line, "this is not UTF-8".to_owned()))
        }
    };
    match rules {
        Ok(rules) => Ok(RuleFile { path: shown, rules }),
        Err(fault) => Err(FileFault { path: shown, fault }.into()),
    }
}

/// The files of a directory in the order of their names; not hidden ones, and
/// none of the directories in it.
fn files_in(directory: &Path) -> Result<Vec<PathBuf>, PolicyError> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable(directory))? {
        let entry = entry.map_err(unreadable(directory))?;
        let path = entry.path();
        if !entry.file_name().as_encoded_bytes().starts_with(b".") && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> PolicyError {
    move |reason| PolicyError::Unreadable { path: path.to_owned(), reason }
}

fn tell(policy: &Policy) {
    for warning in policy.warnings() {
        tracing::warn!("{warning}");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::Identity;
    use crate::service::access::{Action, actions};
    use crate::service::policy::Target;
    use crate::service::tests::fake::queue;

    fn get_queue() -> usize {
        actions::GetQueue::index(&queue("q"))
    }

    fn allowed(book: &PolicyBook) -> bool {
        book.current().allows(get_queue(), &Identity::default(), &Target::default())
    }

    #[test]
    fn the_built_in_rules_are_zaqars() {
        let book = PolicyBook::built_in();
        let policy = book.current();
        assert_eq!(policy.warnings(), [""; 0]);
        for (index, action) in actions::ALL.iter().enumerate() {
            let admin = Identity { roles: vec!["Admin".to_owned()], ..Identity::default() };
            assert!(policy.allows(index, &admin, &Target::default()), "{}", action.name);
            assert_eq!(policy.is_open(index), action.default.is_empty(), "{}", action.name);
        }
    }

    #[test]
    fn a_broken_file_keeps_the_last_good_rules() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy.yaml");
        let file = Some(path.display().to_string());
        let settings = PolicySettings { file, ..PolicySettings::default() };
        assert!(PolicyBook::open(&settings).unwrap_err().to_string().contains("cannot read"));
        fs::write(&path, "queues:get: '!'").unwrap();
        let book = PolicyBook::open(&settings).unwrap();
        assert!(!allowed(&book));
        for broken in ["queues:get: nonsense", "queues:get: [", "\u{feff}\u{0}", "- x"] {
            fs::write(&path, broken).unwrap();
            book.reload();
            assert!(!allowed(&book), "{broken:?}");
            assert!(PolicyBook::open(&settings).is_err(), "{broken:?}");
        }
        fs::write(&path, b"a: '@'\nb: '\xff'").unwrap();
        let error = PolicyBook::open(&settings).unwrap_err().to_string();
        assert!(error.ends_with("policy.yaml, line 2: this is not UTF-8"), "{error}");
        fs::write(&path, "queues:get: '@'").unwrap();
        book.reload();
        assert!(allowed(&book));
        fs::remove_file(&path).unwrap();
        book.reload();
        assert!(allowed(&book));
    }

    #[test]
    fn directories_come_after_the_file_in_the_order_of_names() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        write("10.yaml", "queues:get: '@'");
        write("20.yaml", "queues:get: '!'");
        write(".30.yaml", "queues:get: '@'");
        fs::create_dir(directory.path().join("40")).unwrap();
        let dirs = vec![directory.path().display().to_string()];
        let settings = PolicySettings { dirs, ..PolicySettings::default() };
        let book = PolicyBook::open(&settings).unwrap();
        assert!(!allowed(&book));
        write("20.yaml", "{}");
        book.reload();
        assert!(allowed(&book));
    }
}
