"""Topics that one server makes and the other lists, changes and removes."""

from api import JSON_PATCH, as_text, encoded

METADATA = {"channel": "stable", "_default_message_ttl": 900, "nested": {"a": [1, None]}}


def make(who, topic, metadata=None, status=201):
    who.expect(status, "PUT", f"/v2/topics/{topic}", metadata)


def shown(who, topic):
    return who.expect(200, "GET", f"/v2/topics/{topic}").document


def listed(who, **query):
    return who.expect(200, "GET", f"/v2/topics{encoded(query)}").document["topics"]


def names(who, **query):
    return [topic["name"] for topic in listed(who, **query)]


def lifecycle(scene):
    check, a, b = scene.check, scene.a, scene.b
    make(a, "news", METADATA)
    make(b, "news", {"channel": "other"}, status=204)
    scene.agree(lambda who: as_text(shown(who, "news")), "metadata and defaults")
    scene.agree(lambda who: listed(who, detailed="true"), "the listing")
    for name in ("1", "Z", "old-news"):
        make(b, name)
    scene.agree(lambda who: names(who), "names")
    scene.agree(lambda who: names(who, limit=2, marker="1"), "a page")
    scene.agree(lambda who: names(who, name="new"), "a part of the name")
    scene.agree(lambda who: names(who, channel="stable"), "a filter")

    change = [{"op": "replace", "path": "/metadata/channel", "value": "beta"}]
    b.expect(200, "PATCH", "/v2/topics/news", change, Content_Type=JSON_PATCH)
    scene.learns(a, lambda who: shown(who, "news")["channel"], "beta", "the change")
    b.expect(204, "DELETE", "/v2/topics/news")
    scene.learns(a, lambda who: "channel" in shown(who, "news"), False, "it is gone")
    check.equal(names(a), ["1", "Z", "old-news"], "and not listed")
    make(a, "news", {"channel": "anew"})
    scene.learns(b, lambda who: shown(who, "news").get("channel"), "anew", "it is made anew")


def apart(scene):
    """Topics are not among the queues of either."""
    check, a, b = scene.check, scene.a, scene.b
    make(a, "same", {"of": "topic"})
    check.equal(b.queues()["queues"], [], "no queue")
    b.create("same", {"of": "queue"})
    check.equal(shown(a, "same")["of"], "topic", "the topic keeps its metadata")
    check.equal(a.metadata("same")["of"], "queue", "the queue has its own")
    check.equal([queue["name"] for queue in a.queues()["queues"]], ["same"], "one queue")
    if a.kind == "nusku":
        messages = {"messages": [{"body": "told"}]}
        a.expect(201, "POST", "/v2/topics/same/messages", messages)
        check.equal(b.page("same", echo="true")[0], [], "the queue has no message of the topic")
        check.equal(scene.records.all("same"), [], "nor in the database")
        b.post("same", {"body": "queued"})
        b.purge("same")
        stats = a.expect(200, "GET", "/v2/topics/same/stats").document["messages"]
        check.equal(stats["total"], 1, "a purge of the queue leaves the topic")
        check.equal(names(b), ["same"], "Zaqar lists the topic with messages")


ALL = [lifecycle, apart]
