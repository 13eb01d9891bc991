//! Changes to a file of tokens, each whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};
use uuid::Uuid;

use super::{
    ALGORITHM, PREFIX, TokenEntry, TokenFile, TokenFileError, hash, write_digits, write_moment,
};
use crate::model::Timestamp;

/// What a new file begins with.
const HEADER: &str = "# Tokens of nusku, as hashes. `nusku token` adds and revokes them.\n";

/// Who may read a new file: its owner.
const MODE: u32 = 0o600;

/// A token to be made.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// The project of its bearer.
    pub project: String,
    /// The name of its bearer.
    pub user: Option<String>,
    /// The roles of its bearer.
    pub roles: Vec<String>,
    /// When it ends, if it does.
    pub expires: Option<Timestamp>,
}

/// Adds a token to the file at `path`, which is made if there is none; returns
/// its id and the token itself, which is nowhere else.
///
/// # Errors
///
/// [`TokenFileError`]; nothing is changed then.
pub fn create(path: &Path, new: NewToken) -> Result<(String, String), TokenFileError> {
    let fail = |reason: &dyn ToString| TokenFileError::new(path, reason.to_string());
    let NewToken { project, user, roles, expires } = new;
    let id = Uuid::new_v4().simple().to_string()[..12].to_owned();
    let entry = TokenEntry { id, project, user, roles, expires };
    entry.check().map_err(|reason| fail(&reason))?;
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| fail(&error))?;
    let token = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random));
    change(path, |document| {
        let table = table(&entry, &token)?;
        let tokens = document.entry("token").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
        tokens.as_array_of_tables_mut().ok_or("token is no list of tables")?.push(table);
        Ok(())
    })?;
    Ok((entry.id, token))
}

/// Takes the token with this id out of the file at `path`.
///
/// # Errors
///
/// [`TokenFileError`], also if there is none; nothing is changed then.
pub fn revoke(path: &Path, id: &str) -> Result<(), TokenFileError> {
    if !path.exists() {
        return Err(TokenFileError::new(path, "it does not exist"));
    }
    change(path, |document| {
        let tokens = document.get_mut("token").and_then(Item::as_array_of_tables_mut);
        let tokens = tokens.ok_or("it has no tokens")?;
        let is_it = |table: &Table| table.get("id").and_then(Item::as_str) == Some(id);
        let before = tokens.len();
        tokens.retain(|table| !is_it(table));
        if tokens.len() < before { Ok(()) } else { Err(format!("it has no token {id:?}")) }
    })
}

fn table(entry: &TokenEntry, token: &str) -> Result<Table, String> {
    let TokenEntry { id, project, user, roles, expires } = entry;
    let mut table = Table::new();
    table.insert("id", value(id));
    table.insert("hash", value(format!("{ALGORITHM}{}", write_digits(hash(token)))));
    table.insert("project", value(project));
    if let Some(user) = user {
        table.insert("user", value(user));
    }
    table.insert("roles", value(roles.iter().collect::<toml_edit::Array>()));
    if let Some(expires) = expires {
        let moment: toml_edit::Datetime =
            write_moment(*expires).parse().map_err(|_| "expires is too far away")?;
        table.insert("expires", value(moment));
    }
    Ok(table)
}

/// Changes the file by `edit`, comments and all else left as they are. What does
/// not make a good file of a good one is not written.
fn change(
    path: &Path,
    edit: impl FnOnce(&mut DocumentMut) -> Result<(), String>,
) -> Result<(), TokenFileError> {
    let fail = |reason: String| TokenFileError::new(path, reason);
    // What a link points to is replaced, not the link.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // The directory and not the file is locked: the file is another one afterwards.
    let lock = File::open(directory).map_err(|error| fail(error.to_string()))?;
    lock.lock().map_err(|error| fail(error.to_string()))?;
    let before = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => HEADER.to_owned(),
        Err(error) => return Err(fail(error.to_string())),
    };
    TokenFile::parse(&before).map_err(fail)?;
    let mut document: DocumentMut = before.parse().map_err(|_| fail("it is no TOML".to_owned()))?;
    edit(&mut document).map_err(fail)?;
    let after = document.to_string();
    TokenFile::parse(&after).map_err(fail)?;
    replace(path, directory, &after).map_err(|error| fail(error.to_string()))?;
    lock.sync_all().map_err(|error| fail(error.to_string()))
}

/// Puts `text` in the place of the file at `path`, with its owner and its mode.
fn replace(path: &Path, directory: &Path, text: &str) -> io::Result<()> {
    let partial = Partial(directory.join(format!(".{}.partial", Uuid::new_v4().simple())));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&partial.0)?;
    file.write_all(text.as_bytes())?;
    if let Ok(old) = fs::metadata(path) {
        fchown(&file, Some(old.uid()), Some(old.gid()))?;
        file.set_permissions(Permissions::from_mode(old.mode() & 0o777))?;
    }
    file.sync_all()?;
    fs::rename(&partial.0, path)
}

/// A file that nobody needs if its writer fails.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // Once it has its real name there is nothing to remove.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(project: &str) -> NewToken {
        let roles = vec!["member".to_owned(), "reader".to_owned()];
        NewToken { project: project.to_owned(), user: None, roles, expires: None }
    }

    #[test]
    fn what_is_made_works_until_it_is_revoked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens.toml");
        let now = Timestamp::from_seconds(1_813_971_106);
        let (first, one) = create(&path, new("a\"b\\c/é")).unwrap();
        let expires = Some(now.plus(86_400));
        let (second, two) = create(&path, NewToken { expires, ..new("acme") }).unwrap();
        assert_ne!((&first, &one), (&second, &two));
        assert!(one.starts_with("nsk_") && one.len() == 47, "{one}");

        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&one) && !text.contains(&two), "{text}");
        let file = TokenFile::read(&path).unwrap();
        let project = |token: &str| {
            file.bearer(token, now).and_then(|it| it.project_id.clone()).unwrap().to_string()
        };
        assert_eq!((project(&one), project(&two)), ("a\"b\\c/é".to_owned(), "acme".to_owned()));
        assert_eq!(file.entries()[1].expires, expires);

        revoke(&path, &first).unwrap();
        let file = TokenFile::read(&path).unwrap();
        assert!(file.bearer(&one, now).is_none() && file.bearer(&two, now).is_some());
        assert!(revoke(&path, &first).unwrap_err().to_string().contains("has no token"));
    }

    #[test]
    fn comments_mode_and_links_survive_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("real"), directory.path().join("link"));
        create(&path, new("acme")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("# of the night shift\n");
        fs::write(&path, &text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        create(&link, new("acme")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert!(fs::read_to_string(&path).unwrap().contains("# of the night shift"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing is left behind");
    }

    #[test]
    fn a_broken_file_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens.toml");
        for text in ["[[token]]\nid = \"x\"\n", "token = [\n"] {
            fs::write(&path, text).unwrap();
            create(&path, new("acme")).unwrap_err();
            revoke(&path, "x").unwrap_err();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::remove_file(&path).unwrap();
        create(&path, new("")).unwrap_err();
        revoke(&path, "x").unwrap_err();
        create(&directory.path().join("none/tokens.toml"), new("acme")).unwrap_err();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn many_at_a_time_lose_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens.toml");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| create(&path, new("acme")).unwrap());
            }
        });
        assert_eq!(TokenFile::read(&path).unwrap().entries().len(), 8);
    }
}
