//! `nusku store`: looking after the embedded store, whether or not a server
//! has it open.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::settings::SettingsArgs;
use crate::config::shown_uri;
use crate::storage::embedded::admin::{self, CheckReport, Inspection, QueueInspection};

/// Which store.
#[derive(Debug, Args)]
pub(super) struct StoreArgs {
    /// A TOML file with settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The store: embedded:DIRECTORY
    #[arg(long, value_name = "URI")]
    storage: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Reads all of the store and names every damage; exit code 1 if there is any
    Check {
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Shows the queues, how many messages they hold, and sizes in bytes
    Inspect {
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Writes a consistent copy to a new file, while the server goes on
    Backup {
        /// The file to make; as nusku.db in an empty directory it is a store again
        file: PathBuf,
        #[command(flatten)]
        store: StoreArgs,
    },
}

pub(super) fn run(command: &StoreCommand) -> ExitCode {
    let (StoreCommand::Check { store }
    | StoreCommand::Inspect { store }
    | StoreCommand::Backup { store, .. }) = command;
    let directory = match directory(store) {
        Ok(directory) => directory,
        Err(reason) => return super::fail(&reason),
    };
    match command {
        StoreCommand::Check { .. } => check(&directory),
        StoreCommand::Inspect { .. } => match admin::inspect(&directory) {
            Ok(inspection) => super::print(&table(&inspection)),
            Err(error) => super::fail(&error),
        },
        StoreCommand::Backup { file, .. } => match admin::backup(&directory, file) {
            Ok(()) => super::print(&format!("The store is copied to {}\n", file.display())),
            Err(error) => super::fail(&error),
        },
    }
}

fn directory(store: &StoreArgs) -> Result<PathBuf, String> {
    let args = SettingsArgs::for_store(store.config.clone(), store.storage.clone());
    let settings = args.load().map_err(|error| error.to_string())?;
    let uri = settings.storage.uri;
    match uri.strip_prefix("embedded:") {
        Some(directory) => Ok(directory.into()),
        None => Err(format!(
            "storage.uri is {:?}: only an embedded: store can be looked into",
            shown_uri(&uri)
        )),
    }
}

fn check(directory: &Path) -> ExitCode {
    match admin::check(directory) {
        Ok(CheckReport { file, faults }) if faults.is_empty() => {
            super::print(&format!("{} is sound\n", file.display()))
        }
        Ok(CheckReport { file, faults }) => {
            super::fail(&format!("{} is damaged:\n  {}", file.display(), faults.join("\n  ")))
        }
        Err(error) => super::fail(&error),
    }
}

fn table(inspection: &Inspection) -> String {
    let Inspection { file, file_bytes, log_bytes, unused_bytes, queues } = inspection;
    let mut text = format!(
        "{}\nbytes: {file_bytes} in the file ({unused_bytes} of them unused), {log_bytes} in the \
         log\n{} queues\n",
        file.display(),
        queues.len()
    );
    if !queues.is_empty() {
        text.push_str("     ready   claimed   delayed    body bytes  project / queue\n");
    }
    for QueueInspection { project, name, ready, claimed, delayed, body_bytes } in queues {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{ready:>10}{claimed:>10}{delayed:>10}{body_bytes:>14}  {project} / {name}"
        );
    }
    text
}
