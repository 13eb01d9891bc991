//! `nusku serve`: runs the server until a signal stops it.

use std::path::Path;
use std::process::ExitCode;

use actix_web::rt::System;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::logging;
use super::settings::SettingsArgs;
use crate::bootstrap::{self, Running};
use crate::clock::Clock;
use crate::config::{AuthStrategy, Settings, StorageSettings, shown_uri};

pub(super) fn run(args: &SettingsArgs) -> ExitCode {
    let settings = match args.load() {
        Ok(settings) => settings,
        Err(error) => return super::fail(&error),
    };
    if let Err(error) = logging::start(&settings.log) {
        return super::fail(&error);
    }
    System::new().block_on(serve(&settings))
}

async fn serve(settings: &Settings) -> ExitCode {
    // Before anybody can know that the server runs, and stop it.
    let mut stop = match StopSignals::listen() {
        Ok(stop) => stop,
        Err(error) => return super::fail(&format_args!("cannot listen for signals: {error}")),
    };
    let mut running = match bootstrap::start(settings, Clock::system()).await {
        Ok(running) => running,
        Err(error) => return super::fail(&error),
    };
    tracing::info!(address = %running.address(), version = env!("CARGO_PKG_VERSION"), "started");
    // Nobody reading along does not keep a server from serving.
    super::print(&greeting(&running, settings));

    tokio::select! {
        signal = stop.next() => tracing::info!(signal, "stopping"),
        ended = running.ended() => {
            running.stop().await;
            return match ended {
                Ok(()) => super::fail(&"the HTTP front end ended by itself"),
                Err(error) => super::fail(&format_args!("the HTTP front end failed: {error}")),
            };
        }
    }
    tokio::select! {
        () = running.stop() => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        signal = stop.next() => {
            tracing::warn!(signal, "stopped at once, requests in flight are cut off");
            std::process::exit(1)
        }
    }
}

/// Where the server is, where the data is, and something to try.
fn greeting(running: &Running, settings: &Settings) -> String {
    let address = running.address();
    let scheme = if settings.http.tls.is_on() { "https" } else { "http" };
    let caller = match settings.auth.strategy {
        AuthStrategy::Noauth => "X-Project-ID: demo",
        AuthStrategy::Keystone | AuthStrategy::Tokens => "X-Auth-Token: TOKEN",
    };
    let (scheme_of_sockets, own) = (scheme.replace("http", "ws"), running.websocket_address());
    let sockets = match own {
        Some(own) => format!("{scheme_of_sockets}://{own}/"),
        None => format!("{scheme_of_sockets}://{address}/v2/websocket"),
    };
    format!(
        "nusku {} listens on {scheme}://{address}\n{}\nTry: \
         curl -i {scheme}://{address}/v2/queues/demo/messages \
         -H 'Client-ID: 3381af92-2b9e-11e3-b191-71861300734c' -H '{caller}' \
         -H 'Content-Type: application/json' -d '{{\"messages\": [{{\"body\": \"hello\"}}]}}'\n\
         WebSockets: {sockets}\n",
        env!("CARGO_PKG_VERSION"),
        place(&settings.storage),
    )
}

/// Where the messages are.
fn place(storage: &StorageSettings) -> String {
    let uri = &storage.uri;
    match uri.split_once(':') {
        Some(("embedded", directory)) => {
            let directory = std::fs::canonicalize(directory)
                .unwrap_or_else(|_| Path::new(directory).to_owned());
            format!("Messages are kept in {}", directory.display())
        }
        Some(("discard", _)) => "MESSAGES ARE NOT KEPT: the store discards everything".to_owned(),
        _ => {
            let database = &storage.mongodb.database;
            format!("Messages are kept in the database {database} at {}", shown_uri(uri))
        }
    }
}

/// The signals that ask a server to stop.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The name of the next one.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
