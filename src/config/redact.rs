//! A storage URI without its secrets: for logs, messages and whoever looks on.

/// What stands in the place of a secret.
const HIDDEN: &str = "***";

/// Options of a URI that are secrets, in small letters.
const SECRETS: [&str; 3] =
    ["authmechanismproperties", "proxypassword", "tlscertificatekeyfilepassword"];

/// The URI, with stars in the place of the password and of what is as secret.
/// Rather too much is hidden than too little: a password that was not encoded
/// as it should be may look like anything.
#[must_use]
pub fn shown_uri(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return match uri.rsplit_once('@') {
            Some((_, after)) => format!("{HIDDEN}@{after}"),
            None => uri.to_owned(),
        };
    };
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, rest),
    };
    let user = user.map(|user| match user.split_once(':') {
        Some((name, _)) => format!("{name}:{HIDDEN}@"),
        None => format!("{user}@"),
    });
    let place = match place.split_once('?') {
        Some((place, options)) => {
            let options: Vec<_> = options.split('&').map(shown_option).collect();
            format!("{place}?{}", options.join("&"))
        }
        None => place.to_owned(),
    };
    format!("{scheme}://{}{place}", user.unwrap_or_default())
}

fn shown_option(option: &str) -> String {
    match option.split_once('=') {
        Some((name, _)) if SECRETS.contains(&name.to_lowercase().as_str()) => {
            format!("{name}={HIDDEN}")
        }
        _ => option.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::shown_uri;

    #[test]
    fn what_is_no_secret_stays() {
        for uri in [
            "embedded:nusku-data",
            "discard:",
            "",
            "mongodb://a,b:1/db?replicaSet=rs&tls=true",
            "mongodb+srv://user@name/",
        ] {
            assert_eq!(shown_uri(uri), uri);
        }
    }

    #[test]
    fn a_password_is_hidden_wherever_it_is() {
        for uri in [
            "mongodb://user:sesame@a,b:1/db?replicaSet=rs",
            "mongodb://user:ses:sesame@a",
            "mongodb://user:open/sesame@a/db",
            "mongodb://user:open?sesame@a",
            "mongodb://user:open@sesame@a",
            "mongodb.fifo://user:sesame@a",
            "mongodb+srv://user:sesame@a",
            "mongodb//user:sesame@a",
            "user:sesame@a",
            "mongodb://a/?authMechanismProperties=AWS_SESSION_TOKEN:sesame",
            "mongodb://a/?tls=true&tlsCertificateKeyFilePassword=sesame",
        ] {
            let shown = shown_uri(uri);
            assert!(!shown.contains("sesame") && shown.contains("***"), "{uri}: {shown}");
        }
        let shown = shown_uri("mongodb://user:sesame@a:1/db?tls=true");
        assert_eq!(shown, "mongodb://user:***@a:1/db?tls=true");
    }
}
