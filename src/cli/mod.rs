//! The command line.
//!
//! One file per command. Each turns its arguments into a call of the library
//! and the outcome into an exit code: 0 done, 1 failed, 2 wrongly called. What
//! a command was asked for goes to stdout; why it failed goes to stderr, as
//! one sentence.

mod config;
mod gc;
mod import;
mod logging;
mod migrate;
mod ping;
mod policy;
mod serve;
mod settings;
mod store;
mod token;

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use actix_web::rt::System;
use clap::{Parser, Subcommand};

use crate::bench::{self, BenchArgs};

/// A multi-tenant message queuing server with claims, compatible with
/// OpenStack Zaqar's API v2.
#[derive(Debug, Parser)]
#[command(name = "nusku", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: settings::SettingsArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server; what `nusku` does without a command.
    Serve(settings::SettingsArgs),
    /// Tells about the settings.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Looks after the embedded store
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Collects what expired or was deleted with its queue
    Gc(gc::GcArgs),
    /// Moving from Zaqar to nusku on the same database
    #[command(subcommand)]
    Migrate(migrate::MigrateCommand),
    /// Tells who may do what
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Looks after the tokens of callers, where there is no Keystone
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Asks a running server whether it and its store answer.
    Ping(ping::PingArgs),
    /// Puts load on a server, nusku or another one with the v2 API.
    Bench(Box<BenchArgs>),
}

/// Runs the program with the arguments of this process.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(args) => serve::run(&args),
        Command::Config(command) => config::run(&command),
        Command::Store(command) => store::run(&command),
        Command::Gc(args) => gc::run(&args),
        Command::Migrate(command) => migrate::run(&command),
        Command::Policy(command) => policy::run(&command),
        Command::Token(command) => token::run(command),
        Command::Ping(args) => ping::run(&args),
        Command::Bench(args) => System::new().block_on(bench::run(*args)),
    }
}

/// Prints `text` for the caller. A reader that has gone away is no reason to
/// panic, as `println!` would; the command just cannot say that it succeeded.
fn print(text: &str) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Says why the command failed.
fn fail(reason: &dyn Display) -> ExitCode {
    eprintln!("nusku: {reason}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
