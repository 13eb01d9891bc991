//! The mail itself.

use std::time::{Duration, UNIX_EPOCH};

use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use serde_json::Value;

use super::confirmation;
use super::recipients::Recipients;
use crate::config::MailTemplate;
use crate::service::notification::channel::Notification;

/// A mail with the document of a message, from `sender` unless the subscription says
/// otherwise.
///
/// # Errors
///
/// Why it cannot be written.
pub fn of_message(notification: &Notification, sender: &str) -> Result<Message, String> {
    let option = |name: &str| notification.options.get(name).and_then(Value::as_str);
    let recipients = Recipients::parse(&notification.subscriber)?;
    let subject = recipients.subject.clone();
    let subject = subject.unwrap_or_else(|| option("subject").unwrap_or_default().to_owned());
    let from = option("from").filter(|from| !from.is_empty()).unwrap_or(sender);
    write(notification, recipients, from, &subject, notification.document.clone())
}

/// A mail that asks for a confirmation by that link.
///
/// # Errors
///
/// Why it cannot be written.
pub fn of_confirmation(
    notification: &Notification,
    template: &MailTemplate,
    link: &str,
) -> Result<Message, String> {
    let recipients = Recipients::parse(&notification.subscriber)?;
    let fields = [notification.queue.as_str(), notification.project.as_str(), link];
    let text = confirmation::fill(&template.body, &fields);
    write(notification, recipients, &template.sender, &template.topic, text)
}

fn write(
    notification: &Notification,
    recipients: Recipients,
    from: &str,
    subject: &str,
    text: String,
) -> Result<Message, String> {
    let legible = !from.contains(char::is_control);
    let from = legible.then(|| from.parse::<Mailbox>().ok()).flatten();
    let from = from.ok_or("the option from is no mailbox")?;
    // The same in every attempt: who gets it twice can tell.
    let id = format!("<{}@{}>", notification.id, from.email.domain());
    let seconds = u64::try_from(notification.now.seconds()).unwrap_or_default();
    let builder = Message::builder()
        .from(from)
        .subject(subject.replace(char::is_control, " "))
        .message_id(Some(id))
        .date(UNIX_EPOCH + Duration::from_secs(seconds))
        .header(ContentType::TEXT_PLAIN);
    let to =
        |builder: lettre::message::MessageBuilder, address| builder.to(Mailbox::new(None, address));
    let builder = recipients.addresses.into_iter().fold(builder, to);
    builder.body(text).map_err(|error| format!("the mail cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::channels::tests::notification;

    fn mail(subscriber: &str, options: &Value) -> Result<String, String> {
        let notification = notification(subscriber, options);
        let message = of_message(&notification, "nusku <n@example.net>")?;
        Ok(String::from_utf8(message.formatted()).unwrap())
    }

    #[test]
    fn a_mail_has_the_document_and_says_who_it_is_from() {
        let text = mail("mailto:a@b.c,d@e.f?subject=One", &json!({"subject": "Two"})).unwrap();
        for line in [
            "From: \"nusku\" <n@example.net>\r\n",
            "To: a@b.c, d@e.f\r\n",
            "Subject: One\r\n",
            "Message-ID: <s1.m1@example.net>\r\n",
            "Date: Sat, 26 Jun 2027 00:51:46 +0000\r\n",
            "Content-Type: text/plain; charset=utf-8\r\n",
            "\r\n\r\n{\"ttl\": 60}",
        ] {
            let same = text.replace("From: nusku <", "From: \"nusku\" <");
            assert!(same.contains(line), "{line}: {text}");
        }
        let text = mail("mailto:a@b.c", &json!({"subject": "Two", "from": "x@y.z"})).unwrap();
        assert!(text.contains("From: x@y.z\r\n") && text.contains("Subject: Two\r\n"), "{text}");
    }

    #[test]
    fn nobody_adds_a_header() {
        let text = mail("mailto:a@b.c?subject=x%0D%0ABcc:%20e@f.g", &json!({})).unwrap();
        assert!(text.contains("Subject: x  Bcc: e@f.g\r\n"), "{text}");
        let text = mail("mailto:a@b.c", &json!({"subject": "x\r\nBcc: e@f.g"})).unwrap();
        assert!(!text.contains("\r\nBcc"), "{text}");
        for from in ["x@y.z\r\nBcc: e@f.g", "nobody", "<"] {
            assert!(mail("mailto:a@b.c", &json!({ "from": from })).is_err(), "{from}");
        }
    }

    #[test]
    fn any_alphabet_will_do() {
        let text = mail("mailto:a@b.c?subject=gr%C3%BC%C3%9Fe", &json!({})).unwrap();
        assert!(text.contains("Subject: =?utf-8?b?Z3LDvMOfZQ==?=\r\n"), "{text}");
    }
}
