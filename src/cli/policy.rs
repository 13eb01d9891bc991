//! `nusku policy`: who may do what, without starting anything.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::bootstrap;
use crate::config::{PolicySettings, Settings, Sources};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Prints the rules in force as a policy file, the built-in ones included
    Show {
        #[command(flatten)]
        settings: SettingsFile,
    },
    /// Tells what is wrong with a policy file; exit code 1 if anything is
    Check {
        /// The file, in YAML or JSON
        file: PathBuf,
        #[command(flatten)]
        settings: SettingsFile,
    },
}

#[derive(Debug, Args)]
pub(super) struct SettingsFile {
    /// A TOML file with settings, for its section `policy`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(command: &PolicyCommand) -> ExitCode {
    let (PolicyCommand::Show { settings } | PolicyCommand::Check { settings, .. }) = command;
    let sources = Sources::of_process(settings.config.clone(), Vec::new());
    let settings = match Settings::load(&sources) {
        Ok(settings) => settings.policy,
        Err(error) => return super::fail(&error),
    };
    match command {
        PolicyCommand::Show { .. } => show(&settings),
        PolicyCommand::Check { file, .. } => {
            let file = Some(file.display().to_string());
            check(&PolicySettings { file, dirs: Vec::new(), ..settings })
        }
    }
}

fn show(settings: &PolicySettings) -> ExitCode {
    match bootstrap::policy(settings) {
        Ok((rules, _)) => super::print(&rules),
        Err(error) => super::fail(&error),
    }
}

fn check(settings: &PolicySettings) -> ExitCode {
    match bootstrap::policy(settings) {
        Ok((_, doubts)) if doubts.is_empty() => super::print("The policy is sound\n"),
        Ok((_, doubts)) => {
            super::print(&format!("The policy can be used, but:\n  {}\n", doubts.join("\n  ")))
        }
        Err(error) => super::fail(&error),
    }
}
