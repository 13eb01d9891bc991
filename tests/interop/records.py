"""The documents, field by field: nusku writes what Zaqar writes."""

import datetime
import uuid

import bson
from api import ids_of
from database import kind, now, seconds_of, shape, soon

QUEUE = {"_id": "id", "p_q": "string", "m": {"x": "int"}, "c": {"v": "int", "t": "int"}}
MESSAGE = {
    "_id": "id", "p_q": "string", "t": "int", "e": "date", "u": "binary 4",
    "c": {"id": "null", "e": "int", "c": "int"},
    "d": "int", "b": "string", "k": "int", "tx": "null",
}
CLAIMED = {"id": "id", "t": "int", "e": "int", "c": "int"}
RELEASED = {"id": "null", "e": "int"}


def queue_records(scene):
    check, a, b, records = scene.check, scene.a, scene.b, scene.records
    for who, queue in ((a, "first"), (b, "second")):
        who.create(queue, {"x": 1})
        record = records.queue(queue)
        check.equal(shape(record), QUEUE, f"a queue of {who.kind}")
        check.equal(record["c"], {"v": 1, "t": 0}, "its counter")
        check.true(soon(record["_id"].generation_time.timestamp()), "its id tells the time")
    a.post_bodies("first", 1, 2, 3)
    b.post_bodies("first", 4, 5)
    record = records.queue("first")
    check.equal(record["c"]["v"], 6, "the counter is the next free marker")
    check.true(soon(record["c"]["t"]), "and tells when it moved")
    a.create("empty")
    check.equal(records.queue("empty")["m"], {}, "no metadata is an empty document")
    a.post_bodies("lazy", 1)
    check.equal(records.queue("lazy")["m"], {}, "also if nobody made the queue")


def message_records(scene):
    check, a, b, records = scene.check, scene.a, scene.b, scene.records
    ids = []
    for who in (a, b, a):
        ids += who.post("news", {"body": "x", "ttl": 300}, {"body": "y", "ttl": 300})
    found = records.all("news")
    check.equal([str(it["_id"]) for it in found], ids, "ids by marker")
    check.equal([it["k"] for it in found], [1, 2, 3, 4, 5, 6], "markers")
    for record, who in zip(found, (a, a, b, b, a, a)):
        check.equal(shape(record), MESSAGE, f"a message of {who.kind}")
        check.equal(record["t"], 300, "t is the ttl")
        check.true(soon(record["d"]), "d is the time of the post")
        check.equal(record["c"], {"id": None, "e": record["d"], "c": 0}, "c is free")
        check.equal(seconds_of(record["e"]), record["d"] + 300, "e is the expiry")
        check.equal(record["e"].microsecond, 0, "in whole seconds")
        check.equal(bytes(record["u"]), uuid.UUID(who.client).bytes, "u is who posted it")
        check.true(soon(record["_id"].generation_time.timestamp()), "the id tells the time")


def body_records(scene):
    check, a, records = scene.check, scene.a, scene.records
    body = {
        "z": 1, "a": 2**31, "big": -(2**63), "real": 1.0, "none": None, "yes": True,
        "list": [1, "1", [], {}], "$dollar": {"": 0}, "a.b": "é",
    }
    (message,) = a.post_bodies("shapes", body)
    stored = records.one("shapes", message)["b"]
    check.equal(stored, body, "the body is a document")
    check.equal(list(stored), list(body), "its keys keep their order")
    check.equal(shape(stored), shape(body), "its values have their types")
    for value, name in [
        (None, "null"), (True, "bool"), (7, "int"), (0.5, "double"), ("s", "string"), ([], "array")
    ]:
        (message,) = a.post_bodies("shapes", value)
        check.equal(kind(records.one("shapes", message)["b"]), name, "a body of one value")


def claim_records(scene):
    check, a, b, records = scene.check, scene.a, scene.b, scene.records
    (message,) = a.post_bodies("work", 1)

    def state():
        return records.one("work", message)["c"]

    claim, _ = a.claim("work", ttl=100)
    check.equal(shape(state()), CLAIMED, "claimed")
    check.equal((str(state()["id"]), state()["t"], state()["c"]), (claim, 100, 0), "by whom")
    check.true(soon(state()["e"] - 100), "until when")
    a.renew("work", claim, ttl=200, grace=60)
    without_count = {name: it for name, it in shape(state()).items() if name != "c"}
    check.equal({**without_count, "c": "int"}, CLAIMED, "renewed")
    check.equal((str(state()["id"]), state()["t"], state().get("c", 0)), (claim, 200, 0), "by it")
    check.true(soon(state()["e"] - 200), "for longer")
    a.release("work", claim)
    without_count = {name: it for name, it in shape(state()).items() if name != "c"}
    check.equal(without_count, RELEASED, "released")
    check.equal(state().get("c", 0), 0, "counted from zero")
    check.true(soon(state()["e"]), "now")
    check.equal(ids_of(b.claim("work")[1]), [message], "the other can claim it")


def foreign(scene):
    """What another writer leaves out, adds or writes wider is put up with."""
    check, a, b, project = scene.check, scene.a, scene.b, scene.project
    a.create("mixed")
    wide = bson.Int64
    expires = datetime.datetime.fromtimestamp(now() + 300, datetime.UTC)
    who = bson.Binary(uuid.UUID(int=7).bytes, 4)
    base = {"p_q": f"{project}/mixed", "e": expires, "u": who, "tx": None, "b": "theirs"}
    collection = scene.database.messages(project, "mixed")
    first = collection.insert_one(
        {**base, "t": wide(300), "k": wide(1), "d": wide(now()), "extra": [1],
         "c": {"id": None, "e": wide(now())}}
    ).inserted_id
    second = collection.insert_one(
        {**base, "t": 300, "k": 2, "c": {"id": None, "e": now(), "more": 1}}
    ).inserted_id
    scene.database.queues.update_one({"p_q": base["p_q"]}, {"$set": {"c.v": wide(3)}})
    ids = [str(first), str(second)]
    check.equal(scene.agree(lambda it: ids_of(it.page("mixed")[0]), "listed"), ids, "listed")
    claim, messages = b.claim("mixed", limit=1)
    check.equal(ids_of(messages), ids[:1], "claimed")
    check.equal(scene.agree(lambda it: it.stats("mixed")["total"], "counted"), 2, "counted")
    a.delete("mixed", ids[0], claim)
    (late,) = b.post_bodies("mixed", "ours")
    scene.lists(a, "mixed", [ids[1], late], "followed by ours")
    check.equal(ids_of(b.pop("mixed", 5)), [ids[1], late], "popped")


def stalled(scene):
    """Somebody died between inserting messages and raising the counter, which
    the fifo driver does in this order. nusku gets past them; so does Zaqar, but
    it takes six seconds for each."""
    check, a, b, records = scene.check, scene.a, scene.b, scene.records
    if b.kind != "nusku" or scene.database.driver != "mongodb.fifo":
        return
    ids = a.post_bodies("stuck", *range(5))
    died = {"$set": {"c.v": 3, "c.t": now() - 60}}
    scene.database.queues.update_one({"p_q": records.scope("stuck")}, died)
    ids += b.post_bodies("stuck", 5, 6)
    ids += a.post_bodies("stuck", 7)
    scene.agree(lambda who: ids_of(who.page("stuck", echo="true")[0]), "listed")
    check.equal([str(it["_id"]) for it in records.all("stuck")], ids, "behind what was there")
    check.true(records.counter("stuck") > records.all("stuck")[-1]["k"], "the counter is right")


ALL = [queue_records, message_records, body_records, claim_records, foreign, stalled]
