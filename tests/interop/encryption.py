"""Queues whose messages are encrypted: what Zaqar encrypts, nusku reads."""

from api import as_text, bodies_of
from database import kind
from messages import BODIES

# Zaqar takes strings such as these for pickles, and runs them when it reads them.
LOOK_LIKE_PICKLES = ["N.", "I5\n.", "(", "}", "", "cposix\ngetpid\n(tR."]

# More than Zaqar's default page, and no integer that JSON and pickle see differently.
SHAPES = [*BODIES[:19], {"keys": [{"again": 1}, {"again": 2}]}]


def every_way_out(scene):
    """Messages of either come out of nusku whichever way they are asked for."""
    check, a, b, records = scene.check, scene.a, scene.b, scene.records
    nusku = a if a.kind == "nusku" else b
    long = [{"long": "ü" * 40_000}]
    for queue, bodies in (("shapes", SHAPES), ("texts", LOOK_LIKE_PICKLES), ("long", long)):
        a.create(queue, {"_enable_encrypt_messages": True})
        posted = a.post_bodies(queue, *bodies)
        for record in records.all(queue):
            check.equal(kind(record["b"]), "binary 0", "what lies in the database is encrypted")
        expected = as_text(bodies)
        page, _ = nusku.page(queue, echo="true", limit=20)
        check.equal(as_text(bodies_of(page)), expected, "listed")
        check.equal(as_text(bodies_of(nusku.messages(queue, posted))), expected, "by ids")
        check.equal(as_text(nusku.message(queue, posted[0])["body"]), as_text(bodies[0]), "one")
        claim, claimed = nusku.claim(queue, limit=20)
        check.equal(as_text(bodies_of(claimed)), expected, "claimed")
        nusku.release(queue, claim)
        check.equal(as_text(bodies_of(nusku.pop(queue, 20))), expected, "popped")


def side_by_side(scene):
    """A queue has what both encrypted, and what was there before."""
    check, a, b = scene.check, scene.a, scene.b
    nusku = a if a.kind == "nusku" else b
    a.create("mixed")
    a.post_bodies("mixed", "clear")
    a.patch("mixed", ("add", "_enable_encrypt_messages", True))
    a.post_bodies("mixed", {"sealed": 1})
    scene.learns(b, lambda it: it.metadata("mixed")["_enable_encrypt_messages"], True, "is known")
    b.post_bodies("mixed", {"sealed": 2})
    page, _ = nusku.page("mixed", echo="true")
    check.equal(bodies_of(page), ["clear", {"sealed": 1}, {"sealed": 2}], "all are read")


ALL = [every_way_out, side_by_side]
