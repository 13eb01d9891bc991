//! `nusku config import`: from Zaqar's configuration to settings.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::bootstrap;
use crate::config::Settings;
use crate::config::import::{Import, import, table};

/// What to read, and where to write.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// Zaqar's files, zaqar.conf first; what later ones say counts more
    #[arg(required_unless_present = "list")]
    files: Vec<PathBuf>,
    /// A new file for the settings, which only its owner may read; stdout if left
    /// out, without secrets
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print secrets too
    #[arg(long)]
    reveal_secrets: bool,
    /// Make settings even though something stands in the way
    #[arg(long)]
    force: bool,
    /// Print what becomes of every option there is
    #[arg(long, conflicts_with_all = ["files", "output", "reveal_secrets", "force"])]
    list: bool,
}

pub(super) fn run(args: &ImportArgs) -> ExitCode {
    if args.list {
        return super::print(&table());
    }
    let mut import = match import(&args.files) {
        Ok(import) => import,
        Err(error) => return super::fail(&error),
    };
    check_policy(&mut import);
    // Not to stdout, where the settings may go.
    eprint!("{}", import.report());
    let hindrances = import.hindrances();
    if hindrances > 0 && !args.force {
        let what = if hindrances == 1 { "1 thing stands" } else { "some things stand" };
        return super::fail(&format_args!("{what} in the way; --force makes settings without"));
    }
    match &args.output {
        None => super::print(&import.to_toml(args.reveal_secrets)),
        Some(path) => match write(path, &import.to_toml(true)) {
            Ok(()) => super::print(&format!("The settings are in {}\n", path.display())),
            Err(error) => super::fail(&format_args!("cannot write {}: {error}", path.display())),
        },
    }
}

/// A policy that Zaqar only logs about would keep nusku from starting.
fn check_policy(import: &mut Import) {
    let Ok(settings) = Settings::parse("the result", &import.to_toml(true)) else { return };
    if let Err(error) = bootstrap::policy(&settings.policy) {
        import.refuse_policy(&error.to_string());
    }
}

/// Writes a file that is not there yet, for nobody else to read.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
