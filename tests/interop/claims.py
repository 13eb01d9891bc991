"""Claims that one server makes and the other looks at, renews and ends."""

from api import bodies_of, ids_of
from database import seconds_of, soon


def held(scene):
    check, a, b = scene.check, scene.a, scene.b
    ids = a.post_bodies("work", *range(8))
    claim, messages = a.claim("work", limit=3, ttl=120, grace=60)
    check.equal(ids_of(messages), ids[:3], "the oldest")
    told = scene.agree(lambda who: aged(who.claimed("work", claim)), "the claim")
    check.equal((told["ttl"], ids_of(told["messages"])), (120, ids[:3]), "ttl and messages")
    check.true(all(it["href"].endswith(claim) for it in told["messages"]), "hrefs name it")
    for who in scene.both():
        check.equal(ids_of(who.page("work", echo="true")[0]), ids[3:], "claimed: hidden")
        page, _ = who.page("work", echo="true", include_claimed="true")
        check.equal(ids_of(page), ids, "include_claimed")
        check.true(who.message("work", ids[0])["href"].endswith(claim), "get tells the claim")
        stats = who.stats("work")
        check.equal((stats["claimed"], stats["free"]), (3, 5), "stats")

    other, rest = b.claim("work", limit=20)
    check.equal(ids_of(rest), ids[3:], "no message twice")
    check.equal(a.claim("work"), (None, []), "nothing is left")
    check.equal(b.pop("work", 5), [], "nor to pop")
    check.equal(ids_of(a.claimed("work", other)["messages"]), ids[3:], "the other's claim")
    b.claimed("work", "0" * 24, status=404)
    b.claimed("other", claim, status=404)


def aged(claim):
    """A claim without the ages, which change as one looks."""
    for part in [claim, *claim["messages"]]:
        age = part.pop("age")
        assert 0 <= age < 60, claim
    return claim


def worked_off(scene):
    check, a, b = scene.check, scene.a, scene.b
    ids = a.post_bodies("work", *range(6))
    claim, _ = a.claim("work", limit=4)
    other, _ = b.claim("work", limit=1)
    b.delete("work", ids[0], status=403)
    b.delete("work", ids[0], other, status=403)
    b.delete("work", ids[0], "f" * 24, status=403)
    b.delete("work", ids[5], claim, status=400)
    b.delete("work", ids[0], claim)
    check.equal(ids_of(a.claimed("work", claim)["messages"]), ids[1:4], "one is done")
    a.delete("work", ids[4], other)
    b.claimed("work", other, status=404)
    b.delete_many("work", ids[1:3])
    check.equal(ids_of(a.claimed("work", claim)["messages"]), ids[3:4], "bulk does not ask")
    a.delete("work", ids[3], claim)
    b.claimed("work", claim, status=404)
    scene.lists(b, "work", ids[5:], "what nobody claimed is left")


def renewed(scene):
    check, a, b = scene.check, scene.a, scene.b
    ids = a.post("work", {"body": 1, "ttl": 100}, {"body": 2, "ttl": 5000})
    claim, _ = a.claim("work", ttl=300, grace=60)
    check.equal(b.message("work", ids[0])["ttl"], 360, "a message lives as long as its claim")
    check.equal(b.message("work", ids[1])["ttl"], 5000, "if it would not anyway")
    lives_until(scene, ids[0], 360)
    b.renew("work", claim, ttl=600, grace=100)
    told = scene.agree(lambda who: aged(who.claimed("work", claim)), "renewed")
    check.equal(told["ttl"], 600, "the new ttl")
    check.equal([it["ttl"] for it in told["messages"]], [700, 5000], "of the messages too")
    lives_until(scene, ids[0], 700)
    a.renew("work", claim, ttl=800, grace=60)
    check.equal(b.claimed("work", claim)["ttl"], 800, "once more, here")
    b.renew("work", "0" * 24, ttl=600, grace=100, status=404)
    check.equal(b.claim("work"), (None, []), "still held")


def lives_until(scene, message, seconds):
    expires = seconds_of(scene.records.one("work", message)["e"])
    scene.check.true(soon(expires - seconds), f"e is {seconds} s from now")


def released(scene):
    check, a, b = scene.check, scene.a, scene.b
    ids = a.post_bodies("work", *range(5))
    claim, _ = a.claim("work", limit=3)
    b.release("work", claim)
    a.claimed("work", claim, status=404)
    b.renew("work", claim, ttl=600, grace=100, status=404)
    for who in scene.both():
        check.equal(ids_of(who.page("work", echo="true")[0]), ids, "all are free, in place")
        check.true(not who.message("work", ids[0])["href"].endswith(claim), "of no claim")
    b.delete("work", ids[0], claim, status=400)
    again, messages = b.claim("work", limit=5)
    check.equal(ids_of(messages), ids, "claimed anew")
    a.release("work", again)
    check.equal(len(b.page("work")[0]), 5, "released here")
    b.release("work", "0" * 24)


def ended(scene):
    """A claim ends by itself; the next one takes what it held."""
    check, a, b = scene.check, scene.a, scene.b
    ids = a.post_bodies("work", *range(4))
    claim, _ = a.claim("work", limit=3)
    scene.records.end_claims("work")
    b.claimed("work", claim, status=404)
    a.claimed("work", claim, status=404)
    b.renew("work", claim, ttl=600, grace=100, status=404)
    check.equal(ids_of(b.page("work")[0]), ids, "free again")
    check.equal(scene.agree(lambda who: who.stats("work")["free"], "free"), 4, "counted free")
    b.delete("work", ids[0], claim)
    scene.lists(a, "work", ids[1:], "the last claim may still delete")
    other, messages = b.claim("work", limit=1)
    check.equal(ids_of(messages), ids[1:2], "claimed by another")
    a.delete("work", ids[1], claim, status=403)
    a.delete("work", ids[2], other, status=400)
    popped = b.pop("work", 1)[0]
    check.equal((popped["id"], popped["claim_id"]), (ids[2], claim), "popped with its old claim")
    a.delete("work", ids[1], other)
    scene.lists(b, "work", ids[3:], "one is left")


def defaults(scene):
    check, a, b = scene.check, scene.a, scene.b
    a.post_bodies("work", "one")
    answer = a.expect(201, "POST", "/v2/queues/work/claims")
    claim = answer.headers["Location"].split("/")[-1]
    check.equal(b.claimed("work", claim)["ttl"], 300, "the default ttl")
    check.equal(bodies_of(b.claimed("work", claim)["messages"]), ["one"], "the message")
    b.renew("work", claim)
    check.equal(a.claimed("work", claim)["ttl"], 300, "renewed with defaults")
    check.equal(b.claim("nothing"), (None, []), "no queue, no claim")


ALL = [held, worked_off, renewed, released, ended, defaults]
