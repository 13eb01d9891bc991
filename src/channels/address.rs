//! Where a webhook is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Uri;
use hyper::header::HeaderValue;
use percent_encoding::percent_decode_str;
use url::Url;

/// Where a webhook is, as it can be called.
#[derive(Clone, Debug)]
pub struct Address {
    /// Without user and fragment; its host is an address in the one usual spelling or
    /// a name of ASCII.
    pub uri: Uri,
    /// The user, as a header has it.
    pub authorization: Option<HeaderValue>,
    /// Host and port.
    pub target: String,
}

impl Address {
    /// Reads the URI of a subscriber as browsers do.
    ///
    /// # Errors
    ///
    /// Why it cannot be called.
    pub fn parse(subscriber: &str) -> Result<Self, &'static str> {
        const NONE: &str = "the subscriber's URI is no address of a webhook";
        let mut url = Url::parse(subscriber).map_err(|_| NONE)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(NONE);
        }
        let host = url.host_str().ok_or(NONE)?;
        let target = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
        let authorization = authorization(&url)?;
        // These fail for URLs without a host only.
        let _ = (url.set_username(""), url.set_password(None));
        url.set_fragment(None);
        let uri = url.as_str().parse().map_err(|_| NONE)?;
        Ok(Self { uri, authorization, target })
    }
}

fn authorization(url: &Url) -> Result<Option<HeaderValue>, &'static str> {
    let password = url.password().unwrap_or_default();
    if url.username().is_empty() && password.is_empty() {
        return Ok(None);
    }
    let mut user: Vec<u8> = percent_decode_str(url.username()).collect();
    user.push(b':');
    user.extend(percent_decode_str(password));
    let header = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(user)));
    let mut header = header.map_err(|_| "the user in the subscriber's URI is too long")?;
    header.set_sensitive(true);
    Ok(Some(header))
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn addresses_have_one_spelling() {
        for (subscriber, uri, target) in [
            ("http://a", "http://a/", "a:80"),
            ("HTTPS://A.Example/x?y=1&z=%20#top", "https://a.example/x?y=1&z=%20", "a.example:443"),
            ("http://a:8080/", "http://a:8080/", "a:8080"),
            ("http://2130706433/", "http://127.0.0.1/", "127.0.0.1:80"),
            ("http://0x7f.1/", "http://127.0.0.1/", "127.0.0.1:80"),
            ("http://0177.0.0.1:81/", "http://127.0.0.1:81/", "127.0.0.1:81"),
            ("http://127.1/", "http://127.0.0.1/", "127.0.0.1:80"),
            ("http://１２７.0.0.1/", "http://127.0.0.1/", "127.0.0.1:80"),
            ("http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "[::ffff:7f00:1]:80"),
            (
                "http://bücher.example/ä",
                "http://xn--bcher-kva.example/%C3%A4",
                "xn--bcher-kva.example:80",
            ),
            ("http:\\\\a\\b", "http://a/b", "a:80"),
        ] {
            let address =
                Address::parse(subscriber).unwrap_or_else(|it| panic!("{subscriber}: {it}"));
            assert_eq!((address.uri.to_string().as_str(), address.target.as_str()), (uri, target));
        }
    }

    #[test]
    fn a_user_goes_into_a_header() {
        let address = Address::parse("http://ann:ses%40me@a/x").unwrap();
        assert_eq!(address.uri, "http://a/x");
        assert_eq!(address.authorization.as_ref().unwrap(), "Basic YW5uOnNlc0BtZQ==");
        assert!(!format!("{address:?}").contains("YW5u"));
        assert!(Address::parse("http://a/x").unwrap().authorization.is_none());
    }

    #[test]
    fn what_cannot_be_called() {
        for odd in [
            "",
            "a",
            "http:",
            "http://",
            "http://[",
            "http://[fe80::1%25eth0]/",
            "http://a b/",
            "http://a:99999/",
            "http://1.2.3.4.5.6.7.8.9/",
            "ftp://a",
            "mailto:a@b",
            "trust+http://a",
            "http://256.256.256.256/",
        ] {
            assert!(Address::parse(odd).is_err(), "{odd}");
        }
    }
}
