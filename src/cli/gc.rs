//! `nusku gc --once`: one round of garbage collection, without a server.

use std::path::PathBuf;
use std::process::ExitCode;

use actix_web::rt::System;
use clap::Args;

use super::logging;
use super::settings::SettingsArgs;
use crate::bootstrap;
use crate::clock::Clock;

/// Which store, and that it is to be done once.
#[derive(Debug, Args)]
pub(super) struct GcArgs {
    /// Do one round and end; a server does one every gc.interval by itself
    #[arg(long, required = true)]
    once: bool,
    /// A TOML file with settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The store.
    #[arg(
        long,
        value_name = "URI",
        help = "The store: embedded:DIRECTORY, which no server may have open, or mongodb://HOSTS"
    )]
    storage: Option<String>,
}

pub(super) fn run(args: &GcArgs) -> ExitCode {
    let settings = SettingsArgs::for_store(args.config.clone(), args.storage.clone()).load();
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => return super::fail(&error),
    };
    if let Err(error) = logging::start(&settings.log) {
        return super::fail(&error);
    }
    let clock = Clock::system();
    match System::new().block_on(bootstrap::collect(&settings, &clock)) {
        Ok(1) => super::print("1 message was collected\n"),
        Ok(messages) => super::print(&format!("{messages} messages were collected\n")),
        Err(error) => super::fail(&error),
    }
}
