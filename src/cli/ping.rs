//! `nusku ping`: whether a running server and its store answer. For health
//! checks of containers, which have no other HTTP client.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hyper::Uri;

const NIL_CLIENT_ID: &str = "00000000-0000-0000-0000-000000000000";

#[derive(Debug, Args)]
pub(super) struct PingArgs {
    /// The server: http://HOST:PORT
    #[arg(default_value = "http://127.0.0.1:8888")]
    url: Uri,
    /// How long to wait for each step of the exchange, in seconds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// A file with a token, for a server that wants one. Without, such a server is
    /// asked no further than whether it answers
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub(super) fn run(args: &PingArgs) -> ExitCode {
    let token = match args.token_file.as_deref().map(token).transpose() {
        Ok(token) => token,
        Err(reason) => return super::fail(&reason),
    };
    match ping(&args.url, token.as_deref(), Duration::from_secs(args.timeout)) {
        Ok(status) if status == "204" => super::print("the server and its store answer\n"),
        // For a container that knows no token: it is alive.
        Ok(status) if status == "401" && token.is_none() => {
            super::print("the server answers; of its store it tells callers with a token\n")
        }
        Ok(status) => super::fail(&format_args!("{} answers {status}", args.url)),
        Err(reason) => super::fail(&format_args!("{} does not answer: {reason}", args.url)),
    }
}

/// The token in a file, which nothing but a line end may follow.
fn token(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read the token in {}: {error}", path.display()))?;
    let token = text.trim_end();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("there is no token in {}", path.display()));
    }
    Ok(token.to_owned())
}

/// Sends `GET /v2/ping`; returns the status of the answer.
fn ping(url: &Uri, token: Option<&str>, timeout: Duration) -> Result<String, String> {
    let text = |error: std::io::Error| error.to_string();
    let (Some("http"), Some(host)) = (url.scheme_str(), url.host()) else {
        return Err("the address must be http://HOST:PORT".to_owned());
    };
    let target = (host.trim_matches(['[', ']']), url.port_u16().unwrap_or(80));
    let address = target.to_socket_addrs().map_err(text)?.next().ok_or("no such host")?;

    let mut stream = TcpStream::connect_timeout(&address, timeout).map_err(text)?;
    stream.set_read_timeout(Some(timeout)).map_err(text)?;
    stream.set_write_timeout(Some(timeout)).map_err(text)?;
    let prefix = url.path().trim_end_matches('/');
    let token = token.map_or_else(String::new, |token| format!("X-Auth-Token: {token}\r\n"));
    write!(
        stream,
        "GET {prefix}/v2/ping HTTP/1.1\r\nHost: {host}\r\nClient-ID: {NIL_CLIENT_ID}\r\n\
         X-Project-ID: ping\r\n{token}Connection: close\r\n\r\n"
    )
    .map_err(text)?;

    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(text)?;
    match line.split_whitespace().nth(1) {
        Some(status) if line.starts_with("HTTP/1.") => Ok(status.to_owned()),
        _ => Err("the answer is not HTTP".to_owned()),
    }
}
