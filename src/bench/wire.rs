//! The requests a run sends, and the little it reads of the answers.

use std::borrow::Cow;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use serde::Deserialize;
use serde::de::IgnoredAny;
use uuid::Uuid;

use super::args::Plan;
use super::client::{Answer, Failure};
use super::target::Target;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CLIENT_ID: HeaderName = HeaderName::from_static("client-id");
const PROJECT_ID: HeaderName = HeaderName::from_static("x-project-id");
const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// Seconds a message that would expire in a claim lives on.
const CLAIM_GRACE: u32 = 60;

const NIL_CLIENT_ID: &str = "00000000-0000-0000-0000-000000000000";

/// Makes one worker's requests. Each worker is a client of its own, or an
/// observer would not be shown what the producers post.
#[derive(Clone, Debug)]
pub struct Requests {
    plan: Arc<Plan>,
    client: HeaderValue,
    post: Bytes,
    claim: Bytes,
}

impl Requests {
    /// Requests of a first client.
    #[must_use]
    pub fn new(plan: &Arc<Plan>) -> Self {
        let args = &plan.args;
        Self {
            plan: Arc::clone(plan),
            client: client_id(),
            post: post_body(args.batch, args.message_size, args.ttl),
            claim: claim_body(args.claim_ttl),
        }
    }

    /// The same requests of another client.
    #[must_use]
    pub fn another(&self) -> Self {
        Self { client: client_id(), ..self.clone() }
    }

    /// Asks whether the server is there.
    pub fn ping(&self) -> Result<Request<Full<Bytes>>, Failure> {
        self.request(Method::GET, "/ping", Bytes::new())
    }

    /// Deletes `queue`.
    pub fn delete_queue(&self, queue: u32) -> Result<Request<Full<Bytes>>, Failure> {
        self.queue_request(Method::DELETE, queue, "", Bytes::new())
    }

    /// Posts a batch.
    pub fn post(&self, queue: u32) -> Result<Request<Full<Bytes>>, Failure> {
        self.queue_request(Method::POST, queue, "/messages", self.post.clone())
    }

    /// Posts `body`, which [`post_body`] made.
    pub fn post_this(&self, queue: u32, body: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
        self.queue_request(Method::POST, queue, "/messages", body)
    }

    /// Claims messages.
    pub fn claim(&self, queue: u32) -> Result<Request<Full<Bytes>>, Failure> {
        let path = format!("/claims?limit={}", self.plan.args.claim_limit);
        self.queue_request(Method::POST, queue, &path, self.claim.clone())
    }

    /// Deletes all of `claimed` by their ids.
    pub fn delete_all(
        &self,
        queue: u32,
        claimed: &Claimed,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let path = format!("/messages?ids={}", claimed.ids.join(","));
        self.queue_request(Method::DELETE, queue, &path, Bytes::new())
    }

    /// Deletes the message `id` of claim `claim`.
    pub fn delete_one(
        &self,
        queue: u32,
        id: &str,
        claim: &str,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let path = format!("/messages/{id}?claim_id={claim}");
        self.queue_request(Method::DELETE, queue, &path, Bytes::new())
    }

    /// Reads the page behind `marker`, or the first. Claimed messages are
    /// shown: an observer follows a queue whoever works on it.
    pub fn list(&self, queue: u32, marker: Option<&str>) -> Result<Request<Full<Bytes>>, Failure> {
        let mut path =
            format!("/messages?limit={}&include_claimed=true", self.plan.args.page_limit);
        if let Some(marker) = marker {
            path.push_str("&marker=");
            path.push_str(marker);
        }
        self.queue_request(Method::GET, queue, &path, Bytes::new())
    }

    fn queue_request(
        &self,
        method: Method,
        queue: u32,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let prefix = &self.plan.args.queue_prefix;
        self.request(method, &format!("/queues/{prefix}-{queue}{path}"), body)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let target: &Target = &self.plan.target;
        // Ids and markers come from the server: they may not fit in a path.
        let uri = Uri::try_from(format!("{}/v2{path}", target.prefix));
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri.map_err(|_| Failure::Unreadable)?;
        let headers = request.headers_mut();
        headers.insert(HOST, target.authority.clone());
        headers.insert(CLIENT_ID, self.client.clone());
        headers.insert(PROJECT_ID, target.project.clone());
        headers.insert(CONTENT_TYPE, JSON);
        if let Some(token) = &target.token {
            headers.insert(AUTH_TOKEN, token.clone());
        }
        Ok(request)
    }
}

fn client_id() -> HeaderValue {
    let id = Uuid::new_v4().to_string();
    // Hexadecimal digits always make a header; the fallback only keeps the
    // promise that nothing here panics.
    HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static(NIL_CLIENT_ID))
}

/// The body of a post of `count` messages that live `ttl` seconds; the body of
/// each is a string that takes `size` bytes of JSON, 2 at least.
#[must_use]
pub fn post_body(count: u32, size: u32, ttl: u32) -> Bytes {
    let filler = "x".repeat(size.saturating_sub(2) as usize);
    let message = format!(r#"{{"ttl": {ttl}, "body": "{filler}"}}"#);
    let messages = vec![message; count as usize].join(", ");
    Bytes::from(format!(r#"{{"messages": [{messages}]}}"#))
}

fn claim_body(ttl: u32) -> Bytes {
    Bytes::from(format!(r#"{{"ttl": {ttl}, "grace": {CLAIM_GRACE}}}"#))
}

/// What a claim got hold of.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// The messages, oldest first.
    pub ids: Vec<String>,
    /// The claim.
    pub claim: String,
}

/// Reads the answer to a claim; 204 claimed nothing.
///
/// # Errors
///
/// [`Failure::Unreadable`].
pub fn claimed(answer: &Answer) -> Result<Claimed, Failure> {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    #[derive(Deserialize)]
    struct Messages<'a> {
        #[serde(borrow)]
        messages: Vec<Message<'a>>,
    }
    if answer.status == 204 {
        return Ok(Claimed::default());
    }
    let read: Messages = serde_json::from_slice(&answer.body).map_err(|_| Failure::Unreadable)?;
    let location = answer.location.as_ref().and_then(|location| location.to_str().ok());
    let claim = location.and_then(|path| path.rsplit('/').next()).ok_or(Failure::Unreadable)?;
    Ok(Claimed {
        ids: read.messages.into_iter().map(|message| message.id.into_owned()).collect(),
        claim: claim.to_owned(),
    })
}

/// What a page of a listing holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// How many messages.
    pub messages: usize,
    /// The marker to read on from, as it stands in the link; `None` for an
    /// empty page, behind which one reads on from where one was.
    pub next: Option<String>,
}

/// Reads a page of a listing.
///
/// # Errors
///
/// [`Failure::Unreadable`].
pub fn page(answer: &Answer) -> Result<Page, Failure> {
    #[derive(Deserialize)]
    struct Link<'a> {
        #[serde(borrow)]
        rel: Cow<'a, str>,
        #[serde(borrow)]
        href: Cow<'a, str>,
    }
    #[derive(Deserialize)]
    struct Listing<'a> {
        messages: Vec<IgnoredAny>,
        #[serde(borrow)]
        links: Vec<Link<'a>>,
    }
    if answer.status == 204 {
        return Ok(Page::default());
    }
    let read: Listing = serde_json::from_slice(&answer.body).map_err(|_| Failure::Unreadable)?;
    if read.messages.is_empty() {
        return Ok(Page::default());
    }
    let next = read.links.iter().find(|link| link.rel == "next").and_then(|link| {
        let (_, query) = link.href.split_once('?')?;
        query.split('&').find_map(|parameter| parameter.strip_prefix("marker="))
    });
    // Without the link an observer would read the same page for ever.
    let next = next.ok_or(Failure::Unreadable)?.to_owned();
    Ok(Page { messages: read.messages.len(), next: Some(next) })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use hyper::header::HeaderValue;

    use super::{
        Answer, Bytes, Claimed, Failure, NIL_CLIENT_ID, Page, claimed, client_id, page, post_body,
    };

    #[test]
    fn every_client_has_a_name_of_its_own() {
        let names: HashSet<_> = (0..10).map(|_| client_id()).collect();
        assert_eq!(names.len(), 10);
        assert!(names.iter().all(|name| name != NIL_CLIENT_ID));
    }

    fn answer(status: u16, location: Option<&'static str>, body: &'static str) -> Answer {
        let location = location.map(HeaderValue::from_static);
        Answer { status, location, body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn a_post_holds_the_number_and_size_of_messages_asked_for() {
        for (count, size) in [(1, 2), (1, 1024), (10, 1024), (3, 100_000)] {
            let body: serde_json::Value =
                serde_json::from_slice(&post_body(count, size, 60)).unwrap();
            let messages = body["messages"].as_array().unwrap();
            assert_eq!(messages.len(), count as usize);
            for message in messages {
                assert_eq!(message["ttl"], 60);
                assert_eq!(message["body"].to_string().len(), size as usize);
            }
        }
    }

    #[test]
    fn a_claim_is_read_from_location_and_body() {
        let got = answer(
            201,
            Some("/v2/queues/orders/claims/6c1f"),
            r#"{"messages": [{"id": "a1", "href": "/x", "ttl": 360, "age": 1, "body": {"id": "no"}},
                             {"body": [1, "\u00e9"], "id": "b2"}]}"#,
        );
        let expected = Claimed { ids: vec!["a1".into(), "b2".into()], claim: "6c1f".into() };
        assert_eq!(claimed(&got), Ok(expected));
        assert_eq!(claimed(&answer(204, None, "")), Ok(Claimed::default()));
    }

    #[test]
    fn a_claim_that_is_none_is_unreadable() {
        let location = Some("/v2/queues/orders/claims/6c1f");
        for bad in ["", "[]", "{}", r#"{"messages": [{"href": "/x"}]}"#] {
            assert_eq!(claimed(&answer(201, location, bad)), Err(Failure::Unreadable), "{bad}");
        }
        let nameless = answer(201, None, r#"{"messages": [{"id": "a1"}]}"#);
        assert_eq!(claimed(&nameless), Err(Failure::Unreadable));
    }

    #[test]
    fn a_page_says_where_to_read_on() {
        let got = answer(
            200,
            None,
            r#"{"messages": [{"id": "a", "body": 1}, {"id": "b", "body": {"marker": 2}}], "links":
               [{"rel": "next", "href": "/v2/queues/q/messages?limit=2&marker=17&echo=true"}]}"#,
        );
        assert_eq!(page(&got), Ok(Page { messages: 2, next: Some("17".into()) }));
        let empty = answer(200, None, r#"{"messages": [], "links": []}"#);
        assert_eq!(page(&empty), Ok(Page::default()));
        let endless = answer(200, None, r#"{"messages": [{"id": "a"}], "links": []}"#);
        assert_eq!(page(&endless), Err(Failure::Unreadable));
    }
}
