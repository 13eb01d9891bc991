"""Every call of python-zaqarclient's v2 API that a queue, its messages, claims and
subscriptions have, against a running server that has --admin_mode and a signing key.

Two clients with their own Client-IDs share a project: one posts, one reads.
A third one is in another project and must see nothing of it.
"""

import uuid

import requests
from checks import Checks, server_url
from zaqarclient.queues.v2 import client as zaqar
from zaqarclient.transport import errors

URL = server_url()
PROJECT = f"tour-{uuid.uuid4().hex[:8]}"


def connect(project=PROJECT, backend="noauth", **options):
    options["os_project_id"] = project
    return zaqar.Client(URL, conf={"auth_opts": {"backend": backend, "options": options}})


class Admin(zaqar.Client):
    """The client has no way to name a role without Keystone; operators do."""

    def _request_and_transport(self):
        request, transport = super()._request_and_transport()
        request.headers["X-Roles"] = "admin"
        return request, transport


def server(check, producer):
    check.true(producer.ping(), "ping")
    home = producer.homedoc()
    check.true("rel/queues" in home["resources"], "the home document lists queues")
    template = home["resources"]["rel/claim"]["href-template"]
    check.equal(template, "/v2/queues/{queue_name}/claims/{claim_id}", "claim template")

    check.raises(errors.ForbiddenError, producer.health, "health is for admins")
    health = Admin(URL, conf=producer.conf).health()
    check.true(health["storage_reachable"], "health: storage_reachable")
    for operation, status in health["operation_status"].items():
        check.true(status["succeeded"], f"health: {operation}")
    check.true("message_volume" in health, "health: message_volume")


def queues(check, producer, stranger):
    names = [f"queue-{number:02}" for number in range(13)]
    for name in reversed(names):
        producer.queue(name, force_create=True)
    producer.queue(names[0], force_create=True)  # again: no error
    check.true(producer.queue(names[0]).exists(), "exists")

    listed, count = producer.queues(limit=20, with_count=True)
    listed = list(listed)
    check.equal([queue.name for queue in listed], names, "queues come by name")
    check.equal(count, 13, "with_count")
    check.equal(listed[3].href, "/v2/queues/queue-03", "href")
    check.equal(listed[3]._metadata, None, "no metadata unless detailed")

    paged, _ = producer.queues(limit=5)
    check.equal([queue.name for queue in paged.stream()], names, "pages follow links")
    after, _ = producer.queues(marker="queue-10", limit=20)
    check.equal([queue.name for queue in after], names[11:], "marker")
    detailed, _ = producer.queues(limit=1, detailed=True)
    check.true("_default_message_ttl" in next(detailed).metadata_dict, "detailed")
    check.equal(list(stranger.queues()[0]), [], "another project sees no queue")
    check.raises(errors.MalformedRequest, lambda: producer.queues(limit=21), "limit 21")
    check.raises(errors.MalformedRequest, lambda: producer.queues(limit=0), "limit 0")

    for name in names:
        producer.queue(name).delete()
    producer.queue(names[0]).delete()  # again: no error
    check.equal(list(producer.queues()[0]), [], "deleted queues are gone")


def metadata(check, producer):
    queue = producer.queue("meta", force_create=True)
    shown = queue.metadata(force_reload=True)
    check.equal(shown["_default_message_ttl"], 3600, "default ttl is shown")
    check.equal(shown["_max_messages_post_size"], 262144, "default post size is shown")

    wanted = {"team": "billing", "_default_message_ttl": 900, "nested": {"a": [1, "é", None]}}
    shown = queue.metadata(new_meta=wanted)
    for key, value in wanted.items():
        check.equal(shown[key], value, f"metadata {key}")
    again = producer.queue("meta").metadata(force_reload=True)
    check.equal(again["nested"], wanted["nested"], "metadata is stored")

    shown = queue.metadata(new_meta={"team": "sales"})
    check.equal(shown["team"], "sales", "metadata is replaced")
    check.true("nested" not in shown, "what is not named is removed")
    check.equal(shown["_default_message_ttl"], 3600, "a removed reserved key shows its default")
    too_long = {"_default_message_ttl": 10**9}
    check.raises(errors.MalformedRequest, lambda: queue.metadata(new_meta=too_long), "bad ttl")
    check.equal(queue.metadata(force_reload=True)["team"], "sales", "a bad change changes nothing")

    queue.metadata(new_meta={"_default_message_ttl": 120})
    posted = queue.post({"body": "uses the queue's ttl"})
    check.equal(queue.message(posted["resources"][0].split("/")[-1]).ttl, 120, "queue ttl")
    queue.delete()


def messages(check, producer, consumer, stranger):
    queue = producer.queue("letters")
    bodies = [{"number": number, "text": "ü ☃"} for number in range(25)]
    posted = queue.post([{"body": body, "ttl": 300} for body in bodies])
    ids = [href.split("/")[-1] for href in posted["resources"]]
    check.equal(len(set(ids)), 25, "each message has an id")
    check.true(posted["resources"][0].startswith("/v2/queues/letters/messages/"), "resources")

    check.equal(list(queue.messages()), [], "own messages are left out")
    own = queue.messages(echo=True, limit=20)
    check.equal([message.body for message in own], bodies[:20], "echo: a page in order")
    seen = consumer.queue("letters").messages(limit=3)
    check.equal([message.body for message in seen.stream()], bodies, "pages follow links")
    first = next(consumer.queue("letters").messages())
    check.equal((first.id, first.ttl, first.claim_id), (ids[0], 300, None), "a listed message")
    check.true(0 <= first.age < 60, "age")
    check.equal(list(stranger.queue("letters").messages()), [], "another project sees none")
    check.raises(
        errors.MalformedRequest, lambda: queue.messages(limit=21), "a page of 21"
    )

    check.equal(queue.message(ids[7]).body, bodies[7], "get one")
    several = queue.messages(ids[9], ids[2], "0" * 24)
    check.equal(sorted(message.id for message in several), sorted([ids[2], ids[9]]), "by ids")
    check.raises(errors.ResourceNotFound, lambda: queue.message("0" * 24), "unknown id")
    check.raises(errors.ResourceNotFound, lambda: queue.messages("0" * 24), "unknown ids")

    stats = queue.stats["messages"]
    check.equal((stats["free"], stats["claimed"], stats["total"]), (25, 0, 25), "stats")
    check.true(stats["oldest"]["href"].endswith(ids[0]), "the oldest")
    check.true(stats["newest"]["href"].endswith(ids[24]), "the newest")

    queue.message(ids[0]).delete()
    check.raises(errors.ResourceNotFound, lambda: queue.message(ids[0]), "deleted")
    queue.delete_messages(*ids[1:5])
    check.equal(queue.stats["messages"]["total"], 20, "deleted by ids")
    popped = list(consumer.queue("letters").pop(3))
    check.equal([message.id for message in popped], ids[5:8], "pop takes the oldest")
    check.equal([message.body for message in popped], bodies[5:8], "pop returns bodies")
    check.equal(len(list(queue.pop())), 1, "pop takes one by default")
    check.equal(list(stranger.queue("letters").pop(5)), [], "nothing to pop elsewhere")
    check.equal(queue.stats["messages"]["total"], 16, "popped messages are gone")

    for what, bad in [
        ("no body", {"ttl": 60}),
        ("ttl too short", {"body": 1, "ttl": 59}),
        ("ttl too long", {"body": 1, "ttl": 1209601}),
        ("ttl is no integer", {"body": 1, "ttl": "60"}),
        ("too large", {"body": "x" * 262144}),
    ]:
        check.raises(errors.MalformedRequest, lambda: queue.post([{"body": 1}, bad]), what)
    check.raises(errors.MalformedRequest, lambda: queue.post([]), "no messages")
    check.equal(queue.stats["messages"]["total"], 16, "a bad batch leaves nothing")

    for body in [None, True, 0, -1.5, "", "text", [], {}, [[{"deep": [None]}]], "\u0000\u2028😀"]:
        href = queue.post({"body": body})["resources"][0]
        check.equal(queue.message(href.split("/")[-1]).body, body, "a body comes back as it was")

    queue.purge(resource_types=["messages"])
    check.equal(queue.stats["messages"]["total"], 0, "purge")
    queue.post({"body": "once more"})
    queue.purge()
    check.equal(queue.stats["messages"]["total"], 0, "purge of everything")
    queue.delete()


def claims(check, producer, consumer):
    queue = producer.queue("work")
    queue.post([{"body": number, "ttl": 300} for number in range(12)])
    worker = consumer.queue("work")

    claim = worker.claim(ttl=120, grace=60, limit=4)
    held = list(claim)
    check.equal([message.body for message in held], [0, 1, 2, 3], "a claim takes the oldest")
    check.equal([message.claim_id for message in held], [claim.id] * 4, "hrefs name the claim")
    check.equal(claim.ttl, 120, "ttl of a claim")
    check.true(0 <= claim.age < 60, "age of a claim")
    check.equal([message.body for message in worker.claim(id=claim.id)], [0, 1, 2, 3], "query")
    stats = queue.stats["messages"]
    check.equal((stats["free"], stats["claimed"]), (8, 4), "claimed messages are counted")

    listed = [message.body for message in worker.messages(limit=20)]
    check.equal(listed, list(range(4, 12)), "claimed messages are not listed")
    listed = [message.body for message in worker.messages(limit=20, include_claimed=True)]
    check.equal(listed, list(range(12)), "include_claimed lists them")

    claim.update(ttl=600, grace=100)
    check.equal(worker.claim(id=claim.id).ttl, 600, "update")
    check.equal(next(iter(worker.claim(id=claim.id))).ttl, 700, "messages live with the claim")
    check.raises(errors.MalformedRequest, lambda: claim.update(ttl=59, grace=60), "short ttl")

    check.raises(
        errors.ForbiddenError,
        lambda: consumer_deletes_without_claim(consumer, held[0].id),
        "a claimed message is not deleted without its claim",
    )
    held[0].delete()
    check.equal([message.body for message in worker.claim(id=claim.id)], [1, 2, 3], "deleted")

    other = worker.claim(ttl=60, grace=60, limit=20)
    rest = list(other)
    check.equal([message.body for message in rest], list(range(4, 12)), "no message twice")
    check.equal(list(worker.claim(ttl=60, grace=60)), [], "nothing is left to claim")

    claim.delete()
    check.raises(errors.ResourceNotFound, lambda: claim.age, "a released claim is gone")
    again = list(worker.claim(ttl=60, grace=60, limit=20))
    check.equal([message.body for message in again], [1, 2, 3], "released messages are free")
    bad_ttl = dict(ttl=43201, grace=60)
    check.raises(errors.MalformedRequest, lambda: worker.claim(**bad_ttl), "ttl too long")
    many = dict(ttl=60, grace=60, limit=21)
    check.raises(errors.MalformedRequest, lambda: worker.claim(**many), "a claim of 21")

    for message in again + rest:
        message.delete()
    check.equal(queue.stats["messages"]["total"], 0, "all work is done")
    check.raises(errors.ResourceNotFound, lambda: other.age, "an emptied claim is gone")
    queue.delete()


def consumer_deletes_without_claim(consumer, message_id):
    request, transport = consumer._request_and_transport()
    request.operation = "message_delete"
    request.params.update(queue_name="work", message_id=message_id)
    transport.send(request)


def signed_urls(check, producer):
    queue = producer.queue("lent")
    queue.post({"body": "for a guest"})
    signed = queue.signed_url(paths=["messages"], ttl_seconds=600, methods=["GET"])
    check.equal(signed["paths"], ["/v2/queues/lent/messages"], "signed paths")
    check.equal(signed["methods"], ["GET"], "signed methods")
    check.equal(signed["project"], PROJECT, "signed project")
    check.equal(len(signed["signature"]), 64, "signature")

    grant = {key: signed[key] for key in ("expires", "methods", "paths", "signature")}
    guest = connect(signed["project"], "signed-url", **grant).queue("lent", auto_create=False)
    check.equal([message.body for message in guest.messages()], ["for a guest"], "a guest reads")
    check.raises(errors.ResourceNotFound, lambda: guest.post({"body": 1}), "but cannot post")
    check.raises(errors.ResourceNotFound, lambda: guest.stats, "nor look elsewhere")
    forged = connect(PROJECT, "signed-url", **{**grant, "signature": "0" * 64})
    check.raises(errors.ResourceNotFound, lambda: forged.queue("lent").messages(), "forgery")
    queue.delete()


def subscriptions(check, producer, stranger):
    def subscribe(subscriber, **fields):
        return producer.subscription("news", subscriber=subscriber, **fields)

    hooks = [subscribe(f"http://hook-{number:02}.example.net/") for number in range(13)]
    check.equal(len({hook.id for hook in hooks}), 13, "each subscription has an id")
    again = subscribe("http://hook-00.example.net/")
    check.equal(again.id, hooks[0].id, "an unconfirmed one is the answer")
    options = {"post_headers": {"X-Team": "billing"}}
    mail = subscribe("mailto:ops@example.net", ttl=600, options=options)
    found = producer.subscription("news", id=mail.id)
    check.equal(
        (found.subscriber, found.ttl, found.options),
        ("mailto:ops@example.net", 600, options),
        "a subscription comes back",
    )
    found.update({"ttl": 900, "subscriber": "mailto:dev@example.net"})
    found = producer.subscription("news", id=mail.id)
    check.equal((found.subscriber, found.ttl), ("mailto:dev@example.net", 900), "update")

    ids = [*(hook.id for hook in hooks), mail.id]
    pages = producer.subscriptions("news", limit=5)
    check.equal([one.id for one in pages.stream()], ids, "pages follow links")
    check.equal(len(list(producer.subscriptions("news"))), 10, "a page has ten")
    check.equal(list(stranger.subscriptions("news")), [], "another project sees none")
    check.raises(
        errors.MalformedRequest, lambda: subscribe("ftp://example.net"), "an unknown scheme"
    )
    check.raises(
        errors.MalformedRequest, lambda: subscribe("http://a", ttl=59), "too short a life"
    )

    confirm(producer, mail.id)
    check.raises(
        errors.ConflictError, lambda: subscribe("mailto:dev@example.net"), "a confirmed one"
    )
    hooks[3].delete()
    check.raises(
        errors.ResourceNotFound,
        lambda: producer.subscription("news", id=hooks[3].id),
        "a deleted subscription is gone",
    )
    queue = producer.queue("news", auto_create=False)
    check.true(queue.exists(), "the queue was made")
    queue.purge(resource_types=["subscriptions"])
    check.equal(list(producer.subscriptions("news")), [], "purged")
    queue.delete()


def confirm(client, subscription):
    """The client has no call for it: subscribers have."""
    answer = requests.put(
        f"{URL}/v2/queues/news/subscriptions/{subscription}/confirm",
        json={"confirmed": True},
        headers={"Client-ID": str(uuid.uuid4()), "X-Project-ID": PROJECT},
        timeout=60,
    )
    assert answer.status_code == 204, answer.text


def errors_are_told(check, producer):
    """What the client shows its user comes from our error document."""
    try:
        producer.queues(limit=21)
        shown = "no error at all"
    except errors.MalformedRequest as error:
        shown = str(error)
    check.equal(
        shown,
        "Error response from Zaqar. Code: 400. Title: Invalid API request. "
        "Description: Limit must be at least 1 and no greater than 20..",
        "the sentence",
    )
    answer = requests.get(f"{URL}/v2/queues", timeout=60)
    check.equal(answer.status_code, 400, "no Client-ID")


with Checks().tour() as check:
    producer, consumer, stranger = connect(), connect(), connect(f"{PROJECT}-other")
    server(check, producer)
    queues(check, producer, stranger)
    metadata(check, producer)
    messages(check, producer, consumer, stranger)
    claims(check, producer, consumer)
    signed_urls(check, producer)
    subscriptions(check, producer, stranger)
    errors_are_told(check, producer)
