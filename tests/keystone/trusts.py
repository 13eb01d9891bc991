"""Webhooks that are called with a token of whoever subscribed: here, a queue to which
messages are passed on, as Zaqar's users do it."""

import contextlib
import json

from guarded import Caller
from people import SERVICE_USER, password_of

SUBSCRIPTIONS = "/v2/queues/orders/subscriptions"

TRUSTEE = {
    "NUSKU_NOTIFICATION__TRUSTEE__USERNAME": SERVICE_USER,
    "NUSKU_NOTIFICATION__TRUSTEE__PASSWORD": password_of(SERVICE_USER),
    "NUSKU_NOTIFICATION__TRUSTEE__USER_DOMAIN_ID": "default",
    # It calls itself.
    "NUSKU_NOTIFICATION__WEBHOOK__ALLOWED_NETWORKS": "127.0.0.1",
}


def passes_on(stage):
    check, people, keystone = stage.check, stage.people, stage.keystone
    token = people.token("blue-member")
    with stage.troupe.server(**TRUSTEE) as server, \
            contextlib.closing(Caller(server, token)) as member:
        wish = {
            "subscriber": f"trust+{server.url}/v2/queues/copies/messages",
            "ttl": 600,
            "options": {
                "post_headers": {"Client-ID": member.client},
                "post_data": json.dumps(
                    {"messages": [{"body": "$zaqar_message$", "ttl": 60}]}),
            },
        }
        made = member.expect(201, "POST", SUBSCRIPTIONS, wish)
        (subscription,) = member.call("GET", SUBSCRIPTIONS).document["subscriptions"]
        with contextlib.closing(keystone.client(token)) as client:
            path = f"/v3/OS-TRUST/trusts/{subscription['options']['trust_id']}"
            trust = client.call("GET", path).document["trust"]
        check.equal(trust["project_id"], people.projects["blue"], "a trust for the project")
        check.equal(trust["trustor_user_id"], people.users["blue-member"], "of the subscriber")
        check.equal(trust["trustee_user_id"], people.users[SERVICE_USER], "in the trustee")
        check.true(trust["impersonation"], "who acts in its name")

        stage.ask_keystone()
        trusts = keystone.requests("POST", "/v3/OS-TRUST/trusts")
        again = member.expect(201, "POST", SUBSCRIPTIONS, wish)
        check.equal(again.document, made.document, "a second time there is nothing to make")
        stage.ask_keystone()
        check.equal(keystone.requests("POST", "/v3/OS-TRUST/trusts"), trusts, "and no trust")

        member.post("orders", {"body": {"total": 42}, "ttl": 300})
        told = [{"ttl": 300, "body": {"total": 42}, "Message_Type": "Notification",
                 "queue_name": "orders"}]
        path = "/v2/queues/copies/messages?echo=true"

        def copies():
            return [one["body"] for one in member.call("GET", path).document["messages"]]

        stage.becomes(copies, told, "the message was passed on in the subscriber's name")

    with stage.troupe.server() as server, contextlib.closing(Caller(server, token)) as member:
        wish = {"subscriber": "trust+http://hooks.example.net/"}
        member.expect(503, "POST", SUBSCRIPTIONS, wish)


ALONE = [passes_on]
