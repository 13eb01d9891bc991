//! The mails that ask for a confirmation: dictionaries, to oslo.config.

use super::{Import, Reader, Result, options};

const SECTION: &str = "notification";

/// What such a mail is made of.
const FIELDS: [&str; 3] = ["body", "sender", "topic"];

/// Carries over the texts that somebody wrote.
pub(super) fn templates(reader: &Reader, import: &mut Import) -> Result<()> {
    for name in
        ["subscription_confirmation_email_template", "unsubscribe_confirmation_email_template"]
    {
        let default = options::find(SECTION, name).map_or("", |row| row.default);
        let Some(text) = reader.value(SECTION, name)?.filter(|text| text != default) else {
            continue;
        };
        for (field, value) in dictionary(&text) {
            let key = format!("notification.mail.{name}.{field}");
            import.set(&key, value, reader.place(SECTION, name));
        }
    }
    Ok(())
}

/// The fields of `name:text,name:text`. A comma before anything but the name of a
/// field belongs to the text.
fn dictionary(text: &str) -> Vec<(&'static str, String)> {
    let mut fields: Vec<(&'static str, String)> = Vec::new();
    for piece in text.trim().split(',') {
        let (name, value) = piece.split_once(':').unwrap_or((piece, ""));
        match (FIELDS.iter().find(|field| **field == name.trim()), fields.last_mut()) {
            (Some(field), _) => fields.push((field, value.trim_start().to_owned())),
            (None, Some((_, text))) => text.extend([",", piece]),
            (None, None) => {}
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::dictionary;

    #[test]
    fn a_text_may_have_commas_and_colons() {
        let read = dictionary("topic: Hi,body:See, here: {2}, {0}!,sender:A <a@b.c>");
        let fields = [("topic", "Hi"), ("body", "See, here: {2}, {0}!"), ("sender", "A <a@b.c>")];
        assert_eq!(read, fields.map(|(name, text)| (name, text.to_owned())));
        assert!(dictionary("").is_empty() && dictionary("nothing").is_empty());
    }
}
