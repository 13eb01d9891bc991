//! Where requests go and what they all carry.

use hyper::Uri;
use hyper::header::HeaderValue;

/// A v2 server, and what it wants to see in every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Host name or address to connect to, an IPv6 address without brackets.
    pub host: String,
    /// Port to connect to.
    pub port: u16,
    /// What comes before `/v2` in every path: empty, or `/something`.
    pub prefix: String,
    /// The `Host` header.
    pub authority: HeaderValue,
    /// The `X-Project-ID` header.
    pub project: HeaderValue,
    /// The `X-Auth-Token` header, if the server wants one.
    pub token: Option<HeaderValue>,
}

impl Target {
    /// Reads `http://HOST[:PORT][/PREFIX]`; a `/v2` at its end, as endpoint
    /// lists have it, is taken for granted.
    ///
    /// # Errors
    ///
    /// A sentence that names the flag at fault.
    pub fn parse(url: &str, project: &str, token: Option<&str>) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|fault| format!("--url {url:?}: {fault}"))?;
        if uri.scheme_str() != Some("http") || uri.query().is_some() {
            return Err(format!("--url {url:?}: http://HOST[:PORT][/PREFIX] is expected"));
        }
        let (Some(authority), Some(host)) = (uri.authority(), uri.host()) else {
            return Err(format!("--url {url:?} names no host"));
        };
        let path = uri.path().trim_end_matches('/');
        Ok(Self {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: uri.port_u16().unwrap_or(80),
            prefix: path.strip_suffix("/v2").unwrap_or(path).to_owned(),
            authority: header("--url", authority.as_str())?,
            project: header("--project", project)?,
            token: token.map(|token| header("--token", token)).transpose()?,
        })
    }
}

fn header(flag: &str, text: &str) -> Result<HeaderValue, String> {
    if text.trim().is_empty() {
        return Err(format!("{flag} is empty"));
    }
    HeaderValue::from_str(text).map_err(|_| format!("{flag} cannot be sent in a header"))
}

#[cfg(test)]
mod tests {
    use super::Target;

    fn parse(url: &str) -> Result<Target, String> {
        Target::parse(url, "acme", None)
    }

    #[test]
    fn a_url_names_host_port_and_prefix() {
        for (url, host, port, prefix) in [
            ("http://127.0.0.1:8888", "127.0.0.1", 8888, ""),
            ("http://queue.example", "queue.example", 80, ""),
            ("http://127.0.0.1:8888/", "127.0.0.1", 8888, ""),
            ("http://127.0.0.1:8888/v2", "127.0.0.1", 8888, ""),
            ("http://127.0.0.1:8888/messaging/v2/", "127.0.0.1", 8888, "/messaging"),
            ("http://[::1]:9/a/b", "::1", 9, "/a/b"),
        ] {
            let target = parse(url).unwrap();
            assert_eq!((&*target.host, target.port, &*target.prefix), (host, port, prefix));
        }
        assert_eq!(parse("http://[::1]:9").unwrap().authority, "[::1]:9");
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for url in ["https://127.0.0.1", "127.0.0.1:8888", "/v2", "", "http://h/?a=b", "http://"] {
            assert!(parse(url).is_err(), "{url}");
        }
        assert!(Target::parse("http://h", " ", None).is_err());
        assert!(Target::parse("http://h", "p", Some("a\nb")).is_err());
    }
}
