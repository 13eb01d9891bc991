//! A topic is placed for itself, whatever becomes of the queue of its name.

use serde_json::{Value, json};

use super::{Server, Site};
use crate::support::bodies;
use crate::support::mongod::Mongod;

const QUEUE: &str = "/v2/queues/same";
const TOPIC: &str = "/v2/topics/same";

fn post(server: &Server, place: &str, texts: &[&str]) {
    let messages: Vec<_> = texts.iter().map(|text| json!({ "body": text })).collect();
    let posted = server.0.post(&format!("{place}/messages"), json!({ "messages": messages }));
    posted.expect(201);
}

fn listed(server: &Server, place: &str) -> Vec<Value> {
    let page = server.0.get(&format!("{place}/messages?echo=true")).expect(200).json();
    bodies(&page["messages"])
}

#[tokio::test]
async fn a_topic_and_the_queue_of_its_name_have_places_of_their_own() {
    let (site, mongod) = (Site::new(), Mongod::start(None));
    let server = site.server();
    server.pool("disk", &site.embedded("disk"), 1, json!({}));
    server.pool("mongo", &super::alone(&mongod), 1, json!({}));
    server.flavor("fast", &["disk"]);
    server.flavor("large", &["mongo"]);
    for (of_queue, of_topic) in
        [("fast", "large"), ("large", "fast"), ("fast", "fast"), ("large", "large")]
    {
        server.0.put(QUEUE, json!({ "_flavor": of_queue })).expect(201);
        server.0.put(TOPIC, json!({ "_flavor": of_topic })).expect(201);
        post(&server, QUEUE, &["q1", "q2"]);
        post(&server, TOPIC, &["t1", "t2", "t3"]);
        let expected = ["fast", "large"]
            .map(|flavor| 2 * u64::from(of_queue == flavor) + 3 * u64::from(of_topic == flavor));
        let volumes = ["disk", "mongo"].map(|pool| server.volume(pool));
        assert_eq!(volumes, expected, "{of_queue} and {of_topic}");
        assert_eq!(listed(&server, QUEUE), ["q1", "q2"]);
        assert_eq!(listed(&server, TOPIC), ["t1", "t2", "t3"]);
        server.0.delete(QUEUE).expect(204);
        assert_eq!(listed(&server, QUEUE), Vec::<Value>::new());
        assert_eq!(listed(&server, TOPIC), ["t1", "t2", "t3"]);
        let pool = if of_topic == "fast" { "disk" } else { "mongo" };
        server.admin("DELETE", &format!("/v2/pools/{pool}")).expect(403);
        server.0.delete(TOPIC).expect(204);
        assert_eq!(listed(&server, TOPIC), Vec::<Value>::new());
    }
}

#[tokio::test]
async fn a_post_places_a_topic_that_another_server_finds() {
    let site = Site::new();
    let server = site.server();
    server.pool("disk", &site.embedded("disk"), 1, json!({}));
    post(&server, TOPIC, &["t1"]);
    assert_eq!(server.queues(), [""; 0], "it is no queue");
    drop(server);
    let server = site.server();
    assert_eq!(listed(&server, TOPIC), ["t1"]);
    let topics = server.0.get("/v2/topics").expect(200).json();
    assert_eq!(topics["topics"][0]["name"], "same");
}
