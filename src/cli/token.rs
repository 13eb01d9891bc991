//! `nusku token`: the tokens of `auth.strategy = "tokens"`. A running server
//! takes the changes by itself.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::settings::SettingsArgs;
use crate::clock::Clock;
use crate::model::Timestamp;
use crate::token_file::{self, NewToken, TokenEntry, TokenFile};

/// A day, in seconds.
const DAY: u32 = 86_400;

/// Which file.
#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// The file of tokens; without it, auth.tokens.file of the settings
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A TOML file with settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Makes a token and prints it; it is shown this one time and kept as a hash
    Create {
        /// The project of its bearer
        #[arg(long)]
        project: String,
        /// The name of its bearer
        #[arg(long)]
        user: Option<String>,
        /// A role of its bearer; as often as there are roles
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// When it ends: in so many DAYS, or a date (UTC) such as 2031-05-01
        #[arg(long, value_name = "DAYS|DATE")]
        expires: Option<String>,
        #[command(flatten)]
        file: FileArgs,
    },
    /// Shows whose tokens there are, not the tokens
    List {
        #[command(flatten)]
        file: FileArgs,
    },
    /// Takes a token away; it stops working within seconds
    Revoke {
        /// Its id, as `nusku token list` shows it
        id: String,
        #[command(flatten)]
        file: FileArgs,
    },
}

pub(super) fn run(command: TokenCommand) -> ExitCode {
    let (TokenCommand::Create { file, .. }
    | TokenCommand::List { file }
    | TokenCommand::Revoke { file, .. }) = &command;
    let path = match path(file) {
        Ok(path) => path,
        Err(reason) => return super::fail(&reason),
    };
    let now = Clock::system().now();
    let done = match command {
        TokenCommand::Create { project, user, roles, expires, .. } => {
            let expires = match expires.map(|text| end(&text, now)).transpose() {
                Ok(expires) => expires,
                Err(reason) => return super::fail(&reason),
            };
            token_file::create(&path, NewToken { project, user, roles, expires }).map(
                |(id, token)| {
                    eprintln!("nusku: token {id} is in {}, as a hash", path.display());
                    format!("{token}\n")
                },
            )
        }
        TokenCommand::List { .. } => TokenFile::read(&path).map(|file| table(file.entries(), now)),
        TokenCommand::Revoke { id, .. } => {
            token_file::revoke(&path, &id).map(|()| format!("Token {id} is revoked\n"))
        }
    };
    match done {
        Ok(text) => super::print(&text),
        Err(error) => super::fail(&error),
    }
}

fn path(args: &FileArgs) -> Result<PathBuf, String> {
    if let Some(file) = &args.file {
        return Ok(file.clone());
    }
    let settings = SettingsArgs::for_store(args.config.clone(), None).load();
    let file = settings.map_err(|error| error.to_string())?.auth.tokens.file;
    file.map(PathBuf::from).ok_or_else(|| "which file? --file or auth.tokens.file names it".into())
}

fn end(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let days = text.parse::<u32>().ok().and_then(|days| days.checked_mul(DAY));
    let end = days.map(|seconds| now.plus(seconds)).or_else(|| token_file::read_moment(text));
    end.filter(|end| *end > now)
        .ok_or_else(|| format!("--expires is {text:?}, expected 1 to 49710 days, or a date ahead"))
}

fn table(entries: &[TokenEntry], now: Timestamp) -> String {
    let mut text = format!("{:<14}{:<22}project / user / roles\n", "id", "expires");
    for TokenEntry { id, project, user, roles, expires } in entries {
        let expires = match expires {
            Some(end) if *end <= now => "over".to_owned(),
            Some(end) => token_file::write_moment(*end),
            None => "never".to_owned(),
        };
        let user = user.as_deref().unwrap_or("-");
        // Writing to a string does not fail.
        let _ = writeln!(text, "{id:<14}{expires:<22}{project} / {user} / {}", roles.join(","));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, end};

    #[test]
    fn an_end_is_days_ahead_or_a_date() {
        let now = Timestamp::from_seconds(1_813_971_106);
        assert_eq!(end("90", now), Ok(now.plus(90 * 86_400)));
        assert_eq!(end("2027-06-26T02:51:47+02:00", now), Ok(now.plus(1)));
        for text in ["0", "-1", "49711", "2027-06-26", "soon", ""] {
            assert!(end(text, now).unwrap_err().contains("49710 days"), "{text}");
        }
    }
}
