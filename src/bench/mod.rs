//! A load generator for any v2 server: `nusku bench`.
//!
//! It knows the API from the outside only and shares no code with the server,
//! so that neither can hide the other's mistakes. [`args`] says what can be
//! asked for, `worker` is what one connection does, `fleet` runs many,
//! [`tally`] counts and [`report`] tells.
//!
//! Client and server usually share one machine here, so the generator is
//! frugal: bodies are built once, answers are read no further than needed, and
//! one thread serves many connections.

pub mod args;
mod client;
mod disk;
mod fleet;
mod pace;
mod progress;
pub mod report;
mod setup;
pub mod tally;
mod target;
mod wire;
mod worker;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;

pub use args::BenchArgs;
use args::Plan;
pub use client::Failure;
use report::Report;
use wire::Requests;

/// Exit code of a run that makes no sense, as for any bad flag.
const USAGE: u8 = 2;

/// Exit code of a run the user ended twice: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// Does what `args` ask for and prints what it found out on stdout.
///
/// The exit code is 0 if all went well, 1 if a request failed (unless
/// `--allow-errors`) or nothing could be measured, 2 if `args` make no sense.
/// Ctrl-C ends the measurement early but not the report; a second one ends
/// the process.
pub async fn run(args: BenchArgs) -> ExitCode {
    if let Some(dir) = &args.disk {
        return run_disk(dir, &args);
    }
    let (json, allow_errors) = (args.json, args.allow_errors);
    let progress = args.progress || io::stderr().is_terminal();
    let plan = match Plan::new(args) {
        Ok(plan) => Arc::new(plan),
        Err(fault) => return fail(&fault, ExitCode::from(USAGE)),
    };
    let report = match measure(&plan, interrupt(), progress).await {
        Ok(report) => report,
        Err(fault) => return fail(&fault, ExitCode::FAILURE),
    };
    let text = if json { format!("{}\n", report.json()) } else { report.table() };
    if print(&text).is_err() || (report.tally.failed() > 0 && !allow_errors) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Does what `plan` asks for until it is done or `interrupted`, and leaves no
/// queue behind unless told to. Reports on stderr with `progress`.
///
/// # Errors
///
/// A sentence that says why nothing could be measured.
pub async fn measure(
    plan: &Arc<Plan>,
    interrupted: impl Future<Output = ()>,
    progress: bool,
) -> Result<Report, String> {
    let requests = Requests::new(plan);
    setup::greet(plan, &requests).await?;
    // Fused: it may be asked again after it came true.
    let mut interrupted = std::pin::pin!(interrupted.fuse());
    let mut filled = None;
    if plan.args.prefill > 0 {
        note(progress, &format!("filling in {} messages", plan.args.prefill));
        let began = Instant::now();
        tokio::select! {
            done = setup::fill(plan, &requests) => done?,
            () = &mut interrupted => return Err("interrupted while filling the queues".into()),
        }
        filled = Some(began.elapsed());
    }
    let mut report = fleet::run(plan, &requests, interrupted.as_mut(), progress)
        .await
        .map_err(|fault| format!("the load generator cannot go on: {fault}"))?;
    report.filled = filled.map(|elapsed| (plan.args.prefill, elapsed));
    if !plan.args.no_clean {
        note(progress, "deleting the queues");
        tokio::select! {
            left = setup::clean(plan, &requests) => if left > 0 {
                eprintln!("nusku bench: {left} queues could not be deleted");
            },
            () = &mut interrupted => eprintln!("nusku bench: not all queues were deleted"),
        }
    }
    Ok(report)
}

fn run_disk(dir: &Path, args: &BenchArgs) -> ExitCode {
    let report = match disk::measure(dir, args.duration) {
        Ok(report) => report,
        Err(fault) => return fail(&format!("{}: {fault}", dir.display()), ExitCode::FAILURE),
    };
    let text = if args.json { format!("{}\n", report.json()) } else { report.table() };
    print(&text).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// Returns at the first Ctrl-C; the next one ends the process.
async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        // There is no way to be interrupted, so nobody ever is.
        return std::future::pending().await;
    }
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(INTERRUPTED);
        }
    });
}

fn print(text: &str) -> io::Result<()> {
    io::stdout().write_all(text.as_bytes())
}

fn note(progress: bool, text: &str) {
    if progress {
        eprintln!("{text}");
    }
}

fn fail(fault: &dyn Display, code: ExitCode) -> ExitCode {
    eprintln!("nusku bench: {fault}");
    code
}
