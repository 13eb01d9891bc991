"""The message proxy of openstacksdk against a running server: every call for
queues, messages, claims and subscriptions.

The SDK makes up a new Client-ID for each call unless it is given one, so its
listings include what it posted itself. It finds the API by itself, from the
versions that `GET /` lists.
"""

import uuid

from checks import Checks, server_url
from keystoneauth1 import noauth, session
from openstack import connection, exceptions
from openstack.message.v2.claim import Claim

URL = server_url()


class NoAuth(noauth.NoAuth):
    """No Keystone, but a project: the SDK sends it as X-PROJECT-ID."""

    def __init__(self, project):
        super().__init__(endpoint=URL)
        self.project = project

    def get_project_id(self, session, **kwargs):
        return self.project


def connect(project):
    return connection.Connection(
        session=session.Session(auth=NoAuth(project)),
        message_api_version="2",
        message_endpoint_override=URL,
    ).message


def create_claim(message, queue, **attributes):
    """`message.create_claim` without the connection in the new object: with it,
    4.22.0 fails on any server, for it reads the claim's id from an attribute
    that the connection has overwritten."""
    return Claim.new(queue_name=queue, **attributes).create(message)


def queues(check, message, stranger):
    names = [f"queue-{number:02}" for number in range(13)]
    for name in names:
        message.create_queue(name=name)
    message.create_queue(name=names[0])  # again: no error
    made = message.create_queue(name="described", description="d", default_message_ttl=90)
    check.equal(made.name, "described", "create")

    found = message.get_queue("described")
    check.equal(found.default_message_ttl, 90, "metadata of a queue")
    check.equal(found.description, "d", "description of a queue")
    check.equal(found.max_messages_post_size, 262144, "default metadata of a queue")

    listed = [queue.name for queue in message.queues()]
    check.equal(listed, ["described", *names], "queues over several pages")
    check.equal([queue.name for queue in message.queues(limit=5)], listed, "pages of 5")
    check.equal(list(stranger.queues()), [], "another project sees no queue")

    for name in listed:
        message.delete_queue(name)
    message.delete_queue("described")  # again: no error
    check.equal(list(message.queues()), [], "deleted queues are gone")


def messages(check, message, stranger):
    drafts = [{"body": {"number": number}, "ttl": 300} for number in range(25)]
    resources = message.post_message("letters", drafts)
    ids = [href.split("/")[-1] for href in resources]
    check.equal(len(set(ids)), 25, "each message has an id")

    # The SDK takes the id of the last message it saw for the next page's marker.
    page = list(message.messages("letters"))
    check.equal([one.id for one in page], ids, "messages over several pages")
    check.equal([one.body for one in page], [one["body"] for one in drafts], "bodies")
    pages = list(message.messages("letters", limit=4))
    check.equal([one.id for one in pages], ids, "pages of 4")
    first = list(message.messages("letters", limit=4, paginated=False))
    check.equal([one.id for one in first], ids[:4], "one page")
    check.equal(page[0].ttl, 300, "ttl")
    check.equal(list(stranger.messages("letters")), [], "another project sees none")

    one = message.get_message("letters", ids[12])
    check.equal(one.body, {"number": 12}, "get one")
    message.delete_message("letters", ids[12])
    check.raises(
        exceptions.NotFoundException,
        lambda: message.get_message("letters", ids[12]),
        "deleted",
    )
    message.delete_message("letters", ids[12])  # again: no error
    check.raises(
        KeyError,  # the SDK looks for the resources of a refused post
        lambda: message.post_message("letters", [{"body": 1, "ttl": 1}]),
        "ttl too short",
    )
    check.raises(
        KeyError,  # and for the messages of a refused page
        lambda: list(message.messages("letters", limit=21)),
        "a page of 21",
    )
    message.delete_queue("letters")


def claims(check, message):
    message.post_message("work", [{"body": number, "ttl": 300} for number in range(5)])
    claim = create_claim(message, "work", ttl=120, grace=60, limit=3)
    check.equal(len(claim.id), 24, "the claim id comes from the location")
    # The SDK puts the limit into the body, where the API does not look.
    check.equal([one["body"] for one in claim.messages], [0, 1, 2, 3, 4], "the oldest")
    check.true(claim.messages[0]["href"].endswith(f"?claim_id={claim.id}"), "href")

    found = message.get_claim("work", claim.id)
    check.equal((found.ttl, len(found.messages)), (120, 5), "get")
    message.update_claim("work", claim.id, ttl=600, grace=60)
    check.equal(message.get_claim("work", claim.id).ttl, 600, "update")
    shown = list(message.messages("work", include_claimed=True, limit=5))
    check.equal(len(shown), 5, "include_claimed")
    check.equal(list(message.messages("work")), [], "claimed messages are not listed")

    first = claim.messages[0]["id"]
    check.raises(
        exceptions.ForbiddenException,
        lambda: message.delete_message("work", first),
        "a claimed message is not deleted without its claim",
    )
    message.delete_message("work", first, claim=claim.id)
    check.equal(len(message.get_claim("work", claim.id).messages), 4, "deleted with its claim")

    nothing = create_claim(message, "work", ttl=60, grace=60)
    check.equal(nothing.id, None, "nothing is left to claim")
    message.delete_claim("work", claim.id)
    message.delete_claim("work", claim.id)  # again: no error
    check.raises(
        exceptions.NotFoundException,
        lambda: message.get_claim("work", claim.id),
        "a released claim is gone",
    )
    again = create_claim(message, "work", ttl=60, grace=60)
    check.equal([one["body"] for one in again.messages], [1, 2, 3, 4], "released")
    message.delete_queue("work")


def subscriptions(check, message, stranger):
    def subscribe(subscriber, **fields):
        return message.create_subscription("news", subscriber=subscriber, **fields)

    made = [subscribe(f"http://hook-{number:02}.example.net/") for number in range(13)]
    ids = [one.subscription_id for one in made]
    check.equal(len(set(ids)), 13, "each subscription has an id")
    again = subscribe("http://hook-00.example.net/")
    check.equal(again.subscription_id, ids[0], "an unconfirmed one is the answer")
    options = {"post_headers": {"X-Team": "billing"}}
    mail = subscribe("mailto:ops@example.net", ttl=600, options=options).subscription_id
    found = message.get_subscription("news", mail)
    check.equal(
        (found.subscriber, found.ttl, found.options),
        ("mailto:ops@example.net", 600, options),
        "a subscription comes back",
    )
    listed = list(message.subscriptions("news"))
    check.equal([one.id for one in listed], [*ids, mail], "subscriptions over several pages")
    check.equal(list(stranger.subscriptions("news")), [], "another project sees none")
    check.raises(
        exceptions.BadRequestException, lambda: subscribe("ftp://example.net"), "a scheme"
    )
    message.delete_subscription("news", mail)
    message.delete_subscription("news", mail)  # again: no error
    check.raises(
        exceptions.NotFoundException,
        lambda: message.get_subscription("news", mail),
        "a deleted subscription is gone",
    )
    for one in ids:
        message.delete_subscription("news", one)
    check.equal(list(message.subscriptions("news")), [], "none is left")
    message.delete_queue("news")


with Checks().tour() as check:
    project = f"sdk-{uuid.uuid4().hex[:8]}"
    message, stranger = connect(project), connect(f"{project}-other")
    queues(check, message, stranger)
    messages(check, message, stranger)
    claims(check, message)
    subscriptions(check, message, stranger)
