//! Logs: to stderr, for people or for machines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::Subscriber;

use crate::config::{LogFormat, LogSettings};

/// The HTTP library calls it an error when a client sends something else than
/// HTTP. Nobody should be able to fill the log of a server with errors that
/// are none of the server's; who wants them names the module in `log.level`.
const NOT_OUR_ERRORS: &str = "actix_http::h1::dispatcher=off";

/// Makes the whole process log as `settings` say.
///
/// # Errors
///
/// If `log.level` is no filter, which checked settings rule out.
pub(super) fn start(settings: &LogSettings) -> Result<(), ParseError> {
    let builder = Subscriber::builder()
        .with_env_filter(EnvFilter::try_new(format!("{NOT_OUR_ERRORS},{}", settings.level))?)
        .with_writer(std::io::stderr);
    // A second start, as in a process of tests, leaves the first in force.
    let _ = match settings.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}
