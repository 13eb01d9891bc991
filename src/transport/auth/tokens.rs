//! Callers that a file of tokens vouches for.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::{AuthError, Presented, Vouched};
use crate::clock::Clock;
use crate::token_file::{TokenFile, TokenFileError};

/// The tokens of a file, as it was when it was last good.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    current: RwLock<TokenFile>,
    clock: Clock,
}

impl Tokens {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// If it is not there or not good.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, TokenFileError> {
        let current = RwLock::new(TokenFile::read(path)?);
        Ok(Self { path: path.to_owned(), current, clock })
    }

    /// Reads the file again. One that is gone or not good changes nothing: whoever
    /// was in stays in, and the log tells.
    pub fn reload(&self) {
        match TokenFile::read(&self.path) {
            Ok(file) => {
                tracing::info!(tokens = file.entries().len(), "the token file was read again");
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = file;
            }
            Err(error) => tracing::error!(%error, "the tokens stay as they were"),
        }
    }

    /// Whose the token is.
    ///
    /// # Errors
    ///
    /// [`AuthError::Unauthorized`].
    pub fn vouch(&self, shown: &Presented<'_>) -> Result<Vouched, AuthError> {
        let token = shown.token.or(shown.bearer).ok_or(AuthError::Unauthorized)?;
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let found = current.bearer_until(token, self.clock.now());
        let (identity, expires) = found.ok_or(AuthError::Unauthorized)?;
        Ok(Vouched { identity: Arc::clone(identity), expires })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::token_file::{self, NewToken};

    #[test]
    fn a_file_that_is_broken_or_gone_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens.toml");
        let new = || NewToken {
            project: "acme".to_owned(),
            user: None,
            roles: Vec::new(),
            expires: None,
        };
        let (_, token) = token_file::create(&path, new()).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        let tokens = Tokens::open(&path, Clock::system()).unwrap();
        let is_in = |token: &str| {
            let shown = Presented { token: Some(token), ..Presented::default() };
            tokens.vouch(&shown).is_ok()
        };
        fs::write(&path, format!("{good}\n[[token]]\nid = \"half")).unwrap();
        tokens.reload();
        assert!(is_in(&token));
        fs::remove_file(&path).unwrap();
        tokens.reload();
        assert!(is_in(&token));
        fs::write(&path, "").unwrap();
        tokens.reload();
        assert!(!is_in(&token), "an empty file is a good one");
    }
}
