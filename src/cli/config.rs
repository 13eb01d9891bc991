//! `nusku config`: what the settings are, without starting anything.

use std::process::ExitCode;

use clap::Subcommand;

use super::import::{self, ImportArgs};
use super::settings::SettingsArgs;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Checks the settings and prints those in force as a TOML file.
    Show {
        #[command(flatten)]
        settings: SettingsArgs,
        /// Print secrets too
        #[arg(long)]
        reveal_secrets: bool,
    },
    /// Makes settings of Zaqar's configuration and tells what has no equivalent;
    /// exit code 1 and no settings if that is something to decide about first
    Import(ImportArgs),
}

pub(super) fn run(command: &ConfigCommand) -> ExitCode {
    match command {
        ConfigCommand::Show { settings, reveal_secrets } => show(settings, *reveal_secrets),
        ConfigCommand::Import(args) => import::run(args),
    }
}

fn show(settings: &SettingsArgs, reveal_secrets: bool) -> ExitCode {
    let settings = match settings.load() {
        Ok(settings) => settings,
        Err(error) => return super::fail(&error),
    };
    match settings.to_toml(reveal_secrets) {
        Ok(text) => super::print(&text),
        Err(error) => super::fail(&error),
    }
}
