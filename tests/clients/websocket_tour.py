"""The WebSocket transport of python-zaqarclient against a running server, and below it
the library it is made of (websocket-client), with MessagePack and pushed messages.

The arguments are the address of REST and that of the WebSocket server.
"""

import json
import sys
import uuid

import msgpack
import requests
import websocket
from checks import Checks
from zaqarclient import transport
from zaqarclient.transport import errors, request

HEADERS = {"Client-ID": str(uuid.uuid4())}
# No answer takes this long, on however busy a machine.
PATIENCE_SECONDS = 60


def client(url):
    """The transport, as its documentation wants it used."""
    options = {"os_auth_token": "none", "os_project_id": HEADERS["X-Project-ID"]}
    conf = {"auth_opts": {"backend": "noauth", "options": options}}
    return transport.get_transport_for(url, version=2, options=conf)


def zaqarclient(check, url):
    def ask(operation, **body):
        content = json.dumps(body) if body else None
        sent = connection.send(request.Request(url, operation, content=content))
        return sent.status_code, json.loads(sent.content)

    with client(url) as connection:
        created = ask("queue_create", queue_name="orders", metadata={"team": "sales"})
        check.equal(created, (201, "Queue orders created."), "queue_create")
        check.equal(ask("queue_get", queue_name="orders"), (200, {"team": "sales"}), "queue_get")
        listed = ask("queue_list", limit=5)
        check.equal(listed, (200, {"queues": [{"name": "orders"}]}), "queue_list")
        messages = [{"ttl": 300, "body": {"n": number}} for number in range(3)]
        status, posted = ask("message_post", queue_name="orders", messages=messages)
        check.equal((status, len(posted["message_ids"])), (201, 3), "message_post")
        status, claimed = ask("claim_create", queue_name="orders", limit=2, ttl=60, grace=60)
        check.equal(status, 201, "claim_create")
        found = [message["id"] for message in claimed["messages"]]
        check.equal(found, posted["message_ids"][:2], "claims are in order")
        claim = {"queue_name": "orders", "claim_id": claimed["claim_id"]}
        for message in found:
            check.equal(ask("message_delete", message_id=message, **claim)[0], 204, "delete")
        check.equal(ask("claim_delete", **claim)[0], 204, "claim_delete")
        status, popped = ask("message_delete_many", queue_name="orders", pop=5)
        bodies = [message["body"] for message in popped["messages"]]
        check.equal((status, bodies), (200, [{"n": 2}]), "pop")
        check.raises(
            errors.MalformedRequest, lambda: ask("queue_list", limit=100), "a limit is a limit"
        )
        missing = {"queue_name": "orders", "message_id": "none"}
        check.raises(errors.ResourceNotFound, lambda: ask("message_get", **missing), "404")

        check.equal(ask("subscription_create", queue_name="orders", ttl=300)[0], 201, "subscribe")
        check.equal(ask("subscription_create", queue_name="news", ttl=300)[0], 201, "subscribe")
        post = {"messages": [{"ttl": 300, "body": number} for number in range(10)]}
        address = f"{REST}/v2/queues/news/messages"
        requests.post(address, json=post, headers=HEADERS, timeout=60).raise_for_status()
        pushed = [connection.recv() for _ in range(10)]
        expected = [
            {"ttl": 300, "body": number, "Message_Type": "Notification", "queue_name": "news"}
            for number in range(10)
        ]
        check.equal(pushed, expected, "messages are pushed, in order")


def packed(check, url):
    socket = websocket.create_connection(url, timeout=PATIENCE_SECONDS)

    def ask(action, **body):
        socket.send_binary(msgpack.packb({"action": action, "headers": HEADERS, "body": body}))
        kind, reply = socket.recv_data()
        check.equal(kind, websocket.ABNF.OPCODE_BINARY, "a reply has the form of its request")
        reply = msgpack.unpackb(reply)
        check.equal(list(reply), ["request", "body", "headers"], "the members of a reply")
        return reply["headers"]["status"], reply["body"]

    body = {"é": [1, -1, 2**62, 1.5, None, True], "long": "x" * 70_000}
    status, posted = ask("message_post", queue_name="packed", messages=[{"body": body}])
    check.equal(status, 201, "message_post")
    message = {"queue_name": "packed", "message_id": posted["message_ids"][0]}
    check.equal(ask("message_get", **message)[1]["messages"]["body"], body, "as it was posted")
    check.equal(ask("subscription_create", queue_name="packed", ttl=300)[0], 201, "subscribe")
    post = {"messages": [{"ttl": 300, "body": body}]}
    address = f"{REST}/v2/queues/packed/messages"
    requests.post(address, json=post, headers=HEADERS, timeout=60).raise_for_status()
    kind, pushed = socket.recv_data()
    check.equal(kind, websocket.ABNF.OPCODE_BINARY, "pushed as it was subscribed")
    check.equal(msgpack.unpackb(pushed)["body"], body, "what is pushed")
    socket.ping("still there?")
    kind, pong = socket.recv_data(control_frame=True)
    check.equal((kind, pong), (websocket.ABNF.OPCODE_PONG, b"still there?"), "a ping is answered")
    socket.close()


if len(sys.argv) != 3:
    sys.exit(f"usage: {sys.argv[0]} HTTP-URL WS-URL")
REST, SOCKETS = (url.rstrip("/") for url in sys.argv[1:])

# The transport is chosen by the scheme. On the port of REST there is one path for it.
PLACES = [f"{SOCKETS}/", f"{REST.replace('http', 'ws', 1)}/v2/websocket"]

with Checks().tour() as check:
    for place in PLACES:
        HEADERS["X-Project-ID"] = f"tour-{uuid.uuid4().hex[:8]}"
        with check.part(f"python-zaqarclient at {place}"):
            zaqarclient(check, place)
        with check.part(f"MessagePack at {place}"):
            packed(check, place)
