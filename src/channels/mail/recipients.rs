//! To whom a mail goes, and what its subject is: a `mailto:` URI.

use lettre::Address;
use percent_encoding::percent_decode_str;

/// Most mailboxes of one subscriber.
const MOST: usize = 10;

/// What a `mailto:` URI says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipients {
    /// The mailboxes, one at least.
    pub addresses: Vec<Address>,
    /// The subject, if it has one.
    pub subject: Option<String>,
}

impl Recipients {
    /// Reads a URI; its scheme may be in capitals.
    ///
    /// # Errors
    ///
    /// Why nobody can be written to.
    pub fn parse(subscriber: &str) -> Result<Self, String> {
        let (_, rest) = subscriber.split_once(':').unwrap_or_default();
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let parts: Vec<_> = path.split(',').collect();
        if parts.len() > MOST {
            return Err(format!("the subscriber's URI has more than {MOST} mailboxes"));
        }
        let addresses = parts.into_iter().map(address).collect::<Result<_, _>>()?;
        Ok(Self { addresses, subject: subject(query) })
    }
}

fn address(encoded: &str) -> Result<Address, String> {
    let decoded = percent_decode_str(encoded).decode_utf8_lossy();
    let legible = !decoded.contains(char::is_control);
    let address = legible.then(|| decoded.trim().parse().ok()).flatten();
    address.ok_or_else(|| "the subscriber's URI has a mailbox that is none".to_owned())
}

/// The first subject, whatever the case of its name.
fn subject(query: &str) -> Option<String> {
    let mut fields = query.split('&').map(|field| field.split_once('=').unwrap_or((field, "")));
    let (_, value) = fields.find(|(name, _)| name.eq_ignore_ascii_case("subject"))?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(uri: &str) -> (Vec<String>, Option<String>) {
        let recipients = Recipients::parse(uri).unwrap_or_else(|error| panic!("{uri}: {error}"));
        (recipients.addresses.iter().map(ToString::to_string).collect(), recipients.subject)
    }

    #[test]
    fn mailboxes_and_a_subject() {
        let subject = |text: &str| Some(text.to_owned());
        assert_eq!(read("mailto:a@b.c"), (vec!["a@b.c".to_owned()], None));
        assert_eq!(read("MAILTO:a@b.c?subject=new order").1, subject("new order"));
        assert_eq!(read("mailto:a@b.c?x=1&SUBJECT=gr%C3%BC%C3%9Fe&subject=2").1, subject("grüße"));
        assert_eq!(read("mailto:a@b.c?subject=a+b#top").1, subject("a+b"));
        assert_eq!(read("mailto:a@b.c?subject").1, subject(""));
        assert_eq!(read("mailto:a@b.c,d%2Bx@e.f").0, ["a@b.c", "d+x@e.f"]);
        assert_eq!(read("mailto:a@b%C3%BCcher.example").0, ["a@bücher.example"]);
    }

    #[test]
    fn who_cannot_be_written_to() {
        for odd in [
            "mailto:",
            "mailto:a",
            "mailto:@",
            "mailto:a@",
            "mailto:a@b.c,",
            "mailto:a@b.c%0D%0ABcc:d@e.f",
            "mailto:a@b.c%00",
            "mailto:a@b.c d@e.f",
            "mailto:%FF@b.c",
            "mailto:-oQ/tmp @b",
        ] {
            assert!(Recipients::parse(odd).is_err(), "{odd}");
        }
        let many = |count| format!("mailto:{}", vec!["a@b.c"; count].join(","));
        assert!(Recipients::parse(&many(10)).is_ok());
        assert!(Recipients::parse(&many(11)).unwrap_err().contains("more than 10"));
    }
}
