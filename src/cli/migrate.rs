//! `nusku migrate`: moving from Zaqar to nusku on the same database.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use actix_web::rt::System;
use clap::{Args, Subcommand};

use crate::config::{Flag, Settings, Sources};
use crate::storage::mongodb::inspect::{Inspection, inspect};

#[derive(Debug, Subcommand)]
pub(super) enum MigrateCommand {
    /// Reads a database of Zaqar and tells what nusku would treat in another way;
    /// changes nothing; exit code 1 if something stands in the way
    Check(CheckArgs),
}

/// Which database.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Where it is; as storage.uri if it is left out.
    #[arg(
        value_name = "URI",
        help = "The database: mongodb://HOSTS, as Zaqar's option uri; storage.uri if left out"
    )]
    uri: Option<String>,
    /// What the names of its databases begin with: Zaqar's option database
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// The same for the records of queues, if Zaqar's management store has another one
    #[arg(long, value_name = "NAME")]
    management_database: Option<String>,
    /// Databases that messages are spread over: Zaqar's option partitions
    #[arg(long, value_name = "NUMBER")]
    partitions: Option<u32>,
    /// A TOML file with settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(command: &MigrateCommand) -> ExitCode {
    let MigrateCommand::Check(args) = command;
    let settings = match Settings::load(&Sources::of_process(args.config.clone(), args.flags())) {
        Ok(settings) => settings.storage,
        Err(error) => return super::fail(&error),
    };
    let inspection = System::new().block_on(inspect(&settings.uri, &settings.mongodb));
    let inspection = match inspection {
        Ok(inspection) => inspection,
        Err(error) => return super::fail(&error),
    };
    let printed = super::print(&report(&inspection));
    match inspection.findings.hindrances().count() {
        0 => printed,
        _ => ExitCode::FAILURE,
    }
}

impl CheckArgs {
    fn flags(&self) -> Vec<Flag> {
        let text = |text: &Option<String>| text.as_deref().map(Into::into);
        [
            ("URI", "storage.uri", text(&self.uri)),
            ("--database", "storage.mongodb.database", text(&self.database)),
            (
                "--management-database",
                "storage.mongodb.management_database",
                text(&self.management_database),
            ),
            ("--partitions", "storage.mongodb.partitions", self.partitions.map(Into::into)),
        ]
        .into_iter()
        .filter_map(|(name, key, value)| Some(Flag { name, key, value: value? }))
        .collect()
    }
}

fn report(inspection: &Inspection) -> String {
    let Inspection { hosts, version, topology, database, queues, partitions, findings } =
        inspection;
    let mut text = format!("{hosts}: MongoDB {version}, {topology}\n{database}: {queues} queues\n");
    // Writing to a string does not fail.
    for it in partitions {
        let _ = writeln!(text, "{}: {} messages ({})", it.database, it.messages, it.driver);
    }
    for (title, findings) in [
        ("Different with nusku:", findings.differences().collect::<Vec<_>>()),
        ("Standing in the way:", findings.hindrances().collect()),
    ] {
        if !findings.is_empty() {
            let _ = writeln!(text, "\n{title}");
        }
        for finding in findings {
            let _ = writeln!(text, "  {finding}");
        }
    }
    let verdict = match findings.hindrances().count() {
        0 => "Nothing stands in the way of nusku.",
        _ => "Do not switch over before that is settled.",
    };
    text + "\n" + verdict + "\n"
}
