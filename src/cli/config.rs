//! `nusku config`: what the settings are, without starting anything.

use std::process::ExitCode;

use clap::Subcommand;

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
}

pub(super) fn run(command: &ConfigCommand) -> ExitCode {
    let ConfigCommand::Show { settings, reveal_secrets } = command;
    let settings = match settings.load() {
        Ok(settings) => settings,
        Err(error) => return super::fail(&error),
    };
    match settings.to_toml(*reveal_secrets) {
        Ok(text) => super::print(&text),
        Err(error) => super::fail(&error),
    }
}
