"""Messages that one server takes and the other lists, hands out and deletes."""

import json

from api import as_text, bodies_of, ids_of
from database import soon
from scene import BOB

BODIES = [
    None, True, False, "", "text", "ü ☃ 😀", "\u0000 and \u2028",
    0, 1, -1, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**53 + 1, 2**63 - 1, -(2**63),
    0.5, -0.0, 1.0, 0.1, 1e300, 5e-324, 123456789.125, 1e16,
    [], {}, [[]], [{}], {"a": []}, [1, 1.0, True, None, "1"],
    {"": 1, " ": 2, "é": 3},
    {"a.b": 1, "$set": {"$x": [1]}, ".": {"..": 2}, "$": 3},
    {"z": 1, "a": 2, "m": {"y": 1, "b": 2}},
    {"_id": 7, "k": 1, "c": {"e": 0}, "tx": 1},
    {"list": [{"deep": [{"er": [None, 2**40]}]}] * 3},
    json.loads("[" * 100 + "]" * 100),
    {"long": "x" * 100_000},
]


def bodies(scene):
    """Every shape of JSON comes out as it went in, key order and all."""
    check, a, b = scene.check, scene.a, scene.b
    posted = a.post_bodies("shapes", *BODIES)
    listed, path = [], "/v2/queues/shapes/messages?limit=20"
    while path:
        page, path = b.follow(path)
        listed += page
    check.equal(ids_of(listed), posted, "all, in order")
    for body, message in zip(BODIES, listed):
        check.equal(as_text(message["body"])[:300], as_text(body)[:300], "listed")
    for which in (BODIES[:20], BODIES[20:]):
        at = BODIES.index(which[0])
        got = b.messages("shapes", posted[at:at + 20])
        check.equal(as_text(bodies_of(got)), as_text(which), "by ids")
    _, claimed = b.claim("shapes", limit=20)
    check.equal(as_text(bodies_of(claimed)), as_text(BODIES[:20]), "claimed")
    popped = b.pop("shapes", 20)
    check.equal(as_text(bodies_of(popped)), as_text(BODIES[20:]), "popped")


def odd_texts(scene):
    """JSON that says the same in another way."""
    check, a, b = scene.check, scene.a, scene.b
    for text, meant in [
        ('{"a": 1, "b": 2, "a": 3}', {"a": 3, "b": 2}),
        ('"\\u00e9\\ud83d\\ude00"', "é😀"),
        ("[1E2, 1e-2, -0]", [100.0, 0.01, 0]),
        ('  {  "a"\t:\n1 }  ', {"a": 1}),
    ]:
        request = f'{{"messages": [{{"body": {text}, "ttl": 300}}]}}'
        answer = a.expect(201, "POST", "/v2/queues/odd/messages", request)
        message = answer.document["resources"][0].split("/")[-1]
        check.equal(as_text(b.message("odd", message)["body"]), as_text(meant), text)


def following(scene):
    """A marker of one server leads on at the other; own messages are left out."""
    check, a, b = scene.check, scene.a, scene.b
    posted, others = [], []
    for number in range(12):
        who = (a, b)[number % 2]
        ids = who.post_bodies("news", *[f"{number}.{part}" for part in range(3)])
        posted += ids
        others += ids if who is a else []
    for query, expected in [("echo=true&", posted), ("", others)]:
        seen, path, turn = [], f"/v2/queues/news/messages?{query}limit=5", 0
        reader = scene.writer.client(scene.project, BOB)
        while path:
            page, path = (reader, b)[turn % 2].follow(path)
            seen, turn = seen + ids_of(page), turn + 1
        reader.close()
        check.equal(seen, expected, f"pages from both in turn, {query}")
    scene.agree(lambda who: who.page("news", echo="true", limit=20), "one page")

    _, path = a.page("news", echo="true", limit=20)
    _, path = b.follow(path)
    check.equal(b.follow(path), ([], None), "nothing more")
    (late,) = a.post_bodies("news", "late")
    check.equal(ids_of(b.follow(path)[0]), [late], "the marker finds what comes later")
    scene.agree(lambda who: who.page("news", marker="x"), "a marker that is none")


def one_by_one(scene):
    check, a, b = scene.check, scene.a, scene.b
    ids = a.post("letters", *({"body": number, "ttl": 60 + number} for number in range(10)))
    scene.agree(lambda who: shown(who.message("letters", ids[3])), "one")
    check.equal(b.message("letters", ids[3])["ttl"], 63, "its ttl")
    scene.agree(lambda who: [shown(it) for it in who.messages("letters", ids[4:7])], "some")
    check.equal(
        sorted(ids_of(b.messages("letters", [ids[2], "0" * 24, ids[1], "nonsense"]))),
        sorted(ids[1:3]),
        "what is not there is skipped",
    )
    b.message("letters", "0" * 24, status=404)
    b.messages("letters", ["0" * 24], status=404)

    b.delete("letters", ids[0])
    a.message("letters", ids[0], status=404)
    b.delete_many("letters", [*ids[1:4], "0" * 24])
    scene.lists(a, "letters", ids[4:], "deleted at the other")
    check.equal(ids_of(b.pop("letters", 2)), ids[4:6], "popped")
    check.equal(ids_of(a.pop("letters", 1)), ids[6:7], "popped here")
    scene.lists(b, "letters", ids[7:], "what is left")
    popped = a.pop("letters", 1)[0]
    check.equal(
        (popped["body"], popped["claim_id"], popped["ttl"]), (7, None, 67), "a popped message"
    )
    b.delete("letters", ids[7])
    check.equal(scene.agree(lambda who: who.stats("letters")["total"], "total"), 2, "two left")


def shown(message):
    """A message without its age, which changes as one looks."""
    age = message.pop("age")
    assert 0 <= age < 60, message
    return message


def statistics(scene):
    check, a, b = scene.check, scene.a, scene.b
    scene.agree(lambda who: who.stats("counted"), "of no queue")
    ids = a.post_bodies("counted", *range(6))
    b.claim("counted", limit=2)

    def counted(who):
        stats = who.stats("counted")
        for end in ("oldest", "newest"):
            shown(stats[end])
        return stats

    stats = scene.agree(counted, "stats")
    check.equal((stats["free"], stats["claimed"], stats["total"]), (4, 2, 6), "the numbers")
    check.true(stats["oldest"]["href"].endswith(ids[0]), "the oldest, claimed or not")
    check.true(stats["newest"]["href"].endswith(ids[-1]), "the newest")


def delays(scene):
    check, a, b = scene.check, scene.a, scene.b
    a.create("later", {"_default_message_delay": 100})
    now_, late, later = a.post(
        "later", {"body": 0, "delay": 0}, {"body": 1, "delay": 300}, {"body": 2}
    )
    for who in scene.both():
        check.equal(ids_of(who.page("later", echo="true")[0]), [now_], "delayed: hidden")
        page, _ = who.page("later", echo="true", include_delayed="true")
        check.equal(ids_of(page), [now_, late, later], "include_delayed")
        check.equal(who.message("later", late)["body"], 1, "get shows it")
        stats = who.stats("later")
        check.equal((stats["free"], stats["total"]), (3, 3), "delayed counts as free")
        check.true(stats["newest"]["href"].endswith(now_), "but is not the newest")
    record = scene.records.one("later", late)
    check.true(soon(record["d"] - 300), "d is when it shows")
    check.equal(ids_of(b.claim("later")[1]), [now_], "delayed: not claimed")
    check.equal(a.claim("later"), (None, []), "by either")
    scene.records.end_delays("later")
    check.equal(ids_of(b.page("later")[0]), [late, later], "the delay is over")
    check.equal(ids_of(b.claim("later", limit=1)[1]), [late], "it can be claimed")

    (hidden,) = a.post("later", {"body": 3})
    check.equal(ids_of(b.pop("later", 5)), [later, hidden], "pop does not mind a delay")
    a.create("prompt")
    a.post("prompt", {"body": 1, "delay": 300})
    check.equal(len(b.page("prompt")[0]), 1, "a queue without delays has none")
    check.equal(len(b.claim("prompt")[1]), 1, "nor for claims")


def expiry(scene):
    """What has expired is gone for nusku; Zaqar shows it until it is collected."""
    check, a, b = scene.check, scene.a, scene.b
    ids = a.post_bodies("old", *range(3))
    scene.records.end_lives("old", ids[1])
    if b.kind == "nusku":
        check.equal(ids_of(b.page("old")[0]), [ids[0], ids[2]], "not listed")
        b.message("old", ids[1], status=404)
        check.equal(ids_of(b.claim("old")[1]), [ids[0], ids[2]], "not claimed")
        check.equal(b.pop("old", 5), [], "not popped")
        check.equal(b.stats("old")["total"], 2, "not counted")
    else:
        check.equal(ids_of(b.page("old")[0]), ids, "Zaqar shows what is not collected")
    b.delete("old", ids[1])
    check.equal(len(scene.records.all("old")), 2, "deleted")


def apart(scene):
    """Projects and queues see nothing of each other, whoever serves them."""
    check, a, b = scene.check, scene.a, scene.b
    (message,) = a.post_bodies("mine", 1)
    other = scene.reader.client(f"{scene.project}x", BOB)
    check.equal(other.page("mine", echo="true")[0], [], "another project lists nothing")
    other.message("mine", message, status=404)
    other.delete("mine", message)
    check.equal(other.claim("mine"), (None, []), "claims nothing")
    check.equal(other.pop("mine", 5), [], "pops nothing")
    check.equal(other.queues()["queues"], [], "has no queue")
    other.drop("mine")
    other.close()
    b.message("yours", message, status=404)
    b.delete("yours", message)
    check.equal(ids_of(b.page("mine")[0]), [message], "it is still there")


def foreign_letters(scene):
    """A project named in UTF-8. Zaqar takes each byte for a character, so that
    is what its documents say; nusku has to find them."""
    check = scene.check
    name = f"zoë-{scene.project}".encode().decode("latin-1")
    a, b = scene.writer.client(name, scene.a.client), scene.reader.client(name, BOB)
    a.create("caf", {"here": True})
    record = scene.database.queues.find_one({"p_q": f"{name}/caf"})
    check.true(record is not None, "its name in the documents")
    check.true("here" in b.metadata("caf"), "its queue")
    (message,) = a.post_bodies("caf", 1)
    check.equal(ids_of(b.page("caf")[0]), [message], "its messages")
    check.equal([it["name"] for it in b.queues()["queues"]], ["caf"], "its list of queues")
    a.close()
    b.close()


def not_a_number(scene):
    """Zaqar takes NaN; nusku shows the message in JSON that everybody can read."""
    check, a, b = scene.check, scene.a, scene.b
    if a.kind != "zaqar":
        return
    request = '{"messages": [{"body": [NaN, Infinity], "ttl": 300}, {"body": 7, "ttl": 300}]}'
    a.expect(201, "POST", "/v2/queues/odd/messages", request)
    answer = b.expect(200, "GET", "/v2/queues/odd/messages")
    check.equal(bodies_of(answer.document["messages"])[-1], 7, "what comes behind it is listed")
    if b.kind == "nusku":
        check.true("NaN" not in answer.text and "Infinity" not in answer.text, "as JSON")


ALL = [
    bodies, odd_texts, following, one_by_one, statistics, delays, expiry, apart, foreign_letters,
    not_a_number,
]
