//! `nusku ping`: whether a running server and its store answer. For health
//! checks of containers, which have no other HTTP client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use hyper::Uri;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::config::{HttpSettings, Settings, Sources};
use crate::http_client::{self, Trust};

const NIL_CLIENT_ID: &str = "00000000-0000-0000-0000-000000000000";

#[derive(Debug, Args)]
pub(super) struct PingArgs {
    /// The server: http://HOST:PORT or https://HOST:PORT. Without, the one that the
    /// settings tell of, on this machine
    url: Option<Uri>,
    /// A TOML file with settings, to find the server by
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,
    /// A PEM file whose first certificate is the one that the server must show,
    /// whatever name it is for. Without, that of the settings; for a URL, one that
    /// browsers take
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// How long to wait for each step of the exchange, in seconds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// A file with a token, for a server that wants one. Without, such a server is
    /// asked no further than whether it answers
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Who is asked, and how it is known.
struct Server {
    url: Uri,
    certificate: Option<PathBuf>,
}

pub(super) fn run(args: &PingArgs) -> ExitCode {
    let token = match args.token_file.as_deref().map(token).transpose() {
        Ok(token) => token,
        Err(reason) => return super::fail(&reason),
    };
    let server = match server(args) {
        Ok(server) => server,
        Err(reason) => return super::fail(&reason),
    };
    let url = &server.url;
    match ping(&server, token.as_deref(), Duration::from_secs(args.timeout)) {
        Ok(status) if status == "204" => super::print("the server and its store answer\n"),
        // For a container that knows no token: it is alive.
        Ok(status) if status == "401" && token.is_none() => {
            super::print("the server answers; of its store it tells callers with a token\n")
        }
        Ok(status) => super::fail(&format_args!("{url} answers {status}")),
        Err(reason) => super::fail(&format_args!("{url} does not answer: {reason}")),
    }
}

/// The server that was named, or the one that the settings tell of.
fn server(args: &PingArgs) -> Result<Server, String> {
    if let Some(url) = &args.url {
        return Ok(Server { url: url.clone(), certificate: args.certificate.clone() });
    }
    let sources = Sources::of_process(args.config.clone(), Vec::new());
    let http = Settings::load(&sources).map_err(|error| error.to_string())?.http;
    let certificate = args.certificate.clone().or_else(|| http.tls.certificate.clone());
    Ok(Server { url: own_url(&http)?, certificate })
}

/// Where a server with these settings is reached from its own machine.
fn own_url(http: &HttpSettings) -> Result<Uri, String> {
    if http.port == 0 {
        return Err("http.port is 0, so the port of the server must be named".to_owned());
    }
    let scheme = if http.tls.certificate.is_some() { "https" } else { "http" };
    let host = match http.bind.parse() {
        Ok(IpAddr::V4(address)) if address.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
        Ok(IpAddr::V6(address)) if address.is_unspecified() => format!("[{}]", Ipv6Addr::LOCALHOST),
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => http.bind.clone(),
    };
    let url = format!("{scheme}://{host}:{}", http.port);
    url.parse().map_err(|_| format!("http.bind: {} is no host of a URL", http.bind))
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
fn ping(server: &Server, token: Option<&str>, timeout: Duration) -> Result<String, String> {
    let url = &server.url;
    let text = |error: std::io::Error| error.to_string();
    let (is_encrypted, port) = match url.scheme_str() {
        Some("http") => (false, 80),
        Some("https") => (true, 443),
        _ => return Err("the address must be http://HOST:PORT or https://HOST:PORT".to_owned()),
    };
    let host = url.host().ok_or("the address names no host")?;
    let name = host.trim_matches(['[', ']']);
    let target = (name, url.port_u16().unwrap_or(port));
    let address = target.to_socket_addrs().map_err(text)?.next().ok_or("no such host")?;

    let stream = TcpStream::connect_timeout(&address, timeout).map_err(text)?;
    stream.set_read_timeout(Some(timeout)).map_err(text)?;
    stream.set_write_timeout(Some(timeout)).map_err(text)?;
    let prefix = url.path().trim_end_matches('/');
    let token = token.map_or_else(String::new, |token| format!("X-Auth-Token: {token}\r\n"));
    let request = format!(
        "GET {prefix}/v2/ping HTTP/1.1\r\nHost: {host}\r\nClient-ID: {NIL_CLIENT_ID}\r\n\
         X-Project-ID: ping\r\n{token}Connection: close\r\n\r\n"
    );
    if is_encrypted {
        exchange(encrypted(stream, name, server.certificate.as_deref())?, &request)
    } else {
        exchange(stream, &request)
    }
}

/// The same connection, to whoever shows the right certificate.
fn encrypted(
    stream: TcpStream,
    name: &str,
    certificate: Option<&Path>,
) -> Result<impl Read + Write, String> {
    let trust = certificate.map_or(Trust::WebRoots, Trust::Certificate);
    let config = http_client::tls(trust).map_err(|error| error.to_string())?;
    let name = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
    let connection = ClientConnection::new(Arc::new(config), name);
    Ok(StreamOwned::new(connection.map_err(|error| error.to_string())?, stream))
}

/// Sends the request and reads the status of the answer.
fn exchange(mut stream: impl Read + Write, request: &str) -> Result<String, String> {
    let text = |error: std::io::Error| error.to_string();
    stream.write_all(request.as_bytes()).map_err(text)?;
    stream.flush().map_err(text)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(text)?;
    match line.split_whitespace().nth(1) {
        Some(status) if line.starts_with("HTTP/1.") => Ok(status.to_owned()),
        _ => Err("the answer is not HTTP".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::own_url;
    use crate::config::Settings;

    #[test]
    fn a_server_is_asked_where_it_listens() {
        let mut http = Settings::defaults().unwrap().http;
        let mut url = |bind: &str, port: u16| {
            http.bind = bind.to_owned();
            http.port = port;
            own_url(&http).map(|url| url.to_string())
        };
        assert_eq!(url("127.0.0.1", 8888).unwrap(), "http://127.0.0.1:8888/");
        assert_eq!(url("0.0.0.0", 80).unwrap(), "http://127.0.0.1:80/");
        assert_eq!(url("::", 9).unwrap(), "http://[::1]:9/");
        assert_eq!(url("fd00::1", 9).unwrap(), "http://[fd00::1]:9/");
        assert_eq!(url("queues.example", 9).unwrap(), "http://queues.example:9/");
        assert!(url("127.0.0.1", 0).unwrap_err().contains("http.port"));
        http.tls.certificate = Some(PathBuf::from("server.pem"));
        http.port = 8888;
        assert_eq!(own_url(&http).unwrap().to_string(), "https://127.0.0.1:8888/");
    }
}
