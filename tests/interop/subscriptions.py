"""Subscriptions that one server makes and the other lists, changes and ends."""

import datetime
import time

import bson
from api import as_text
from database import kind, now, seconds_of, shape, soon

HOOK = "https://hooks.example.net/in"
OPTIONS = {
    "post_headers": {"X-Team": "billing"},
    "_retry_policy": {"retries_with_no_delay": 5},
    "whole": [0, -1, 2**31, 2**63 - 1],
    "real": [0.5, 1.0],
    "nothing": None,
    "a.b": {"text": "\u00fc \u2603"},
}


def place(queue, subscription=""):
    return f"/v2/queues/{queue}/subscriptions" + (f"/{subscription}" if subscription else "")


def subscribe(who, queue, subscriber, status=201, **fields):
    document = {"subscriber": subscriber, **fields}
    answer = who.expect(status, "POST", place(queue), document)
    return answer.document["subscription_id"] if status == 201 else None


def shown(who, queue, subscription, status=200):
    answer = who.expect(status, "GET", place(queue, subscription))
    return answer.document if status == 200 else None


def confirm(who, queue, subscription, confirmed, status=204):
    path = f"{place(queue, subscription)}/confirm"
    who.expect(status, "PUT", path, {"confirmed": confirmed})


def listed(who, queue):
    """All of them, page by page, without their ages."""
    found, path = [], f"{place(queue)}?limit=3"
    while path:
        page = who.expect(200, "GET", path).document
        found += [{**it, "age": None} for it in page["subscriptions"]]
        path = page["links"][0]["href"] if page["links"] else None
    return found


def collection(scene):
    return scene.database.client[f"{scene.database.name}_subscriptions"].subscriptions


def lifecycle(scene):
    check, a, b = scene.check, scene.a, scene.b
    hook = subscribe(a, "news", HOOK, ttl=7200, options=OPTIONS)
    time.sleep(1.1)  # the ids of two servers sort by the second, and no finer
    mail = subscribe(b, "news", "mailto:ops@example.net")
    for turn, name in enumerate("cadb"):
        subscribe((a, b)[turn % 2], "news", f"http://{name}.example.net/")
    found = scene.agree(lambda who: as_text(listed(who, "news")), "pages")
    check.true(as_text(OPTIONS) in found, "options are what was sent")
    check.equal([it["id"] for it in listed(a, "news")][:1], [hook], "the first is the oldest")
    check.equal(len(listed(b, "news")), 6, "all of them")

    check.equal(subscribe(b, "news", HOOK, ttl=60), hook, "an unconfirmed one is the answer")
    confirm(b, "news", hook, True)
    check.true(shown(a, "news", hook)["confirmed"], "one confirms, the other knows")
    subscribe(a, "news", HOOK, status=409)
    subscribe(b, "news", HOOK, status=409)
    confirm(a, "news", hook, False)
    check.true(not shown(b, "news", hook)["confirmed"], "and takes it back")

    change = {"ttl": 900, "subscriber": "https://other.example.net/", "options": {"a": 1}}
    b.expect(204, "PATCH", place("news", mail), change)
    after = scene.agree(lambda who: {**shown(who, "news", mail), "age": None}, "a change")
    check.equal((after["ttl"], after["options"]), (900, {"a": 1}), "what was changed")
    a.expect(409, "PATCH", place("news", mail), {"subscriber": HOOK})
    b.expect(409, "PATCH", place("news", mail), {"subscriber": HOOK})

    b.expect(204, "DELETE", place("news", hook))
    shown(a, "news", hook, status=404)
    a.drop("news")
    scene.agree(lambda who: listed(who, "news"), "what outlives the queue")
    check.equal(len(listed(b, "news")), 5, "they outlive the queue")


def documents(scene):
    """Both servers write the same document, but for how far nusku is with it."""
    check = scene.check
    records, found = collection(scene), []
    for number, who in enumerate(scene.both()):
        made = subscribe(who, "news", f"{HOOK}/{number}", ttl=7200, options=OPTIONS)
        record = records.find_one({"_id": bson.ObjectId(made)})
        check.true(soon(seconds_of(record["e"]) - 7200), f"{who.kind}: expires")
        check.true(soon(seconds_of(record["_id"].generation_time)), f"{who.kind}: id")
        check.equal((record["s"], record["p"]), ("news", scene.project), f"{who.kind}: whose")
        state = record.pop("nusku", None)
        check.equal(state, {"done": 0} if who.kind == "nusku" else None, f"{who.kind}: how far")
        found.append((shape(record), kind(record["t"]), record["o"], record["c"]))
    check.equal(found[0], found[1], "documents")
    fields = ["_id", "s", "u", "t", "e", "o", "p", "c"]
    check.equal([list(it[0]) for it in found], [fields, fields], "fields in their order")
    check.equal(records.count_documents({"p": scene.project}), 2, "no others")


def old_records(scene):
    """Records from before confirmations, and of when expiry was a number."""
    check, records = scene.check, collection(scene)
    subscribe(scene.a, "news", f"{HOOK}/new")
    record = {"s": "news", "p": scene.project, "t": 3600, "o": {}}
    later = datetime.datetime.fromtimestamp(now() + 3600, datetime.UTC)
    records.insert_one({**record, "u": f"{HOOK}/old", "e": later})
    records.insert_one({**record, "u": f"{HOOK}/older", "e": now() + 3600})
    found = scene.agree(lambda who: listed(who, "news"), "old records")
    confirmed = {it["subscriber"].removeprefix(HOOK): it["confirmed"] for it in found}
    wanted = {"/new": False, "/old": True, "/older": True}
    check.equal(confirmed, wanted, "read as confirmed")


ALL = [lifecycle, documents, old_records]
