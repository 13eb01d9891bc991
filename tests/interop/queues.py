"""Queues that one server makes and the other lists, changes and removes."""

from api import as_text, bodies_of

METADATA = {
    "team": "billing",
    "_default_message_ttl": 900,
    "_max_messages_post_size": 1000,
    "whole": [0, -1, 2**31 - 1, 2**31, 2**63 - 1, -(2**63)],
    "real": [0.5, -0.0, 1e300, 1.0],
    "nothing": None,
    "empty": [{}, [], ""],
    "": "an empty key",
    "a.b": {"$set": {"$x": 1}, "z": 1, "a": 2},
    "text": "ü ☃ 😀 \u0000",
    "flags": [True, False],
}


def lifecycle(scene):
    check, a, b = scene.check, scene.a, scene.b
    a.create("orders", METADATA)
    shown = scene.agree(lambda who: as_text(who.metadata("orders")), "metadata")
    check.true(as_text(METADATA["whole"]) in shown, "metadata is what was sent")
    b.create("orders", {"team": "sales"}, status=204)
    check.equal(a.metadata("orders")["team"], "billing", "the second PUT changes nothing")

    a.create("bare")
    scene.agree(lambda who: as_text(who.metadata("bare")), "defaults")
    check.equal(b.queues()["queues"][0]["name"], "bare", "both are listed")

    a.post("orders", {"body": 1}, {"body": 2})
    b.drop("orders")
    scene.learns(a, lambda who: "team" in who.metadata("orders"), False, "it has no metadata")
    check.equal(a.page("orders", echo="true")[0], [], "a dropped queue has no messages")
    check.equal(len(a.queues()["queues"]), 1, "a dropped queue is not listed")
    check.equal(scene.records.all("orders"), [], "nothing of it is left")
    check.equal(scene.records.queue("orders"), None, "nor its record")
    b.drop("orders")

    a.create("orders", {"team": "again"})
    check.equal(b.metadata("orders")["team"], "again", "the queue is made anew")
    b.post("orders", {"body": "new"})
    check.equal(bodies_of(a.page("orders")[0]), ["new"], "and works")


def lazily(scene):
    """A post makes the queue; the other server knows it."""
    check, a, b = scene.check, scene.a, scene.b
    check.equal(b.page("made")[0], [], "no such queue")
    a.post("made", {"body": 1})
    check.equal(bodies_of(b.page("made")[0]), [1], "but now")
    check.equal([it["name"] for it in b.queues()["queues"]], ["made"], "it is listed")
    b.create("made", {"late": 1}, status=204)
    check.true("late" not in a.metadata("made"), "it exists")


def listing(scene):
    check, a, b = scene.check, scene.a, scene.b
    names = ["-a", ".b", "1", "A", "B", "_", "a", "ab", "abc", "b", "bc"]
    for turn, name in enumerate(reversed(names)):
        (a, b)[turn % 2].create(name, {"turn": turn, "even": "yes" if turn % 2 == 0 else "no"})

    def listed(**query):
        return lambda who: [it["name"] for it in who.queues(**query)["queues"]]

    check.equal(scene.agree(listed(limit=20), "all"), names, "by the bytes of their names")
    for name in names:
        scene.agree(lambda who: detailed(who, name), "with metadata")
    scene.agree(lambda who: who.queues(limit=3, marker="A"), "behind a marker")
    scene.agree(lambda who: who.queues(with_count="true", limit=2), "with a count")
    check.equal(scene.agree(listed(name="b"), "by name"), [".b", "ab", "abc", "b", "bc"], "name")
    check.equal(scene.agree(listed(turn=4), "by metadata"), ["a"], "one metadata key")
    check.equal(scene.agree(listed(turn=4, even="no"), "by two keys"), [], "two metadata keys")
    check.equal(len(scene.agree(listed(even="yes"), "by text")), 6, "a text in the metadata")

    seen, path, turn = [], "/v2/queues?limit=2", 0
    while path:
        page = (a, b)[turn % 2].expect(200, "GET", path).document
        seen += [it["name"] for it in page["queues"]]
        path, turn = page["links"][0]["href"] if page["links"] else None, turn + 1
    check.equal(seen, names, "the link of one server leads on at the other")


def detailed(who, name):
    """The metadata of the queue, as the list shows it."""
    queues = who.queues(limit=20, detailed="true")["queues"]
    return as_text(next(it["metadata"] for it in queues if it["name"] == name))


def patching(scene):
    check, a, b = scene.check, scene.a, scene.b
    a.create("orders", {"kept": None, "team": "billing", "gone": 1, "n": 2**40})
    told = b.patch(
        "orders",
        ("add", "new", {"deep": [1, None]}),
        ("replace", "team", "sales"),
        ("remove", "gone"),
        ("add", "_default_message_ttl", 777),
    )
    scene.learns(a, lambda who: who.metadata("orders"), told, "a change is known at the other")
    check.equal(
        scene.records.queue("orders")["m"],
        {"kept": None, "team": "sales", "n": 2**40, "new": {"deep": [1, None]},
         "_default_message_ttl": 777},
        "nothing else changed",
    )
    for turn in range(6):
        who, other = (a, b) if turn % 2 else (b, a)
        who.patch("orders", ("add", "turn", turn))
        scene.learns(other, lambda it: it.metadata("orders").get("turn"), turn, f"turn {turn}")
    check.equal(scene.records.queue("orders")["m"]["n"], 2**40, "no patch undoes another's")
    for who, turn in ((b, 7), (a, 8), (b, 7)):
        who.patch("orders", ("add", "turn", turn))
    check.equal(scene.records.queue("orders")["m"]["turn"], 7, "a patch counts, whatever b knew")
    a.patch("orders", ("replace", "_default_message_ttl", 60))
    ttl = "_default_message_ttl"
    scene.learns(b, lambda who: who.metadata("orders")[ttl], 60, "the queue's ttl")
    (message,) = b.post("orders", {"body": 1})
    check.equal(a.message("orders", message)["ttl"], 60, "is that of its messages")

    a.post("orders", {"body": 1}, {"body": 2})
    counter = scene.records.counter("orders")
    b.patch("orders", ("remove", "turn"))
    check.equal(scene.records.counter("orders"), counter, "a patch leaves the counter alone")
    a.patch("missing", ("add", "a", 1), status=404)
    b.patch("missing", ("add", "a", 1), status=404)


def dropped_under_way(scene):
    """One server drops a queue again and again while the other uses it."""
    check, a, b = scene.check, scene.a, scene.b
    for turn in range(5):
        posted = b.post_bodies("worn", *range(7))
        claim, messages = b.claim("worn", limit=3)
        check.equal(len(messages), 3, "a claim")
        a.drop("worn")
        check.equal(b.page("worn", include_claimed="true", echo="true")[0], [], "nothing listed")
        b.claimed("worn", claim, status=404)
        b.message("worn", posted[5], status=404)
        b.delete("worn", posted[0], claim)
        check.equal(b.claim("worn"), (None, []), "nothing to claim")
        check.equal(b.pop("worn", 5), [], "nothing to pop")
        check.equal(b.stats("worn")["total"], 0, f"turn {turn}: nothing is left")
    (message,) = b.post("worn", {"body": "last"})
    check.equal(bodies_of(a.page("worn")[0]), ["last"], "it goes on")
    check.equal(a.claim("worn")[1][0]["id"], message, "and can be claimed")


def purging(scene):
    check, a, b = scene.check, scene.a, scene.b
    a.post_bodies("full", *range(30))
    claim, _ = a.claim("full", limit=4)
    b.purge("full")
    stats = scene.agree(lambda who: who.stats("full")["total"], "what is left")
    check.equal(stats, 4, "a purge spares what is claimed")
    check.equal(len(a.claimed("full", claim)["messages"]), 4, "the claim lives")


def nulls(scene):
    """Zaqar fails to claim from a queue whose record has a null for the most
    claims of a message: nusku writes none, and answers the same without."""
    check, a, b = scene.check, scene.a, scene.b
    if a.kind != "nusku":
        return
    a.create("orders", {"_max_claim_count": None, "_dead_letter_queue": "dead", "kept": None})
    a.create("others", {"_max_claim_count": 3, "_dead_letter_queue": "dead"})
    a.patch("others", ("replace", "_max_claim_count", None))
    for queue in ("orders", "others"):
        shown = scene.agree(lambda who: who.metadata(queue), queue)
        check.equal(shown["_max_claim_count"], None, "shown as null")
        a.post_bodies(queue, 1)
        check.equal(len(b.claim(queue)[1]), 1, "can be claimed from")
    check.true("kept" in scene.records.queue("orders")["m"], "other nulls are kept")


ALL = [lifecycle, lazily, listing, patching, dropped_under_way, purging, nulls]
