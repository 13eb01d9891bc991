"""Messages claimed too often, by whichever server, become dead letters."""

from api import bodies_of, ids_of
from database import now, queue_in_partition, seconds_of, soon

RULE = {"_max_claim_count": 2, "_dead_letter_queue_messages_ttl": 1000}


def near(scene):
    moved(scene, 0)


def far(scene):
    """The dead letter queue lies in the other partition."""
    moved(scene, 1)


def moved(scene, number):
    check, a, b = scene.check, scene.a, scene.b
    work, dead = prepare(scene, number)
    ids = a.post_bodies(work, "one", "two", "three")
    claimed_twice(scene, work, ids[:2])
    counter = scene.records.counter(dead)

    _, messages = b.claim(work, limit=10)
    check.equal(ids_of(messages), ids[2:], "the third time they are moved, not handed out")
    check.equal([str(it["_id"]) for it in scene.records.all(work)], ids[2:], "they are gone")
    found = scene.records.all(dead)
    check.equal(sorted(str(it["_id"]) for it in found), ids[:2], "they are dead letters")
    check.equal({it["t"] for it in found}, {1000}, "their ttl")
    if b.kind == "nusku":
        check.equal([it["k"] for it in found], [counter, counter + 1], "fresh markers")
        check.equal([it["c"]["id"] for it in found], [None, None], "of no claim")
        check.true(all(it["c"]["e"] <= now() for it in found), "free at once")
        check.true(all(not it["c"].get("c") for it in found), "never claimed")
        check.true(all(soon(seconds_of(it["e"]) - 1000) for it in found), "their expiry")
        check.equal(scene.records.counter(dead), counter + 2, "markers are used up")
    else:
        # Zaqar leaves them to their last claim and keeps their markers.
        check.equal(b.page(dead, echo="true")[0], [], "still claimed")
        scene.records.end_claims(dead)

    scene.agree(lambda who: bodies_of(who.page(dead, echo="true")[0]), "the dead letters")
    check.equal(bodies_of(b.page(dead)[0]), ["one", "two"], "in order, bodies as they were")
    claim, messages = a.claim(dead)
    check.equal(ids_of(messages), ids[:2], "they can be claimed")
    b.delete(dead, ids[0], claim)
    check.equal(ids_of(a.claimed(dead, claim)["messages"]), ids[1:2], "and worked off")
    (late,) = a.post_bodies(dead, "late")
    scene.lists(b, dead, [late], "others can post there")


def prepare(scene, number):
    work = queue_in_partition(scene.project, "work", 0)
    dead = queue_in_partition(scene.project, "dead", number)
    scene.a.create(dead)
    scene.b.create(work, {**RULE, "_dead_letter_queue": dead})
    return work, dead


def claimed_twice(scene, work, ids):
    """A claim through each server that ends by itself; each counts as one."""
    for count, who in enumerate(scene.both(), 1):
        _, messages = who.claim(work, limit=len(ids))
        scene.check.equal(ids_of(messages), ids, f"claim {count} hands them out")
        counts = [scene.records.one(work, it)["c"]["c"] for it in ids]
        scene.check.equal(counts, [count] * len(ids), f"claim {count} is counted")
        scene.records.end_claims(work)


def forgiven(scene):
    """Releasing and renewing a claim take the count back, whoever does it."""
    check, a, b = scene.check, scene.a, scene.b
    work, dead = prepare(scene, 1)
    ids = a.post_bodies(work, "one")
    for take_back in (
        lambda claim: b.release(work, claim),
        lambda claim: b.renew(work, claim, ttl=600, grace=60),
    ):
        a.claim(work)
        scene.records.end_claims(work)
        claim, _ = a.claim(work)
        check.equal(scene.records.one(work, ids[0])["c"]["c"], 2, "claimed twice")
        take_back(claim)
        check.true(not scene.records.one(work, ids[0])["c"].get("c"), "counted from zero")
        scene.records.end_claims(work)
    claimed_twice(scene, work, ids)
    check.equal(b.claim(work), (None, []), "nothing but dead letters")
    check.equal([str(it["_id"]) for it in scene.records.all(dead)], ids, "moved at last")


def among_others(scene):
    """nusku takes markers of the dead letter queue, where Zaqar would collide."""
    check, a, b = scene.check, scene.a, scene.b
    if b.kind != "nusku":
        return
    work, dead = prepare(scene, 0)
    others = a.post_bodies(dead, *range(3))
    ids = a.post_bodies(work, *"xyz")
    claimed_twice(scene, work, ids)
    check.equal(b.claim(work), (None, []), "all are moved")
    for who in scene.both():
        check.equal(ids_of(who.page(dead, echo="true")[0]), others + ids, "to the end")
    check.equal([it["k"] for it in scene.records.all(dead)], [1, 2, 3, 4, 5, 6], "markers")
    late = a.post_bodies(dead, "late")
    check.equal(ids_of(b.page(dead)[0]), others + ids + late, "and it goes on")


def nowhere(scene):
    """A dead letter queue that nobody has made yet."""
    check, a, b = scene.check, scene.a, scene.b
    work, dead = "work", "dead"
    a.create(work, {**RULE, "_dead_letter_queue": dead})
    ids = a.post_bodies(work, "lost?")
    claimed_twice(scene, work, ids)
    check.equal(b.claim(work), (None, []), "moved")
    if b.kind == "zaqar":
        scene.records.end_claims(dead)
    a.call("PUT", f"/v2/queues/{dead}")
    for who in scene.both():
        check.equal(bodies_of(who.page(dead, echo="true")[0]), ["lost?"], "it is there")
    check.equal(ids_of(a.claim(dead)[1]), ids, "and can be claimed")


ALL = [near, far, forgiven, among_others, nowhere]
