//! `nusku ping`: whether a running server and its store answer. For health
//! checks of containers, which have no other HTTP client.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};
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
}

pub(super) fn run(args: &PingArgs) -> ExitCode {
    match ping(&args.url, Duration::from_secs(args.timeout)) {
        Ok(status) if status == "204" => super::print("the server and its store answer\n"),
        Ok(status) => super::fail(&format_args!("{} answers {status}", args.url)),
        Err(reason) => super::fail(&format_args!("{} does not answer: {reason}", args.url)),
    }
}

/// Sends `GET /v2/ping`; returns the status of the answer.
fn ping(url: &Uri, timeout: Duration) -> Result<String, String> {
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
    write!(
        stream,
        "GET {prefix}/v2/ping HTTP/1.1\r\nHost: {host}\r\nClient-ID: {NIL_CLIENT_ID}\r\n\
         X-Project-ID: ping\r\nConnection: close\r\n\r\n"
    )
    .map_err(text)?;

    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(text)?;
    match line.split_whitespace().nth(1) {
        Some(status) if line.starts_with("HTTP/1.") => Ok(status.to_owned()),
        _ => Err("the answer is not HTTP".to_owned()),
    }
}
