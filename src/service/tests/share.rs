//! Pre-signed URLs: every sentence, and the signatures of Zaqar.

use super::fake::{NOW, permit, service, service_with};
use crate::model::ProjectId;
use crate::service::{Error, Service, ShareRequest, SignedUrl};

fn signing() -> Service {
    service_with(|settings| settings.signed_url.secret_key = Some("s3cr3t".to_owned())).0
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn until(expires: &str) -> ShareRequest {
    ShareRequest { expires: Some(expires.to_owned()), ..ShareRequest::default() }
}

fn refusal(request: ShareRequest) -> String {
    match signing().share_queue(&permit("orders"), request) {
        Err(Error::InvalidRequest(sentence)) => sentence,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn signatures_are_those_of_zaqar() {
    let url = signing().share_queue(&permit("orders"), until("2030-01-01T00:00:00")).unwrap();
    assert_eq!(
        url,
        SignedUrl {
            paths: texts(&["/v2/queues/orders/messages"]),
            methods: texts(&["GET"]),
            expires: "2030-01-01T00:00:00".to_owned(),
            signature: "c9fb3654e47c1c051d59d63f2ccd4744af39b78e96205b1fa9d593e959e5a49e"
                .to_owned(),
        }
    );
    let request = ShareRequest {
        paths: texts(&["messages", "claims"]),
        methods: texts(&["POST", "GET"]),
        ..until("2030-01-01T00:00:00")
    };
    let url = signing().share_queue(&permit("orders"), request).unwrap();
    assert_eq!(
        url,
        SignedUrl {
            paths: texts(&["/v2/queues/orders/claims", "/v2/queues/orders/messages"]),
            methods: texts(&["GET", "POST"]),
            expires: "2030-01-01T00:00:00".to_owned(),
            signature: "ab994ac53d3b193460b8d62e869af644a90fdafcc6dd7ec12a44fb586a8e5173"
                .to_owned(),
        }
    );
}

#[test]
fn a_permission_lasts_a_day() {
    let url = signing().share_queue(&permit("orders"), ShareRequest::default()).unwrap();
    assert_eq!(url.expires, "2027-06-27T00:51:46");
}

#[test]
fn an_end_is_told_in_utc_without_fractions() {
    for (given, told) in [
        ("2030-01-01", "2030-01-01T00:00:00"),
        ("2030-01-01 10:00:00.75+02:30", "2030-01-01T07:30:00"),
    ] {
        let url = signing().share_queue(&permit("orders"), until(given)).unwrap();
        assert_eq!(url.expires, told);
    }
}

#[test]
fn an_end_must_be_a_date_ahead() {
    let now = NOW.to_string();
    for (expires, sentence) in [
        ("bad", "Unable to parse date string 'bad'"),
        ("it's", "Unable to parse date string \"it's\""),
        ("", "Unable to parse date string ''"),
        ("0", "Unable to parse date string '0'"),
        (
            " 02030 ",
            "`expires` should be date format, for example 2016-01-01T00:00:00, not integer value: 2030",
        ),
        (
            "20300101",
            "`expires` should be date format, for example 2016-01-01T00:00:00, not integer value: 20300101",
        ),
        (&now, "`expires` is lower than the current time"),
        ("2016-01-01T00:00:00", "`expires` is lower than the current time"),
    ] {
        assert_eq!(refusal(until(expires)), sentence, "{expires}");
    }
    let next_second = NOW.plus(1).to_string();
    assert!(signing().share_queue(&permit("orders"), until(&next_second)).is_ok());
}

#[test]
fn only_sub_resources_can_be_shared() {
    let request =
        ShareRequest { paths: texts(&["stats", "messages", "it's", "stats"]), ..until("bad") };
    assert_eq!(refusal(request), r#"Invalid paths: {"it's", 'stats'}"#);
}

#[test]
fn nothing_is_shared_without_a_key() {
    let empty = service_with(|settings| settings.signed_url.secret_key = Some(String::new())).0;
    for service in [service().0, empty] {
        let refused = service.share_queue(&permit("orders"), until("bad"));
        assert_eq!(refused, Err(Error::InvalidRequest("The `key` can't be None".to_owned())));
        let url = signing().share_queue(&permit("orders"), ShareRequest::default()).unwrap();
        assert!(!service.is_signed(&ProjectId::new("acme"), &url));
    }
}

#[test]
fn a_permission_is_recognised_until_it_ends() {
    let acme = ProjectId::new("acme");
    let request = ShareRequest {
        paths: texts(&["messages", "claims"]),
        methods: texts(&["GET", "POST"]),
        ..until(&NOW.plus(1).to_string())
    };
    let url = signing().share_queue(&permit("orders"), request).unwrap();
    assert!(signing().is_signed(&acme, &url));
    let mut turned = url.clone();
    turned.paths.reverse();
    turned.methods.reverse();
    turned.expires.push('Z');
    turned.signature.make_ascii_uppercase();
    assert!(signing().is_signed(&acme, &turned), "written in another way");

    let change = |change: fn(&mut SignedUrl)| {
        let mut url = url.clone();
        change(&mut url);
        url
    };
    for forged in [
        change(|url| url.paths = texts(&["/v2/queues/orders/messages"])),
        change(|url| url.methods.push("PUT".to_owned())),
        change(|url| url.expires = "2030-01-01T00:00:00".to_owned()),
        change(|url| url.expires = "never".to_owned()),
        change(|url| url.signature = "00".repeat(32)),
        change(|url| url.signature.truncate(62)),
        change(|url| url.signature.clear()),
    ] {
        assert!(!signing().is_signed(&acme, &forged), "{forged:?}");
    }
    assert!(!signing().is_signed(&ProjectId::new("other"), &url));
    let later = signing();
    later.clock.advance(1);
    assert!(!later.is_signed(&acme, &url), "it has ended");
}

/// As Zaqar signs the confirmation of a subscription.
#[test]
fn a_confirmation_can_be_lent() {
    let key = |settings: &mut crate::config::Settings| {
        settings.signed_url.secret_key = Some("blue-lantern".to_owned());
    };
    let confirm = "/v2/queues/invoices/subscriptions/65f0c0de0000000000000001/confirm";
    let url = SignedUrl {
        paths: texts(&[confirm]),
        methods: texts(&["PUT"]),
        expires: "2031-05-01T12:00:00".to_owned(),
        signature: "82407bd428d6b7d4cc8940740160f56d61b39aba4c2dc7ee2f935261b51d13c3".to_owned(),
    };
    assert!(service_with(key).0.is_signed(&ProjectId::new("proj-blue"), &url));
    assert!(!service_with(key).0.is_signed(&ProjectId::new("proj-red"), &url));
}
