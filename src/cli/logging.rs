//! Logs: to stderr, for people or for machines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::Subscriber;

use crate::config::{LogFormat, LogSettings};

/// Makes the whole process log as `settings` say.
///
/// # Errors
///
/// If `log.level` is no filter, which checked settings rule out.
pub(super) fn start(settings: &LogSettings) -> Result<(), ParseError> {
    let builder = Subscriber::builder()
        .with_env_filter(EnvFilter::try_new(&settings.level)?)
        .with_writer(std::io::stderr);
    // A second start, as in a process of tests, leaves the first in force.
    let _ = match settings.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}
